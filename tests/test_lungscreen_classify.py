"""From files to report, as a user runs it; the weights are tiny and know nothing."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from lungscreen.classify import ClassifySettings, classify
from tests.weights import tiny_classifier, tiny_detector

CSVS = ("patients.csv", "nodules.csv", "candidates.csv", "scans.csv")


def write_chest(path: Path, seed: int = 0) -> None:
    """Two air boxes in a body of 72 x 88 x 96 mm, 2 mm voxels, with a 10 mm ball at world (20, 0, 0)."""
    rng = np.random.default_rng(seed)
    hu = rng.normal(40, 10, (36, 44, 48))
    hu[:, :3] = hu[:, -3:] = -1000
    hu[4:32, 8:36, 6:22] = hu[4:32, 8:36, 26:42] = -850
    z, y, x = np.meshgrid(*(np.arange(n) * 2.0 for n in hu.shape), indexing="ij")
    hu[(z - 36) ** 2 + (y - 44) ** 2 + (x - 68) ** 2 < 25] = 30
    image = sitk.GetImageFromArray(hu.astype(np.int16))
    image.SetSpacing((2.0, 2.0, 2.0))
    image.SetOrigin((-48.0, -44.0, -36.0))
    sitk.WriteImage(image, str(path))


def settings(tmp_path: Path, source: Path, out: str = "out", candidates: Path | None = None) -> ClassifySettings:
    return ClassifySettings(
        input=source,
        out=tmp_path / out,
        candidates=candidates if candidates else None,
        detector=tiny_detector(tmp_path),
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
    report = next((tmp_path / "out" / "report").glob("first*.html")).read_text(encoding="utf-8")
    assert "outside" in report


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
        (["detector=unheard-of", "input=."], "unheard-of"),
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
        "detection.detect", f"input={cohort}", f"out={out}", f"detector={tiny_detector(tmp_path)}", "key_images=1"
    )
    assert done.returncode == 0, done.stderr
    assert len(pd.read_csv(out / "scans.csv")) == 3
    assert "Traceback" not in done.stderr
