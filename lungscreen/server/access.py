"""Who may come in: tokens, and sessions of browsers that have shown one."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from starlette.datastructures import Headers

from runs.entry import UsageError

COOKIE = "lungscreen_session"
LEAST_LENGTH = 16


class Access:
    """Tokens, read anew at every question: one that is taken out of the file is let in no more, nor its sessions.

    Args:
        token_file: a token a line; None: everybody may come in.

    Raises:
        UsageError: the file holds no token, or one that could be guessed.
    """

    def __init__(self, token_file: Path | None) -> None:
        self.token_file = token_file
        if token_file is not None:
            tokens = self._tokens()
            if not tokens or min(len(token) for token in tokens) < LEAST_LENGTH:
                raise UsageError(
                    f"{token_file.name} must hold a token a line, each of at least {LEAST_LENGTH} letters"
                )

    @property
    def open(self) -> bool:
        """Whether nobody is asked."""
        return self.token_file is None

    def admits(self, headers: Headers) -> bool:
        """Whether a request carries a token or the session of one."""
        if self.open:
            return True
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.session_of(token.strip()) is not None
        given = _cookie(headers.get("cookie", "")).encode()
        return any(hmac.compare_digest(given, _session(known).encode()) for known in self._tokens())

    def session_of(self, token: str) -> str | None:
        """What a browser keeps in the place of the token; None: no such token."""
        found = [known for known in self._tokens() if hmac.compare_digest(known.encode(), token.encode())]
        return _session(found[0]) if found else None

    def _tokens(self) -> list[str]:
        if self.token_file is None:
            return []
        try:
            lines = self.token_file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:  # nobody is let in
            return []
        return [line.strip() for line in lines if line.strip()]


def _session(token: str) -> str:
    return hmac.new(token.encode(), b"lungscreen session", hashlib.sha256).hexdigest()


def _cookie(header: str) -> str:
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""
