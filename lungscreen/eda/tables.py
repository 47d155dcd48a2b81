"""The facts behind the page as CSV."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lungscreen.eda.comparisons import Comparison
from lungscreen.eda.facts import Cohort, NoduleFacts, ScanFacts
from lungscreen.eda.problems import Problem
from preprocessing.lidc.reading import RATINGS
from runs.csv_text import write_csv

SCAN_COLUMNS = [
    *("patient_id", "seriesuid", "status", "reason", "detail", "slices", "pixel_mm", "slice_mm", "thickness_mm"),
    *("kernel", "manufacturer", "kvp", "ctdivol_mgy", "lung_ml", "lung_mean_hu", "share_below_950", "warnings"),
]
NODULE_COLUMNS = [
    *("patient_id", "seriesuid", "diameter_mm", "n_readers", "right_to_left", "front_to_back", "foot_to_head"),
    *RATINGS,
]
TEST_COLUMNS = [
    *("question", "feature", "n_first", "n_second", "patients_first", "patients_second", "median_first"),
    *("median_second", "cliffs_delta", "low", "high", "p", "p_holm", "note"),
]


def write_tables(out: Path, cohort: Cohort, found: Sequence[Problem], compared: Sequence[Comparison]) -> None:
    """`problems.csv`, `scans.csv`, `nodules.csv` and `comparisons.csv`."""
    rows: list[dict[str, Any]] = [
        {"level": p.level, "code": p.code, "what": p.what, "patients": len(p.where), "where": ";".join(p.where)}
        for p in found
    ]
    write_csv(out / "problems.csv", pd.DataFrame(rows, columns=["level", "code", "what", "patients", "where"]))
    scans = [_scan_row(scan) for scan in cohort.scans]
    write_csv(out / "scans.csv", pd.DataFrame(scans, columns=SCAN_COLUMNS), float_format="%.6g")
    write_csv(out / "nodules.csv", pd.DataFrame([_nodule_row(n) for n in cohort.nodules], columns=NODULE_COLUMNS),
              float_format="%.6g")  # fmt: skip
    write_csv(out / "comparisons.csv", pd.DataFrame([_test_row(c) for c in compared], columns=TEST_COLUMNS),
              float_format="%.6g")  # fmt: skip


def _scan_row(scan: ScanFacts) -> tuple[Any, ...]:
    state = ("ok", "") if scan.status == "ok" else ("refused", scan.status)
    sizes = (scan.slices, scan.pixel_mm, scan.slice_mm, scan.thickness_mm)
    machine = (scan.kernel, scan.manufacturer, scan.kvp, scan.dose_mgy)
    lungs = scan.lungs
    seen = (lungs.volume_ml, lungs.mean_hu, lungs.below_950) if lungs else (math.nan,) * 3
    warnings = " | ".join(scan.warnings)
    return (scan.patient_id, scan.series_uid, *state, scan.detail, *sizes, *machine, *seen, warnings)


def _nodule_row(nodule: NoduleFacts) -> tuple[Any, ...]:
    place = nodule.place or (math.nan,) * 3
    ratings = (nodule.rating(name) for name in RATINGS)
    return (nodule.patient_id, nodule.series_uid, nodule.diameter_mm, nodule.n_readers, *place, *ratings)


def _test_row(c: Comparison) -> tuple[Any, ...]:
    delta = (c.delta.value, c.delta.low, c.delta.high) if c.delta else (math.nan,) * 3
    return (c.question, c.feature, *c.counts, *c.patients, *c.medians, *delta, c.p_value, c.p_holm, c.note)
