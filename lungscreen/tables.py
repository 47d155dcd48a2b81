"""`patients.csv` and `nodules.csv`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from classification.assessment import NoduleAssessment, PatientReport
from lungscreen.report.page import page_name
from preprocessing.geometry import Geometry
from runs.csv_text import write_csv

PLACE = ("coordX", "coordY", "coordZ", "diameter_mm")


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A report and the grid of the scan it is about."""

    report: PatientReport
    source: Geometry


def write_patients(path: Path, results: Sequence[Result]) -> None:
    """One row per patient, `id,cancer` first (a DSB2017 submission).

    A patient with several series is represented by the one with the thinnest slices, then the most slices, then
    the first uid; `series` says how many there were and `page` which file of the report is about it. The rows come in
    the order of the ids.
    """
    by_patient: dict[str, list[Result]] = {}
    for result in results:
        by_patient.setdefault(result.report.patient_id, []).append(result)
    rows = [_patient_row(name, group) for name, group in sorted(by_patient.items())]
    columns = ["id", "cancer", "seriesuid", "series", "nodules", "largest_mm", "leak", "page"]
    write_csv(path, pd.DataFrame(rows, columns=columns))


def write_nodules(path: Path, reports: Iterable[PatientReport]) -> None:
    """One row per assessed nodule, largest contribution first within a scan; world LPS mm.

    `contribution` is -log(1 - malignancy): with the leak the contributions of a scan add up to -log(1 - cancer).
    """
    rows = [_nodule_row(report, rank, n) for report in reports for rank, n in enumerate(report.nodules, 1)]
    lead = ["id", "seriesuid", "rank", *PLACE, "probability", "malignancy", "contribution"]
    more = sorted({key for row in rows for key in row} - set(lead))
    write_csv(path, pd.DataFrame(rows, columns=[*lead, *more]))


def _patient_row(patient: str, group: list[Result]) -> tuple[Any, ...]:
    best = min(group, key=lambda r: (r.source.spacing_mm[2], -r.source.shape_zyx[0], r.report.series_uid)).report
    largest = max((n.candidate.diameter_mm for n in best.nodules), default=0.0)
    return (
        patient,
        f"{best.cancer_probability:.6f}",
        best.series_uid,
        len(group),
        len(best.nodules),
        f"{largest:.2f}",
        f"{best.leak:.6f}",
        page_name(best.series_uid),
    )


def _nodule_row(report: PatientReport, rank: int, nodule: NoduleAssessment) -> dict[str, Any]:
    candidate = nodule.candidate
    place = [*candidate.center_mm, candidate.diameter_mm]
    extra = {key: _written(value) for key, value in {**nodule.measurements, **nodule.attributes}.items()}
    return {
        **extra,
        "id": report.patient_id,
        "seriesuid": report.series_uid,
        "rank": rank,
        **{key: f"{value:.3f}" for key, value in zip(PLACE, place, strict=True)},
        "probability": f"{candidate.score:.6f}",
        "malignancy": f"{nodule.malignancy:.6f}",
        "contribution": f"{nodule.contribution:.6f}",
    }


def _written(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3f}"
