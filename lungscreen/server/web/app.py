"""The web application: interface, pages, and what guards them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from lungscreen.server import NOTICE
from lungscreen.server.desk import Desk
from lungscreen.server.problems import ProblemError
from lungscreen.server.web.guard import Guard, names_of
from lungscreen.server.web.routes import api, watching

STATIC = Path(__file__).parent / "static"
# Path to page.
PAGES = {"/": "cases.html", "/viewer": "viewer.html", "/slice": "slice.html", "/login": "login.html"}


def create_app(desk: Desk) -> FastAPI:
    """The application of a desk, which it starts and stops with itself."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(desk.start)
        yield
        await run_in_threadpool(desk.stop)

    # FastAPI's own pages of documentation load scripts from elsewhere; the document itself stays.
    app = FastAPI(
        title="lungscreen", version=version("lungscreen"), description=NOTICE, lifespan=lifespan, docs_url=None,
        redoc_url=None, openapi_url="/api/v1/openapi.json",
    )  # fmt: skip
    app.include_router(api(desk))
    app.include_router(watching(desk))
    for path, file in PAGES.items():
        app.add_api_route(path, _page(file), include_in_schema=False, response_class=FileResponse)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(ProblemError, _said)
    app.add_exception_handler(HTTPException, _said_by_starlette)
    app.add_exception_handler(RequestValidationError, _not_understood)
    settings = desk.settings
    # Where a token is needed, a page elsewhere has none, whatever name it makes point here.
    names = names_of(settings.host, settings.names) if desk.access.open else ()
    app.add_middleware(Guard, names=names, access=desk.access, metrics=desk.metrics)
    return app


def _page(file: str) -> Callable[[], FileResponse]:
    def page() -> FileResponse:
        return FileResponse(STATIC / file, media_type="text/html; charset=utf-8")

    return page


def _said(_: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, ProblemError)
    return JSONResponse(problem.body(), problem.status, problem.headers)


def _said_by_starlette(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:  # Starlette names the methods of one route, and some paths have several
        headers["Allow"] = ", ".join(_methods(request))
    body = {"reason": "not_found" if error.status_code == 404 else "refused", "detail": str(error.detail)}
    return JSONResponse(body, error.status_code, headers)


def _methods(request: Request) -> list[str]:
    """What the path of a request can be asked for."""
    document = request.app.openapi()["paths"]
    found = {
        method.upper() for path, methods in document.items() if _fits(path, request.url.path) for method in methods
    }
    return sorted(found) or ["GET"]


def _fits(template: str, path: str) -> bool:
    pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template))
    return re.fullmatch(pattern, path) is not None


def _not_understood(_: Request, error: Exception) -> JSONResponse:
    """Which part of the request is wrong; never its value, which may be anything."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
    return JSONResponse({"reason": "bad_request", "detail": f"{where}: {first['msg']}"}, 422)
