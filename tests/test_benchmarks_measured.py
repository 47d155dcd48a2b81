"""Groups of a bench: each stratum against its own false positives, contrast and texture where they are known."""

import json
from pathlib import Path

import pytest

from benchmarks.held_out.measured import Asked, curves, difference, figures, table
from detection.candidate import Candidate
from preprocessing.annotations import Nodule


def asked() -> Asked:
    """Scan a: its nodule found first. Scan b: two false positives above its nodule, one on a known finding."""
    one = Asked()
    nodule = Nodule("a", (0.0, 0.0, 0.0), 10.0, ratings={"contrast": 700.0})
    one.add("a", [nodule], [], [Candidate("a", (1.0, 0.0, 0.0), 9.0, 0.9)], ("thin",))
    faint = Nodule("b", (0.0, 0.0, 0.0), 5.0, ratings={"contrast": 90.0})
    false = [Candidate("b", (50.0 + 20 * k, 0.0, 0.0), 5.0, 0.8) for k in range(3)]
    known = Nodule("b", (50.0, 0.0, 0.0), float("nan"))
    one.add("b", [faint], [known], [*false, Candidate("b", (0.0, 0.0, 1.0), 5.0, 0.4)], ("thick",))
    return one


def test_each_stratum_has_its_own_false_positives() -> None:
    found = curves(asked(), draws=20)
    assert set(found) == {
        "all", "size < 6 mm", "size 8-15 mm", "contrast -inf to 150 HU", "contrast 400 to inf HU", "thin", "thick",
    }  # fmt: skip
    # Two false positives in two scans: b's nodule is found from 1 a scan on; in b alone from 2 on.
    assert found["all"].cpm == pytest.approx((3 * 0.5 + 4 * 1) / 7)
    assert found["thin"].cpm == 1
    assert found["thick"].cpm == pytest.approx(3 / 7)
    assert "0.857" not in table("x", found)
    assert figures(found)["thick"]["n_scans"] == 1


def test_figures_are_json_and_a_detector_equals_itself(tmp_path: Path) -> None:
    found = curves(asked(), draws=20)
    (tmp_path / "f.json").write_text(json.dumps(figures(found)))
    assert difference(found, found)["cpm"] == 0
