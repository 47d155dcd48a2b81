"""What the routes answer with, as the OpenAPI document states it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lungscreen.server.desk import Desk
from lungscreen.server.jobs.cases import Case, State

# What the two ends of the range are.
RANGE = (
    "of the answers of the network and of its fold networks, each of which learnt from other patients: how far the "
    "answer depends on whom one learns from. Not a confidence interval: no share of the truths lies in it by right. "
    "null: these weights have no fold networks, or nothing was assessed"
)


class Progress(BaseModel):
    """How far the worker of a case is."""

    step: str
    done: int = Field(description="scans that are finished")
    of: int = Field(description="scans in all; 0: not known yet")


class CaseOut(BaseModel):
    """A case; nothing in it tells of the patient."""

    id: str = Field(description="32 hex digits of the checksum of what was uploaded")
    state: State
    created: float = Field(description="seconds since 1970")
    started: float | None
    finished: float | None
    attempts: int
    files: int
    bytes: int
    scans: int | None = Field(description="series found, when it is done")
    refused: int | None = Field(description="series of them that were refused")
    reason: str = Field(description="why it was refused or failed: a fixed word")
    detail: str = Field(description="the same as a sentence")
    place: int | None = Field(description="in the queue, 1 comes next; null when it does not wait")
    progress: Progress | None


class CaseList(BaseModel):
    """Some of the cases, the newest first."""

    total: int
    items: list[CaseOut]


class FileOut(BaseModel):
    """A file of the results."""

    name: str
    bytes: int


class Health(BaseModel):
    """Whether the server lives."""

    status: Literal["ok"]


class Ready(BaseModel):
    """Whether cases are taken and worked on."""

    status: Literal["ready", "starting"]
    workers: int = Field(description="that take cases")


class VolumeOut(BaseModel):
    """The grid of the voxels that the viewer shows: [z, y, x], world LPS mm."""

    shape_zyx: list[int]
    spacing_mm: list[float] = Field(description="x, y, z")
    origin_mm: list[float]
    direction: list[float] = Field(description="row by row; column k is the unit vector of axis k")
    chunk_slices: int
    chunks: int


class HeatBox(BaseModel):
    """Where the heat map of a nodule lies on the viewer's grid."""

    rank: int = Field(description="of the nodule")
    start_zyx: list[int]
    shape_zyx: list[int]


class HeatOut(BaseModel):
    """The heat maps of a scan: integrated gradients of a nodule's chance of cancer."""

    full: int = Field(description="value of the strongest voxel of a map; below 0: it lowers the chance")
    maps: list[HeatBox] = Field(description="of the first nodules")


class PlacesOut(BaseModel):
    """Where the voxels of a scan lie in its earlier one: a place for every so many of them."""

    step_zyx: list[int] = Field(description="voxels of the viewer's grid between two places")
    shape_zyx: list[int] = Field(description="of the places")


class PriorOut(BaseModel):
    """The earlier scan that a scan is compared with."""

    page: str = Field(description="its own `page`")
    series_uid: str
    days: float | None = Field(description="from it to the scan; null: not known")
    correlation: float | None = Field(description="of grey values within the lungs, after registration")


class ScanOut(BaseModel):
    """A series that was found; of one that was refused only what its headers say, and why."""

    model_config = ConfigDict(extra="allow")

    page: str | None = Field(description="names the scan in the paths of its voxels; null: refused")
    patient_id: str
    series_uid: str
    study_uid: str
    study_date: str = Field(description="as DICOM writes it, YYYYMMDD, or empty")
    kind: str
    status: Literal["ok", "refused"]
    reason: str = Field(description="of a refusal: the intake's fixed word")
    detail: str
    warnings: list[str]
    cancer_probability: float | None = Field(
        default=None, description="of a lung cancer diagnosed within a year of the scan; null where nobody can say"
    )
    cancer_least: float | None = Field(default=None, description=f"least {RANGE}")
    cancer_most: float | None = Field(default=None, description=f"largest {RANGE}")
    prior: PriorOut | None = Field(default=None, description="null: there is none")
    nodules: list[dict[str, Any]] = Field(
        default=[],
        description="the largest contribution first; `voxel_zyx` lies on the viewer's grid, `prior` is what it was in "
        "the earlier scan; of a time that is endless `doubling_days` is null",
    )


class ResultOut(BaseModel):
    """`result.json`: all that is known of a case."""

    notice: str
    lungscreen: str
    scans: list[ScanOut]


class Token(BaseModel):
    """To log in."""

    token: str = Field(max_length=1000)


def case_out(desk: Desk, case: Case) -> CaseOut:
    """A case as it is now."""
    known = {name: getattr(case, name) for name in CaseOut.model_fields if name not in ("place", "progress")}
    said = desk.pool.progress(case.id)
    return CaseOut(**known, place=desk.cases.place(case), progress=Progress(**said) if said else None)
