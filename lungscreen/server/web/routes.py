"""The REST interface under `/api/v1`."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import FileResponse

from lungscreen.server.access import COOKIE
from lungscreen.server.desk import Desk
from lungscreen.server.jobs.cases import State
from lungscreen.server.jobs.folders import HEAT, PLACES, PRIOR
from lungscreen.server.jobs.options import FIELDS
from lungscreen.server.problems import ProblemError, answers
from lungscreen.server.web.answers import (
    CaseList,
    CaseOut,
    FileOut,
    Health,
    HeatOut,
    PlacesOut,
    Ready,
    ResultOut,
    Token,
    VolumeOut,
    case_out,
)
from lungscreen.server.web.guard import REPORT_POLICY
from lungscreen.server.web.slice_routes import add_slices

CaseId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="id of a case")]
Page = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="`page` of a scan in the result")]
Rank = Annotated[int, Path(ge=1, le=999, description="of a nodule")]
Chunk = Annotated[int, Path(ge=0, le=9999)]
MOST_LISTED = 200
YEAR_SECONDS = 365 * 24 * 3600
UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}},
                        **{name: {"type": "string", "description": words} for name, words in FIELDS.items()},
                    },
                }
            }
        },
    }
}
# What a browser may show; everything else is saved.
SHOWN = {".html": "text/html; charset=utf-8", ".png": "image/png"}
SAVED = {".csv": "text/csv; charset=utf-8", ".json": "application/json", ".dcm": "application/dicom"}


def api(desk: Desk) -> APIRouter:
    """The routes of a desk."""
    router = APIRouter(prefix="/api/v1", responses=answers(400, 401, 403))
    _add_cases(router, desk)
    _add_results(router, desk)
    _add_voxels(router, desk)
    add_slices(router, desk)
    _add_session(router, desk)
    return router


def watching(desk: Desk) -> APIRouter:
    """What tells others how the server is."""
    router = APIRouter(tags=["watching"], responses=answers(400))

    @router.get("/health")
    def health() -> Health:
        """Whether the server answers."""
        return Health(status="ok")

    @router.get("/ready", responses={503: {"model": Ready}})
    def ready(response: Response) -> Ready:
        """Whether a worker takes cases."""
        workers = desk.pool.ready
        response.status_code = 200 if workers else 503
        return Ready(status="ready" if workers else "starting", workers=workers)

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **answers(401)})
    def metrics() -> Response:
        """Counters, for Prometheus."""
        text = desk.metrics.text(desk.cases.counts(), desk.pool.ready, desk.pool.count)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _add_cases(router: APIRouter, desk: Desk) -> None:
    @router.post(
        "/cases",
        status_code=202,
        tags=["cases"],
        openapi_extra=UPLOAD_BODY,
        responses={200: {"model": CaseOut, "description": "known already"}, **answers(408, 413, 415, 422, 429, 507)},
    )
    async def upload(request: Request, response: Response) -> CaseOut:
        """Upload a zip, DICOM files or an image file; the same content with the same options is the same case (200).

        The other fields go with the files, all optional: of the person, for Brock's models, and what else is wanted.
        """
        length = request.headers.get("content-length", "")
        stated = int(length) if length.isdecimal() else None
        new, case = await desk.take(request.stream(), request.headers.get("content-type", ""), stated)
        response.status_code = 202 if new else 200
        response.headers["Location"] = f"/api/v1/cases/{case.id}"
        return case_out(desk, case)

    @router.get("/cases", tags=["cases"], responses=answers(422))
    def cases(
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 50,
        offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
        state: State | None = None,
    ) -> CaseList:
        """Cases, the newest first."""
        total, found = desk.cases.page(limit, offset, state)
        return CaseList(total=total, items=[case_out(desk, case) for case in found])

    @router.get("/cases/{case}", tags=["cases"], responses=answers(404, 422))
    def one(case: CaseId) -> CaseOut:
        """How a case stands, with its place in the queue."""
        return case_out(desk, desk.case(case))

    @router.post("/cases/{case}/cancel", tags=["cases"], responses=answers(404, 409, 422))
    def cancel(case: CaseId) -> CaseOut:
        """End a case that waits or runs; what was uploaded stays, and uploading it again begins anew."""
        return case_out(desk, desk.cancel(case))

    @router.delete("/cases/{case}", tags=["cases"], status_code=204, responses=answers(404, 422))
    def delete(case: CaseId) -> None:
        """Delete a case and all its files."""
        desk.delete(case)


def _add_results(router: APIRouter, desk: Desk) -> None:
    @router.get(
        "/cases/{case}/result", tags=["results"], response_model_exclude_unset=True, responses=answers(404, 409, 422)
    )
    def result(case: CaseId) -> ResultOut:
        """All that is known of a case; 422 with the intake's reason when none of its scans could be read."""
        return ResultOut(**desk.result(case))

    @router.get("/cases/{case}/files", tags=["results"], responses=answers(404, 409, 422))
    def files(case: CaseId) -> list[FileOut]:
        """The files of the results: tables, report, key images."""
        return [FileOut(name=name, bytes=path.stat().st_size) for name, path in desk.files(case).items()]

    @router.get(
        "/cases/{case}/files/{name:path}",
        tags=["results"],
        response_class=FileResponse,
        responses={200: {"content": {"application/octet-stream": {}}}, **answers(404, 409, 422)},
    )
    def file(case: CaseId, name: str) -> FileResponse:
        """A file of the results, by its name in the list."""
        path = desk.files(case).get(name)
        if path is None:
            raise ProblemError(404, "no_such_file", "there is no file of this name")
        if path.suffix in SHOWN:
            return FileResponse(
                path, media_type=SHOWN[path.suffix], headers={"Content-Security-Policy": REPORT_POLICY}
            )
        kind = SAVED.get(path.suffix, "application/octet-stream")
        return FileResponse(path, media_type=kind, filename=f"{case[:8]}-{path.name}")


def _add_voxels(router: APIRouter, desk: Desk) -> None:
    @router.get("/cases/{case}/volumes/{page}", tags=["results"], responses=answers(404, 422))
    def volume(case: CaseId, page: Page) -> VolumeOut:
        """The grid of a scan as it was read, upright: x to the left, y to the back, z to the head."""
        return VolumeOut.model_validate_json(desk.volume(case, page, "volume.json").read_bytes())

    @router.get(
        "/cases/{case}/volumes/{page}/{chunk}",
        tags=["results"],
        response_class=FileResponse,
        responses={200: {"content": {"application/octet-stream": {}}}, **answers(404, 422)},
    )
    def voxels(case: CaseId, page: Page, chunk: Chunk) -> FileResponse:
        """`chunk_slices` axial slices: Hounsfield units as int16, little endian, packed as the transfer's encoding."""
        return _packed(desk.volume(case, page, f"{chunk:03d}.gz"))

    @router.get("/cases/{case}/heat/{page}", tags=["results"], responses=answers(404, 422))
    def heat(case: CaseId, page: Page) -> HeatOut:
        """Which nodules of a scan have a heat map, and where; 404 in cases that are older than these maps."""
        return HeatOut.model_validate_json(desk.volume(case, page, HEAT).read_bytes())

    @router.get(
        "/cases/{case}/heat/{page}/{rank}",
        tags=["results"],
        response_class=FileResponse,
        responses={200: {"content": {"application/octet-stream": {}}}, **answers(404, 422)},
    )
    def heat_map(case: CaseId, page: Page, rank: Rank) -> FileResponse:
        """The heat map of a nodule on its part of the viewer's grid: int8, packed as the transfer's encoding."""
        return _packed(desk.volume(case, page, f"heat_{rank}.gz"))

    @router.get("/cases/{case}/prior/{page}", tags=["results"], responses=answers(404, 422))
    def prior(case: CaseId, page: Page) -> PlacesOut:
        """Which voxels of a scan have a place in its earlier one; 404 where there is none."""
        return PlacesOut.model_validate_json(desk.volume(case, page, PRIOR).read_bytes())

    @router.get(
        "/cases/{case}/prior/{page}/places",
        tags=["results"],
        response_class=FileResponse,
        responses={200: {"content": {"application/octet-stream": {}}}, **answers(404, 422)},
    )
    def places(case: CaseId, page: Page) -> FileResponse:
        """The places: world LPS mm (x, y, z) as float32, little endian, packed as the transfer's encoding."""
        return _packed(desk.volume(case, page, PLACES))


def _packed(path: FilePath) -> FileResponse:
    """A gzipped array, which never changes."""
    headers = {"Content-Encoding": "gzip", "Cache-Control": f"private, max-age={YEAR_SECONDS}, immutable"}
    return FileResponse(path, media_type="application/octet-stream", headers=headers)


def _add_session(router: APIRouter, desk: Desk) -> None:
    @router.post("/session", tags=["session"], status_code=204, responses=answers(401, 422))
    def log_in(given: Token, request: Request, response: Response) -> None:
        """Let a browser in by a token; it is handed a cookie that no script can read."""
        session = "" if desk.access.open else desk.access.session_of(given.token)
        if session is None:
            raise ProblemError(401, "wrong_token", "no such token")
        secure: dict[str, Any] = {"httponly": True, "samesite": "strict", "secure": request.url.scheme == "https"}
        response.set_cookie(COOKIE, session, **secure)

    @router.delete("/session", tags=["session"], status_code=204)
    def log_out(response: Response) -> None:
        """Let go of the cookie."""
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
