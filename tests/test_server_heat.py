"""The heat maps of the viewer lie where the network saw what they show."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sqlalchemy")

from classification.heat_map import HeatMap
from lungscreen.server.jobs.heat import on_grid, write_heat
from preprocessing.geometry import Geometry

TURN = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])


def peak(start: tuple[int, int, int], at: tuple[int, int, int], value: float) -> HeatMap:
    values = np.zeros((17, 17, 17), np.float32)
    values[at] = value
    return HeatMap(values, start, 0.0, 0.0)


@pytest.mark.parametrize("direction", [np.eye(3), np.diag([-1.0, -1.0, 1.0]), TURN])
@pytest.mark.parametrize("value", [3.0, -0.25])
def test_the_strongest_voxel_is_where_it_was_seen_on_any_grid(direction: np.ndarray, value: float) -> None:
    seen = Geometry((60, 60, 60), (1.0, 1.0, 1.0), (-30.0, -20.0, 5.0), direction)
    # The voxel [30, 28, 26] of the prepared scan.
    place = seen.to_world((30, 28, 26))
    shown = Geometry(
        (80, 90, 100), (0.7, 0.7, 0.8), tuple(place - np.array([20, 30, 40]) * (0.7, 0.7, 0.8)), np.eye(3)
    )
    start, values = on_grid(peak((22, 20, 18), (8, 8, 8), value), seen, shown)
    assert values.dtype == np.int8
    found = np.unravel_index(np.abs(values.astype(int)).argmax(), values.shape)
    assert [a + b for a, b in zip(start, found, strict=True)] == [40, 30, 20]
    assert values[found] == (127 if value > 0 else -127)
    assert np.all(np.sign(values) * np.sign(value) >= 0)


def test_a_map_at_the_border_is_cut_and_one_beyond_it_is_empty() -> None:
    grid = Geometry((20, 20, 20), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    start, values = on_grid(peak((-8, 4, 12), (8, 8, 5), 1.0), grid, grid)
    assert (start, values.shape) == ((0, 4, 12), (9, 16, 8))
    assert values[0, 8, 5] == 127
    assert on_grid(peak((40, 4, 4), (8, 8, 8), 1.0), grid, grid)[1].size == 0


def test_the_files_say_where_each_map_lies(tmp_path: Path) -> None:
    grid = Geometry((40, 40, 40), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    maps = [peak((1, 2, 3), (8, 8, 8), 1.0), peak((10, 11, 12), (8, 8, 8), -1.0)]
    write_heat(tmp_path, maps, grid, grid)
    told = json.loads((tmp_path / "heat.json").read_text())
    assert told["full"] == 127
    assert [box["rank"] for box in told["maps"]] == [1, 2]
    for box, heat, sign in zip(told["maps"], maps, (1, -1), strict=True):
        assert (box["start_zyx"], box["shape_zyx"]) == (list(heat.start_zyx), [17, 17, 17])
        values = np.frombuffer(gzip.decompress((tmp_path / f"heat_{box['rank']}.gz").read_bytes()), np.int8)
        assert values.reshape(17, 17, 17)[8, 8, 8] == sign * 127
