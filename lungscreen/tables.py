"""`patients.csv` and `nodules.csv`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from classification.assessment import NoduleAssessment, PatientReport
from lungscreen.report.page import page_name
from preprocessing.geometry import Geometry
from preprocessing.intake.scan import Scan, SeriesKind
from runs.csv_text import write_csv

# What the column `lungs` says for the code of a warning.
NOT_WHOLE = {
    "lungs_cut": "cut",
    "already_masked": "masked",
    "lung_mask": "one",
    "one_lung": "one",
    "unsearched": "not all searched",
}
PLACE = ("coordX", "coordY", "coordZ", "diameter_mm")


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A report, the scan it is about and the grid that was read."""

    report: PatientReport
    source: Geometry
    scan: Scan


def write_patients(path: Path, results: Sequence[Result]) -> None:
    """One row per patient and study, `id,cancer` first (a DSB2017 submission).

    A study with several series is represented by an original one before a derived one and that before a reformat,
    then by the one with the thinnest slices, then the most slices, then the first uid; `series` says how many there
    were and `page` which file of the report is about it. `lungs` says whether they are whole in the scan; `newest`
    marks the latest of a patient's studies where all have dates of their own. `calibration` says what `cancer` is
    calibrated by, if it is; `classifier` is the checksum of the weights, `cancer_least` and `cancer_most` the range of
    the answers of networks that learnt from other patients. The rows come in the order of the ids, then
    of the studies.
    """
    by_study: dict[tuple[str, str], list[Result]] = {}
    dates: dict[str, dict[str, str]] = {}
    for result in results:
        patient = result.report.patient_id
        by_study.setdefault((patient, result.scan.study_uid), []).append(result)
        dates.setdefault(patient, {})[result.scan.study_uid] = result.scan.study_date
    rows = [_patient_row(name, group, dates[name]) for (name, _), group in sorted(by_study.items())]
    columns = [
        "id",
        "cancer",
        "seriesuid",
        "series",
        "nodules",
        "largest_mm",
        "leak",
        "page",
        "lungs",
        "kind",
        "study",
        "newest",
        "adds_up_to",
        "uncalibrated",
        "calibration",
        "classifier",
        "cancer_least",
        "cancer_most",
    ]
    write_csv(path, pd.DataFrame(rows, columns=columns))


def write_nodules(path: Path, reports: Iterable[PatientReport]) -> None:
    """One row per assessed nodule, largest contribution first within a scan; world LPS mm.

    With the leak of `patients.csv` the contributions of a scan add up to what `adds_up_to` there says of P, its column
    `uncalibrated`: -log(1 - P) (`log_survival`) or its logit. `risk_without` is the patient's `cancer` without the
    nodule.
    What is not known, of a bare crop its place in the chest and its share, is empty or `unknown`.
    """
    rows = [_nodule_row(report, rank, n) for report in reports for rank, n in enumerate(report.nodules, 1)]
    lead = ["id", "seriesuid", "rank", *PLACE, "probability", "malignancy", "chance", "contribution", "risk_without"]
    more = sorted({key for row in rows for key in row} - set(lead))
    write_csv(path, pd.DataFrame(rows, columns=[*lead, *more]))


def _patient_row(patient: str, group: list[Result], dates: dict[str, str]) -> tuple[Any, ...]:
    chosen = min(group, key=_order)
    best, scan = chosen.report, chosen.scan
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
        lungs(best.warnings),
        str(scan.kind),
        scan.study_uid,
        _newest(scan, list(dates.values())),
        best.adds_up_to,
        f"{best.cancer_probability if best.uncalibrated is None else best.uncalibrated:.6f}",
        best.calibration,
        best.provenance.get("classifier_sha256", ""),
        *("" if value is None else f"{value:.6f}" for value in (best.least, best.most)),
    )


def _newest(scan: Scan, dates: list[str]) -> str:
    """`yes` or `no`; empty where a date is missing or, as in anonymised studies, two are the same."""
    if "" in dates or len(set(dates)) < len(dates):
        return ""
    return "yes" if scan.study_date == max(dates) else "no"


def _order(result: Result) -> tuple[Any, ...]:
    spacing, slices = result.source.spacing_mm[2], result.source.shape_zyx[0]
    return (list(SeriesKind).index(result.scan.kind), spacing, -slices, result.report.series_uid)


def lungs(warnings: Iterable[str]) -> str:
    """`whole`, or in a word or two how they are not, from the codes of the warnings."""
    codes = {warning.partition(":")[0] for warning in warnings}
    return ", ".join(dict.fromkeys(word for code, word in NOT_WHOLE.items() if code in codes)) or "whole"


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
        "chance": f"{nodule.chance:.6f}",
        "contribution": _number(nodule.contribution, 6),
        "risk_without": _number(nodule.risk_without, 6),
    }


def _written(value: float | str) -> str:
    return value if isinstance(value, str) else _number(value, 3)


def _number(value: float, digits: int) -> str:
    """Empty where it is not known."""
    return "" if math.isnan(value) else f"{value:.{digits}f}"
