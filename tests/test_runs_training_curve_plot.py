"""The picture of a curve: what it draws, and that the same curve is the same picture."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runs.training.curve_plot import plot_curve, read_curve, smoothed


def curve(folder: Path, rows: str) -> Path:
    path = folder / "curves.csv"
    path.write_text(rows)
    return path


def test_a_curve_is_read_by_columns(tmp_path: Path) -> None:
    steps, columns = read_curve(curve(tmp_path, "step,a,b\n0,1.5,2.0\n20,1.25,\n"))
    assert steps == [0, 20]
    assert columns["a"] == [1.5, 1.25]
    assert columns["b"][0] == 2.0
    assert math.isnan(columns["b"][1])


def test_smoothing_begins_at_the_first_value_and_passes_over_gaps() -> None:
    nan = float("nan")
    line = smoothed([nan, 4.0, 2.0, nan, 3.0], 0.5)
    assert math.isnan(line[0])
    assert line[1:] == [4.0, 3.0, 3.0, 3.0]


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_the_same_curve_is_the_same_picture(tmp_path: Path, columns: int) -> None:
    names = [f"term{i}" for i in range(columns)]
    rows = [",".join([str(10 * k), *(repr(1 / (k + i + 1)) for i in range(columns))]) for k in range(9)]
    path = curve(tmp_path, "\n".join([",".join(["step", *names]), *rows]) + "\n")
    plot_curve(path, tmp_path / "a.png")
    plot_curve(path, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    drawn = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).reshape(-1, 3)
    assert (drawn == (0x1F, 0x4E, 0x79)).all(1).sum() > 50 * columns  # the smooth lines
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png", "curves.csv"]


@pytest.mark.parametrize("rows", ["", "step,a\n"])
def test_a_curve_without_rows_is_not_drawn(tmp_path: Path, rows: str) -> None:
    plot_curve(curve(tmp_path, rows), tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()
