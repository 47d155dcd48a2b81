"""What every request passes: whose name it calls, who sends it, and the headers that every answer carries."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lungscreen.server.access import Access
from lungscreen.server.metrics import Metrics
from lungscreen.server.problems import ProblemError

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
# Nothing but our own files runs or is loaded, and nobody may frame a page.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The report holds its style and its images; it has no script, and gets none.
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
REPORT_POLICY += "frame-ancestors 'none'; sandbox"
# Without a token: what tells whether the server lives, the login page and what it is made of.
OPEN_PATHS = ("/health", "/ready", "/login", "/api/v1/session")
OPEN_FOLDER = "/static/"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Guard:
    """ASGI middleware.

    Args:
        app: what it guards.
        names: host names by which browsers may call the server; empty: any.
        access: who may come in.
        metrics: counts the answers.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str], access: Access, metrics: Metrics) -> None:
        self.app, self.names, self.access, self.metrics = app, names, access, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.metrics.answered(message["status"])
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", PAGE_POLICY)
                headers.setdefault("Cache-Control", "no-store")
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
            await send(message)

        problem = self._problem(scope)
        if problem is None:
            await self.app(scope, receive, send_safe)
            return
        answer = JSONResponse(problem.body(), problem.status, problem.headers)
        await answer(scope, receive, send_safe)

    def _problem(self, scope: Scope) -> ProblemError | None:
        headers, path = Headers(scope=scope), scope["path"]
        host = headers.get("host", "")
        if self.names and _name(host) not in self.names:
            # A page elsewhere whose name was made to point here (DNS rebinding).
            return ProblemError(400, "wrong_host", "the server does not go by this name; names= adds one")
        origin = headers.get("origin")
        if scope["method"] not in SAFE_METHODS and origin and urlsplit(origin).netloc != host:
            return ProblemError(403, "wrong_origin", "pages of other servers may not change anything here")
        if path in OPEN_PATHS or path.startswith(OPEN_FOLDER) or self.access.admits(headers):
            return None
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            return ProblemError(303, "no_token", "log in first", {"Location": "/login"})
        return ProblemError(401, "no_token", "a token is needed", {"WWW-Authenticate": "Bearer"})


def names_of(host: str, more: Sequence[str]) -> tuple[str, ...]:
    """Host names a server goes by: this machine's, the address it listens on, and those that were given."""
    bound = f"[{host}]" if ":" in host else host
    return tuple(dict.fromkeys((*LOCAL_NAMES, bound, *more)))


def _name(host: str) -> str:
    """Without the port."""
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]
