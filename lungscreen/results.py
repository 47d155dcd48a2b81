"""An answer in plain types, as the journal keeps it, and back; all tables are made of what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from classification.assessment import NoduleAssessment, PatientReport
from detection.candidate import Candidate
from lungscreen.tables import Result
from preprocessing.geometry import Geometry
from preprocessing.journal.record import Record


def as_found(candidates: Sequence[Candidate], report: PatientReport, source: Geometry) -> dict[str, Any]:
    """What the tables need of a scan.

    Args:
        candidates: of stage 1, or given.
        report: of stage 2.
        source: the grid that was read.
    """
    return {
        "candidates": [asdict(candidate) for candidate in candidates],
        "report": asdict(report),
        "source": source.to_dict(),
    }


def result_of(record: Record) -> Result | None:
    """The report in a record, its scan and grid; None of a refused scan."""
    if record.answer is None:
        return None
    stored = record.answer.found["report"]
    nodules = tuple(_nodule(row) for row in stored["nodules"])
    report = PatientReport(**{**stored, "nodules": nodules, "warnings": tuple(stored["warnings"])})
    return Result(report, Geometry.from_dict(record.answer.found["source"]), record.scan)


def _nodule(row: Mapping[str, Any]) -> NoduleAssessment:
    candidate = row["candidate"]
    return NoduleAssessment(
        **{**row, "candidate": Candidate(**{**candidate, "center_mm": tuple(candidate["center_mm"])})}
    )
