"""A scan on disk: cheap to list, to split by patient and to hand on, before any pixel is read."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

log = logging.getLogger(__name__)


class Reason(StrEnum):
    """Why a scan was refused; the machine-readable column `reason` of scans.csv."""

    EMPTY_FOLDER = "empty_folder"
    NOT_DICOM = "not_dicom"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    NOT_CT = "not_ct"
    LOCALISER = "localiser"
    LABEL_MAP = "label_map"
    NOT_MONOCHROME = "not_monochrome"
    MISSING_TAG = "missing_tag"
    BAD_VALUE = "bad_value"
    NOT_HOUNSFIELD = "not_hounsfield"
    TOO_FEW_SLICES = "too_few_slices"
    MISSING_SLICES = "missing_slices"
    DUPLICATE_SLICES = "duplicate_slices"
    UNEVEN_SPACING = "uneven_spacing"
    THICK_SLICES = "thick_slices"
    GANTRY_TILT = "gantry_tilt"
    MIXED_GEOMETRY = "mixed_geometry"
    IMPLAUSIBLE_SIZE = "implausible_size"
    PROJECTION = "projection"
    NO_LUNGS = "no_lungs"
    UNSUPPORTED_SYNTAX = "unsupported_syntax"
    UNREADABLE = "unreadable"
    INTERNAL_ERROR = "internal_error"
    WORKER_DIED = "worker_died"
    TIME_LIMIT = "time_limit"


class SeriesKind(StrEnum):
    """How near a series is to what the scanner measured, the nearest first."""

    ORIGINAL = "original"
    DERIVED = "derived"
    REFORMATTED = "reformatted"


class ScanError(ValueError):
    """A scan that cannot be used, with its `reason`; the `detail` carries no patient data."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)  # both, so that it survives the way back from a worker process
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


def in_kind(error: Exception) -> str:
    """An unexpected error by its kind, and what the system says of it; its own text may quote the file."""
    said = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
    return f"unexpected {type(error).__name__}{said}"


def known(error: Exception) -> ScanError:
    """A reason for whatever a damaged file can raise: one file must never end a cohort."""
    if isinstance(error, ScanError):
        return error
    if isinstance(error, OSError):
        return ScanError(Reason.UNREADABLE, "a file cannot be opened")
    log.warning("a file failed with %s; the run goes on (debug logging shows where)", type(error).__name__)
    log.debug("traceback", exc_info=error)
    return ScanError(Reason.INTERNAL_ERROR, in_kind(error))


@dataclass(frozen=True, slots=True)
class Scan:
    """One CT series as found on disk.

    Attributes:
        patient_id: the patient this scan belongs to; the unit of every split.
        series_uid: SeriesInstanceUID, or for image files the file name without its ending (a LUNA16 uid).
        paths: the files, in slice order for single-frame DICOM.
        refused: why it cannot be used, or None.
        detail: one sentence about `refused`: what was expected and what came.
        warnings: repairs and oddities, each `code: sentence`.
        study_uid: StudyInstanceUID; empty for image files.
        study_date: StudyDate, YYYYMMDD; empty where there is none.
        kind: whether it was measured or computed.
        frames: for each file those of its images that belong to the scan; empty: all.
    """

    patient_id: str
    series_uid: str
    paths: tuple[Path, ...]
    refused: Reason | None = None
    detail: str = ""
    warnings: tuple[str, ...] = ()
    study_uid: str = ""
    study_date: str = ""
    kind: SeriesKind = SeriesKind.ORIGINAL
    frames: tuple[tuple[int, ...], ...] = ()

    def holds(self, path: Path, frame: int) -> bool:
        """Whether an image of one of its files belongs to the scan."""
        return not self.frames or frame in self.frames[self.paths.index(path)]
