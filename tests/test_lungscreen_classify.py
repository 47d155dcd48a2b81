"""From files to report, as a user runs it; the weights are tiny and know nothing."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import SimpleITK as sitk

from classification.calibration.stored import FORMAT
from lungscreen.classify import ClassifySettings, classify
from runs.entry import UsageError
from tests.chests import simple_chest, write_chest
from tests.weights import tiny_classifier, tiny_detector

CSVS = ("patients.csv", "nodules.csv", "candidates.csv", "scans.csv")


def settings(tmp_path: Path, source: Path, out: str = "out", candidates: Path | None = None) -> ClassifySettings:
    return ClassifySettings(
        input=source,
        out=tmp_path / out,
        candidates=candidates if candidates else None,
        weights=tiny_detector(tmp_path),
        classifier=tiny_classifier(tmp_path),
        key_images=1,
    )


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    folder = tmp_path / "in put (1), a=b é"
    folder.mkdir()
    write_chest(folder / "first.mha", 1)
    write_chest(folder / "second.nii.gz", 2)
    (folder / "broken.mha").write_bytes(b"no header at all")
    return folder


def test_everything_a_user_expects_is_written_past_a_bad_scan(tmp_path: Path, cohort: Path) -> None:
    assert classify(settings(tmp_path, cohort)) == 0
    out = tmp_path / "out"
    scans = pd.read_csv(out / "scans.csv", keep_default_na=False).set_index("patient_id")
    assert scans["status"].to_dict() == {"first": "ok", "second": "ok", "broken": "refused"}
    assert scans.loc["broken", "reason"] == "unreadable"
    patients = pd.read_csv(out / "patients.csv")
    assert list(patients.columns[:2]) == ["id", "cancer"]
    assert patients["id"].tolist() == ["first", "second"]
    candidates = pd.read_csv(out / "candidates.csv")
    assert list(candidates.columns) == ["seriesuid", "coordX", "coordY", "coordZ", "probability", "diameter_mm"]
    nodules = pd.read_csv(out / "nodules.csv")
    for row in patients.itertuples():
        assert 0 < row.cancer < 1
        total = nodules.loc[nodules["id"] == row.id, "contribution"].sum() + row.leak
        assert 1 - math.exp(-total) == pytest.approx(row.cancer, abs=1e-5)
    index = (out / "report" / "index.html").read_text(encoding="utf-8")
    assert "first" in index
    assert "broken" in index
    assert "Research use only" in index
    assert list((out / "key_images").glob("*.png"))


def test_a_calibration_of_a_site_is_taken_and_said(tmp_path: Path, cohort: Path) -> None:
    stored = {
        "format": FORMAT, "map": {"kind": "logit_line", "slope": 1.0, "intercept": 0.0}, "log_odds": math.log(0.5),
        "words": "platt, fitted to 9 patients", "classifier": "",
    }  # fmt: skip
    (tmp_path / "site.json").write_text(json.dumps(stored))
    assert classify(replace(settings(tmp_path, cohort), calibration=tmp_path / "site.json")) == 0
    for row in pd.read_csv(tmp_path / "out" / "patients.csv").itertuples():
        assert row.cancer / (1 - row.cancer) == pytest.approx(row.uncalibrated / (1 - row.uncalibrated) / 2, rel=1e-3)
        assert row.calibration == "platt, fitted to 9 patients"
        assert len(row.classifier) == 16
        html = (tmp_path / "out" / "report" / row.page).read_text(encoding="utf-8")
        assert "Calibrated (platt, fitted to 9 patients)" in html
    (tmp_path / "site.json").write_text("{}")
    with pytest.raises(UsageError, match=r"site\.json must be a calibration\.json"):
        classify(replace(settings(tmp_path, cohort), calibration=tmp_path / "site.json"))


def test_same_input_twice_gives_the_same_bytes(tmp_path: Path, cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classify(settings(tmp_path, cohort, "one"))
    monkeypatch.setenv("LUNGSCREEN_CACHE", str(tmp_path / "fresh"))
    classify(settings(tmp_path, cohort, "two"))
    for name in (*CSVS, "report/index.html"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_given_candidates_take_the_place_of_stage_1(tmp_path: Path, cohort: Path) -> None:
    given = tmp_path / "mine.csv"
    given.write_text(
        "seriesuid,coordX,coordY,coordZ,probability\nfirst,20,0,0,0.9\nfirst,900,0,0,0.8\nelsewhere,0,0,0,0.5\n"
    )
    assert classify(settings(tmp_path, cohort, candidates=given)) == 0
    candidates = pd.read_csv(tmp_path / "out" / "candidates.csv")
    assert candidates[["seriesuid", "coordX", "probability"]].to_numpy().tolist() == [["first", 20.0, 0.9]]
    nodules = pd.read_csv(tmp_path / "out" / "nodules.csv")
    assert nodules["side"].tolist() == ["left"]
    page = pd.read_csv(tmp_path / "out" / "patients.csv").set_index("id").loc["first", "page"]
    report = (tmp_path / "out" / "report" / page).read_text(encoding="utf-8")
    assert "outside" in report
    warnings = pd.read_csv(tmp_path / "out" / "scans.csv").set_index("patient_id")["warnings"]
    assert "candidates_outside: 1 of 2 " in warnings["first"]
    assert "diameter_unknown" in warnings["first"]
    assert "no_candidates" in warnings["second"]


# The scan of `write_chest` reaches from (-72, -66, -54) to (69, 63, 51); its lungs from -54 to 51 in x.
@pytest.mark.parametrize(
    ("rows", "code", "left"),
    [
        ([(900, 0, 0), (20, 0, 0)], "candidates_outside: 1 of 2 ", 1),
        ([(900, 0, 0)], "candidates_outside: 1 of 1 ", 0),
        ([(-53.9, -41.9, -41.9), (51, 39, 39)], "diameter_unknown", 2),
    ],
)
def test_candidates_at_the_edge_of_the_lungs_and_beyond(
    rows: list[tuple[float, ...]], code: str, left: int, tmp_path: Path
) -> None:
    write_chest(tmp_path / "first.mha")
    done = classified(tmp_path, rows)
    assert done["status"].tolist() == ["ok"]
    assert code in done["warnings"][0]
    assert len(pd.read_csv(tmp_path / "out" / "nodules.csv")) == left


def test_candidates_in_the_scan_but_beyond_the_lung_box(tmp_path: Path) -> None:
    """The lungs of `simple_chest` begin at x = -135, the box 8 mm before it, the scan at -171."""
    volume = simple_chest(thickness=5.0)
    image = sitk.GetImageFromArray(volume.hu)
    image.SetSpacing(volume.geometry.spacing_mm)
    image.SetOrigin(volume.geometry.origin_mm)
    sitk.WriteImage(image, str(tmp_path / "first.mha"))
    done = classified(tmp_path, [(-165, 0, 150), (-134, 0, 150), (-75, 0, 150)])
    assert "candidates_beyond_lungs: 1 of 3 " in done["warnings"][0]
    assert done["status"].tolist() == ["ok"]
    assert len(pd.read_csv(tmp_path / "out" / "nodules.csv")) == 2


def test_ras_coordinates_are_called_so(tmp_path: Path) -> None:
    """The chest is moved to x from 104 to 245, y from 56 to 185: in RAS every x and y is negative."""
    write_chest(tmp_path / "first.mha", origin=(104.0, 56.0, -36.0))
    done = classified(tmp_path, [(-172, -100, 0), (-130, -100, 0), (172, 100, 0)])
    assert done["status"].tolist() == ["ok"]
    assert "candidates_ras: 2 of 3 lie outside the scan" in done["warnings"][0]
    assert "RAS" in done["warnings"][0]


def classified(tmp_path: Path, rows: list[tuple[float, ...]]) -> pd.DataFrame:
    """`scans.csv` after a run with candidates at these places and no diameters."""
    given = tmp_path / "mine.csv"
    lines = [f"first,{x},{y},{z},0.{9 - k}" for k, (x, y, z) in enumerate(rows)]
    given.write_text("\n".join(["seriesuid,coordX,coordY,coordZ,probability", *lines]) + "\n")
    assert classify(settings(tmp_path, tmp_path / "first.mha", candidates=given)) == 0
    return pd.read_csv(tmp_path / "out" / "scans.csv", keep_default_na=False)


def test_candidates_of_other_scans_are_a_mistake(tmp_path: Path, cohort: Path) -> None:
    given = tmp_path / "mine.csv"
    given.write_text("seriesuid,coordX,coordY,coordZ,probability\nelsewhere,0,0,0,0.5\n")
    with pytest.raises(ValueError, match="none of the 1 seriesuid"):
        classify(settings(tmp_path, cohort, candidates=given))


def test_nothing_readable_is_a_failure_with_a_row(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "x.mha").write_bytes(b"nothing")
    assert classify(settings(tmp_path, source)) == 1
    assert pd.read_csv(tmp_path / "out" / "scans.csv")["reason"].tolist() == ["unreadable"]


def run_module(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    root = Path(__file__).parents[1]
    return subprocess.run(command, capture_output=True, text=True, cwd=root, env={**os.environ}, check=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["input=/no/such/place"], "no such file or folder"),
        (["inptu=x"], "inptu"),
        (["key_images=many"], "many"),
        (["weights=unheard-of", "input=."], "unheard-of"),
    ],
)
def test_mistakes_end_in_a_line_and_not_in_a_traceback(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = run_module("lungscreen.classify", f"out={tmp_path}", *arguments)
    assert done.returncode not in (0, None)
    assert said in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_detect_on_the_command_line_with_an_odd_path(tmp_path: Path, cohort: Path) -> None:
    out = tmp_path / "o u,t=(é)"
    done = run_module(
        "detection.detect", f"input={cohort}", f"out={out}", f"weights={tiny_detector(tmp_path)}", "key_images=1"
    )
    assert done.returncode == 0, done.stderr
    assert len(pd.read_csv(out / "scans.csv")) == 3
    assert "Traceback" not in done.stderr
