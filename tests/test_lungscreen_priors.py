"""Which earlier scan is compared with, and a comparison from files to report."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import SimpleITK as sitk

from lungscreen.classify import classify
from lungscreen.priors import Priors, find_priors
from preprocessing.intake.scan import Scan
from runs.entry import UsageError
from tests.test_lungscreen_classify import settings, write_chest

NOW = Scan("p", "1.9", (Path("a"),), study_uid="9", study_date="20240301")


def earlier(uid: str, date: str, patient: str = "p", files: int = 1) -> Scan:
    return Scan(patient, f"1.{uid}", (Path(uid),) * files, study_uid=uid, study_date=date)


def test_the_latest_earlier_study_with_the_most_slices() -> None:
    given = [
        earlier("1", "20230301"), earlier("2", "20240101"), earlier("3", "20240101", files=5),
        earlier("4", "20240302"), earlier("5", "20240201", "q"),
    ]  # fmt: skip
    found = Priors(given, [NOW, NOW]).of(NOW)
    assert found is not None
    assert found[0].series_uid == "1.3"
    assert found[1] == 60  # from 1 January to 1 March 2024, a leap year
    # Days that are given stand above dates, which anonymising makes equal.
    assert Priors([earlier("1", NOW.study_date)], [NOW, NOW]).of(NOW) is None
    assert Priors([earlier("1", NOW.study_date)], [NOW, NOW], days=90.0).of(NOW) is not None
    assert Priors(given[:3], [NOW, NOW], days=90.0).of(NOW) == (given[2], 90.0)


def test_without_dates_the_days_are_unknown_and_one_beside_one_is_a_pair() -> None:
    found = Priors([earlier("1", "", "another name")], [NOW]).of(NOW)
    assert found is not None
    assert math.isnan(found[1])
    assert Priors([earlier("1", "", "another name")], [NOW, NOW]).of(NOW) is None


def test_two_studies_of_one_patient_in_one_run_are_compared() -> None:
    before = earlier("1", "20240101")
    scans = [NOW, before, earlier("2", "20231201", "q"), earlier("3", "", "p"), replace(before, study_uid="9")]
    priors = find_priors(None, None, scans)
    assert priors.of(NOW) == (before, 60.0)
    assert priors.of(before) is None


def test_nothing_to_compare_with_is_said(tmp_path: Path) -> None:
    write_chest(tmp_path / "now.mha")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="there is no prior="):
        find_priors(None, 30.0, [NOW])
    with pytest.raises(UsageError, match="at least one scan that can be read"):
        find_priors(tmp_path / "empty", None, [NOW])
    with pytest.raises(UsageError, match=r"none of the 1 scan\(s\) under prior= .* of the 2 scan"):
        find_priors(tmp_path / "now.mha", None, [NOW, NOW])


@pytest.mark.slow
def test_from_files_to_a_report_that_compares(tmp_path: Path) -> None:
    for name, seed in (("now", 1), ("before", 2)):
        (tmp_path / name).mkdir()
        write_chest(tmp_path / name / "p.mha", seed)
    asked = settings(tmp_path, tmp_path / "now")
    assert classify(replace(asked, prior=tmp_path / "before", prior_days=100.0)) == 0
    nodules = pd.read_csv(tmp_path / "out" / "nodules.csv")
    assert set(nodules["change"]) <= {"new", "stable", "grown", "shrunk"}
    assert nodules["prior_mean_diameter_mm"].notna().any()
    page = next(p for p in (tmp_path / "out" / "report").glob("*.html") if p.name != "index.html").read_text()
    assert "Since the earlier scan" in page
    assert "compared with the earlier CT" in page


@pytest.mark.slow
def test_an_earlier_scan_without_lungs_is_said_and_not_compared_with(tmp_path: Path) -> None:
    for name in ("now", "before"):
        (tmp_path / name).mkdir()
        write_chest(tmp_path / name / "p.mha")
    image = sitk.ReadImage(str(tmp_path / "before/p.mha"))
    hu = sitk.GetArrayFromImage(image)
    hu[hu == -850] = 40
    hu[:20, :22] = -1000  # air enough for a chest CT, all of it outside
    emptied = sitk.GetImageFromArray(hu)
    emptied.CopyInformation(image)
    sitk.WriteImage(emptied, str(tmp_path / "before/p.mha"))
    asked = settings(tmp_path, tmp_path / "now")
    assert classify(replace(asked, prior=tmp_path / "before", prior_days=100.0)) == 0
    assert "prior_unreadable: no_lungs" in (tmp_path / "out" / "scans.csv").read_text()
    assert "change" not in pd.read_csv(tmp_path / "out" / "nodules.csv").dropna(axis=1, how="all")
