"""The command as a user runs it: what it prints and writes, twice the same bytes, under any path."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from detection.evaluate import EvaluateSettings, evaluate, write
from detection.froc.report import lines
from tests.froc_cases import case

LUNA16 = Path(__file__).parents[2] / "shared/data/luna16"
OUTPUTS = ("froc.json", "froc.csv", "froc.png")
ODD = "study (1), a=b {x} $y$ é肺"

# Four scans. At 1/4 false positives a scan (one in all): the nodules of A and B are found, that of C after the
# second false positive, and that of D never: 2 of 4, 2 of 4, then 3 of 4 from 1/2 on.
COHORT = """
A  nodule       0    0    0    5
A  candidate    0    0    0  .99   hit
B  nodule       0   50    0   10
B  candidate    0   51    0  .98   hit
A  candidate   90    0    0  .80   false
B  candidate   90    0    0  .70   false
C  nodule     -60    0    0   20
C  candidate  -60    3    0  .60   hit
C  candidate  -61    0    0  .50   double
D  nodule     -60    0    0    7   missed
D  excluded    30    0    0    ?
D  candidate   31    0    0  .97   ignored
"""
SENSITIVITY = [0.5, 0.5, 0.75, 0.75, 0.75, 0.75, 0.75]


@pytest.fixture
def settings(tmp_path: Path) -> EvaluateSettings:
    cases = case(COHORT)
    folder = tmp_path / ODD
    folder.mkdir()
    columns = ["seriesuid", "coordX", "coordY", "coordZ"]
    files = {
        "annotations": pd.DataFrame(
            [(n.series_uid, *n.center_mm, n.diameter_mm) for n in cases.nodules], columns=[*columns, "diameter_mm"]
        ),
        "excluded": pd.DataFrame([(n.series_uid, *n.center_mm, -1) for n in cases.excluded]).set_axis(
            [*columns, "diameter_mm"], axis=1
        ),
        "candidates": pd.DataFrame(
            [(c.series_uid, *c.center_mm, c.score) for c in cases.candidates], columns=[*columns, "probability"]
        ),
        "seriesuids": pd.DataFrame({"seriesuid": cases.scans}),
    }
    for name, table in files.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    paths = {name: folder / f"{name}.csv" for name in files}
    return EvaluateSettings(**paths, out=tmp_path / "out", bootstraps=40)


def run(settings: EvaluateSettings, *more: str) -> subprocess.CompletedProcess[str]:
    names = ("candidates", "annotations", "excluded", "seriesuids", "out")
    options = [f"{name}={getattr(settings, name)}" for name in names]
    command = [sys.executable, "-m", "detection.evaluate", *options, "bootstraps=40", *more]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)


def test_what_a_user_gets(settings: EvaluateSettings, tmp_path: Path) -> None:
    settings = replace(settings, out=tmp_path / f"out {ODD}")
    done = run(settings, "allow=[only_positive_scans_listed]")
    assert (done.returncode, done.stderr) == (0, "")
    assert "TP 3, FP 2, FN 1; not counted: 1 excluded, 1 doubles" in done.stdout
    assert "all                          4  .5000  .5000  .7500  .7500  .7500  .7500  .7500   .6786" in done.stdout
    assert "warning: only_positive_scans_listed: each of the 4 listed scans holds a nodule" in done.stdout

    out = settings.out
    content = json.loads((out / "froc.json").read_text(encoding="utf-8"))
    assert content["curves"]["all"]["sensitivity"] == SENSITIVITY
    assert content["curves"]["all"]["mean"] == content["cpm"] == pytest.approx(sum(SENSITIVITY) / 7, abs=1e-6)
    assert content["curves"]["size >= 15 mm"]["sensitivity"] == [0, 0, 1, 1, 1, 1, 1]
    assert content["counts"]["false_negatives"] == 1
    assert [w["guard"] for w in content["warnings"]] == ["only_positive_scans_listed"]
    assert content["protocol"]["files"]["candidates"]["name"] == "candidates.csv"
    assert str(tmp_path) not in (out / "froc.json").read_text(encoding="utf-8")

    table = pd.read_csv(out / "froc.csv")
    everyone = table[table["group"] == "all"]
    assert everyone["fps_per_scan"].iloc[::16].tolist() == [0.125, 0.25, 0.5, 1, 2, 4, 8]
    assert everyone["sensitivity"].iloc[::16].tolist() == SENSITIVITY
    assert set(table["group"]) == {"all", "size < 6 mm", "size 6-8 mm", "size 8-15 mm", "size >= 15 mm"}
    with Image.open(out / "froc.png") as image:
        assert np.asarray(image.convert("L")).std() > 10


def test_the_same_input_gives_the_same_bytes(settings: EvaluateSettings, tmp_path: Path) -> None:
    written = []
    for name in ("first", "second"):
        write(evaluate(replace(settings, against=settings.candidates)), tmp_path / name)
        written.append([(tmp_path / name / output).read_bytes() for output in OUTPUTS])
    assert written[0] == written[1]
    assert b"Software" not in written[0][2]


def test_a_mistake_is_one_line_with_its_name(settings: EvaluateSettings, tmp_path: Path) -> None:
    done = run(settings, "strict=true")
    assert done.returncode == 2
    assert done.stderr.startswith("error: only_positive_scans_listed: ")
    assert done.stderr.count("\n") == 1
    assert not settings.out.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"candidates": None, "seriesuids": None}, "candidates=, seriesuids= must name a csv"),
        ({"bootstraps": -1}, "bootstraps="),
        ({"max_per_scan": 0}, "max_per_scan="),
        ({"size_edges_mm": (8.0, 6.0)}, "size edges must rise"),
        ({"allow": ("everything",)}, "everything"),
    ],
)
def test_wrong_options_are_named(settings: EvaluateSettings, change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        evaluate(replace(settings, **change))  # type: ignore[arg-type]


def test_texture_from_the_annotations_or_from_ratings(settings: EvaluateSettings, tmp_path: Path) -> None:
    """A, B, C, D are solid, part-solid, non-solid and unrated; found are A and B before the second false positive."""
    plain = pd.read_csv(settings.annotations, dtype={"seriesuid": str})
    plain.assign(texture=["5", "3", "1.5", ""]).to_csv(tmp_path / "textured.csv", index=False)
    # Beside a nodule's centre, but inside it; another row, farther off; one outside D.
    rows = [("A", 0, 0, 2, 5), ("B", 0, 50, 0, 3), ("B", 0, 54, 0, 5), ("C", -60, 0, 9, 1), ("D", -50, 0, 0, 5)]
    columns = ["seriesuid", "coordX", "coordY", "coordZ", "texture"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "ratings.csv", index=False)
    for change in ({"annotations": tmp_path / "textured.csv"}, {"ratings": tmp_path / "ratings.csv"}):
        results = evaluate(replace(settings, **change)).scored.results
        assert {name: result.at([0.25]).item() for name, result in results.items() if name.startswith("texture")} == {
            "texture solid": 1,
            "texture part-solid": 1,
            "texture non-solid": 0,
            "texture unknown": 0,
        }


def test_against_another_submission(settings: EvaluateSettings, tmp_path: Path) -> None:
    """Without its best candidate the other never finds A: 1, 1, 2, 2, 2, 2, 2 of 4, and CPM 1/4 lower."""
    table = pd.read_csv(settings.candidates)
    table[table["probability"] < 0.99].to_csv(tmp_path / "other.csv", index=False)
    report = evaluate(replace(settings, against=tmp_path / "other.csv"))
    assert report.comparison is not None
    assert report.comparison.difference.value == pytest.approx(0.25)
    assert any(line.startswith("against other.csv: CPM .4286, difference +0.2500") for line in lines(report))
    without = evaluate(replace(settings, against=tmp_path / "other.csv", bootstraps=0))
    assert without.comparison is None
    assert lines(without)[-2] == "against other.csv: CPM .4286, difference +0.2500"
    write(without, tmp_path / "without")
    content = json.loads((tmp_path / "without" / "froc.json").read_text())
    assert content["against"]["cpm"] == pytest.approx(3 / 7, abs=1e-6)
    assert "low" not in content["curves"]["all"]


def test_the_organisers_digits() -> None:
    """What the organisers' script says of the published DeepLung submission."""
    names = {"candidates": "submission_deeplung_dpn26", "excluded": "annotations_excluded"}
    keys = ("candidates", "annotations", "excluded", "seriesuids")
    paths = {key: LUNA16 / f"{names.get(key, key)}.csv" for key in keys}
    if not all(path.exists() for path in paths.values()):
        pytest.skip("needs shared/data/luna16")
    report = evaluate(EvaluateSettings(**paths))
    text = lines(report)
    assert text[0].endswith("888 scans, 1186 nodules, 55677 candidates, 2969 of them beyond 100 a scan")
    assert text[1] == "TP 1136, FP 46078, FN 50; not counted: 5308 excluded, 186 doubles"
    assert text[3].split() == ["all", "1186", ".6922", ".7690", ".8238", ".8651", ".8929", ".9174", ".9334", ".8420"]
    band = report.scored.all.band
    assert band is not None
    assert band.cpm_band == pytest.approx((0.811, 0.871), abs=0.003)
    assert sum(r.n_nodules for name, r in report.scored.results.items() if name.startswith("size")) == 1186
