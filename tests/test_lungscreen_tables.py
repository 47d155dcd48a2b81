"""Which series stands for a patient's study in `patients.csv`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from classification.assessment import PatientReport
from lungscreen.tables import Result, lungs, write_patients
from preprocessing.geometry import Geometry
from preprocessing.intake.scan import Scan, SeriesKind


def result(
    uid: str, probability: float, spacing_mm: float = 2.5, kind: SeriesKind = SeriesKind.ORIGINAL, study: str = "s",
    date: str = "",
) -> Result:  # fmt: skip
    geometry = Geometry((100, 10, 10), (1, 1, spacing_mm), (0, 0, 0), np.eye(3))
    scan = Scan("p", uid, (), study_uid=study, study_date=date, kind=kind)
    return Result(PatientReport("p", uid, probability, (), 0.01), geometry, scan)


def rows(tmp_path: Path, *results: Result) -> pd.DataFrame:
    write_patients(tmp_path / "patients.csv", results)
    return pd.read_csv(tmp_path / "patients.csv", dtype=str, keep_default_na=False)


def test_the_original_axial_series_comes_before_finer_reformats(tmp_path: Path) -> None:
    table = rows(
        tmp_path,
        result("coronal", 0.9, 0.7, SeriesKind.REFORMATTED),
        result("derived", 0.8, 1.0, SeriesKind.DERIVED),
        result("thick", 0.3, 5.0),
        result("thin", 0.2, 2.5),
    )
    assert table[["seriesuid", "cancer", "series", "kind"]].to_numpy().tolist() == [
        ["thin", "0.200000", "4", "original"]
    ]


def test_a_reformat_alone_stands_for_its_patient(tmp_path: Path) -> None:
    table = rows(tmp_path, result("coronal", 0.9, 0.7, SeriesKind.REFORMATTED))
    assert table[["seriesuid", "kind"]].to_numpy().tolist() == [["coronal", "reformatted"]]


def test_each_study_of_an_id_has_its_row_and_the_newest_is_marked(tmp_path: Path) -> None:
    one, two = result("a", 0.9, study="1", date="20240501"), result("b", 0.1, study="2", date="20230501")
    table = rows(tmp_path, two, one)
    assert table[["id", "cancer", "study", "newest"]].to_numpy().tolist() == [
        ["p", "0.900000", "1", "yes"],
        ["p", "0.100000", "2", "no"],
    ]
    # Without all the dates nobody knows, nor when an anonymiser made them one.
    for date in ("", "20240501"):
        table = rows(tmp_path, one, result("b", 0.1, study="2", date=date))
        assert table["newest"].tolist() == ["", ""]


def test_whether_the_lungs_were_whole() -> None:
    assert lungs(["missing_slices: one", "mixed_rescale: two"]) == "whole"
    assert lungs(["lungs_cut: at the feet", "lung_mask: one lung"]) == "cut, one"
    assert lungs(["one_lung: the scan ends in the middle"]) == "one"
