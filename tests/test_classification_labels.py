"""Labels out of the tables that collections come with, each row by hand."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from classification.evaluate import EvaluateSettings
from classification.labels.interface import reader
from classification.labels.nlst import label_of
from runs.entry import UsageError, compose_settings
from runs.guards import GuardError

LIDC = Path("../shared/data/lidc_diagnosis.csv")
DSB = Path("../shared/data/dsb2017/stage1_labels.csv")

PRSN = """pid,scr_days0,scr_days1,scr_days2,candx_days,fup_days
100,5,400,.,,2500
101,5,400,800,370,2500
102,5,400,800,371,2500
103,5,400,800,3,2500
104,5,400,,.N,600
105,.M,400,800,900,2500
"""


def labels(path: Path, *overrides: str) -> dict[str, str]:
    truth = compose_settings(EvaluateSettings, "classification_evaluate", overrides).truth
    return {str(k): v for k, v in reader(truth)(path)["cancer"].items()}


def written(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["table", "dsb2017", "phantoms"])
def test_plain_tables(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, "id,cancer\n007,1\nb,0\n")
    assert labels(path, f"truth={name}") == {"007": "1", "b": "0"}


def test_columns_of_another_name(tmp_path: Path) -> None:
    path = written(tmp_path, "cancer,PatientID,lung\nbreast,007,1\nnone,b,0\n")
    assert labels(path, "truth.id=PatientID", "truth.cancer=lung") == {"007": "1", "b": "0"}
    with pytest.raises(GuardError, match=r"missing_column: labels\.csv must have the columns PatientID,ill"):
        labels(path, "truth.id=PatientID", "truth.cancer=ill")


def test_lidc_diagnoses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, "patient_id,diagnosis,method\na,0,\nb,1,2\nc,2,1\nd,3,1\n")
    with caplog.at_level(logging.INFO):
        assert labels(path, "truth=lidc_diagnosis") == {"b": "0", "c": "1", "d": "1"}
    assert "3 have a label; without one: 1 with an unknown diagnosis" in caplog.text
    assert labels(path, "truth=lidc_diagnosis", "truth.metastases=benign") == {"b": "0", "c": "1", "d": "0"}
    assert labels(path, "truth=lidc_diagnosis", "truth.metastases=left_out") == {"b": "0", "c": "1"}
    for text, said in (
        ("patient_id,diagnosis\na,4\n", "diagnosis in line 2 must be 0, 1, 2 or 3, got '4'"),
        ("patient_id,diagnosis\na,1\na,2\n", "duplicate_ids"),
        ("patient_id,diagnosis\na,0\n", "nobody a label: 1 with an unknown diagnosis"),
        ("patient,diagnosis\na,1\n", "missing: patient_id"),
    ):
        with pytest.raises(UsageError, match=said):
            labels(written(tmp_path, text), "truth=lidc_diagnosis")


@pytest.mark.parametrize(
    ("screened", "diagnosed", "followed", "label"),
    [
        (5, 5, 5, "1"),
        (5, 370, 0, "1"),
        (5, 371, 0, "0"),
        (5, float("nan"), 370, "0"),
        (5, float("nan"), 369, "not followed for long enough"),
        (5, float("nan"), float("nan"), "not followed for long enough"),
        (5, 4, 2000, "diagnosed before the screen"),
        (float("nan"), 4, 2000, "without the screen"),
    ],
)
def test_a_year_from_the_screen(screened: float, diagnosed: float, followed: float, label: str) -> None:
    assert label_of(screened, diagnosed, followed, 365) == label


def test_nlst_participants(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, PRSN)
    with caplog.at_level(logging.INFO):
        assert labels(path, "truth=nlst") == {"100": "0", "101": "1", "102": "0", "104": "0"}
    assert "1 diagnosed before the screen" in caplog.text
    assert "1 without the screen" in caplog.text
    # The second screen, on day 400: 101 to 103 were diagnosed before, 104 followed for 200 days.
    assert labels(path, "truth=nlst", "truth.screens=[1]") == {"100": "0", "105": "0"}
    both = labels(path, "truth=nlst", "truth.screens=[0,2]", "truth.id='{pid}_T{screen}'")
    assert both == {"100_T0": "0", "101_T0": "1", "102_T0": "0", "104_T0": "0", "105_T2": "1"}
    truth = compose_settings(
        EvaluateSettings,
        "classification_evaluate",
        ["truth=nlst", "truth.screens=[0,2]", "truth.id='{pid}_T{screen}'"],
    ).truth
    assert reader(truth)(path).loc["105_T2", "patient"] == "105"


def test_nlst_of_the_imaging_data_commons_has_no_fup_days(tmp_path: Path) -> None:
    path = written(tmp_path, "pid,scr_days0,candx_days,canc_free_days\n1,0,,365\n2,0,,364\n3,0,9,9\n")
    assert labels(path, "truth=nlst") == {"1": "0", "3": "1"}
    with pytest.raises(UsageError, match="missing: fup_days"):
        labels(written(tmp_path, "pid,scr_days0,candx_days\n1,0,\n"), "truth=nlst")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["truth=nlst", "truth.screens=[3]"], r"truth\.screens must be some of 0, 1, 2; got \[3\]"),
        (["truth=nlst", "truth.screens=[0,1]"], r"truth\.id must hold \{pid\} and \{screen\}; got \{pid\}"),
        (["truth=nlst", "truth.within_days=0"], r"truth\.within_days must be above 0, got 0"),
        (["truth=lidc_diagnosis", "truth.metastases=no"], r"truth\.metastases"),
        (["truth.kind=x"], r"truth\.kind must be one of lidc_diagnosis, nlst, table; got x"),
        (["truth.screens=[0]"], "screens"),
    ],
)
def test_wrong_choices_are_refused_by_name(overrides: list[str], said: str) -> None:
    with pytest.raises(Exception, match=said):
        compose_settings(EvaluateSettings, "classification_evaluate", overrides)


@pytest.mark.skipif(not LIDC.exists(), reason="../shared/data/lidc_diagnosis.csv is missing")
def test_the_real_diagnoses() -> None:
    found = list(labels(LIDC, "truth=lidc_diagnosis").values())
    assert (len(found), found.count("1")) == (63, 48)


@pytest.mark.skipif(not DSB.exists(), reason="../shared/data/dsb2017 is missing")
def test_the_real_labels_of_dsb2017() -> None:
    found = list(labels(DSB, "truth=dsb2017").values())
    assert (len(found), found.count("1")) == (1595, 419)
