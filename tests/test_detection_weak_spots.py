"""Scans that the detector is less sure of."""

from __future__ import annotations

import numpy as np
import pytest

from detection.weak_spots import noise_hu, weak_spots
from preprocessing.geometry import Geometry
from preprocessing.prepare import PreparedScan
from preprocessing.volume import Volume
from runs.seeds import stream

SHAPE = (20, 30, 40)


def lung(hu: float = -860.0, sd: float = 15.0, slices_mm: float = 1.0) -> PreparedScan:
    values = stream("tests.weak_spots", 1).normal(hu, sd, SHAPE)
    source = Geometry(SHAPE, (0.7, 0.7, slices_mm), (0.0, 0.0, 0.0), np.eye(3))
    grid = Geometry(SHAPE, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    return PreparedScan(Volume(np.rint(values).astype(np.int16), grid, "1.2"), np.ones(SHAPE, bool), source)


@pytest.mark.parametrize(
    ("scan", "codes"),
    [
        (lung(), []),
        (lung(slices_mm=3.0), []),
        (lung(slices_mm=5.0), ["slices_thick"]),
        (lung(hu=-760), ["lungs_dense"]),
        (lung(hu=-940), ["lungs_thin"]),
        (lung(sd=80), ["noisy"]),
        (lung(hu=-760, sd=80, slices_mm=8.0), ["slices_thick", "lungs_dense", "noisy"]),
        (lung(hu=40), []),
    ],
)
def test_what_is_said(scan: PreparedScan, codes: list[str]) -> None:
    assert [warning.partition(":")[0] for warning in weak_spots(scan)] == codes


def test_noise_is_its_standard_deviation_and_a_slope_is_none() -> None:
    assert noise_hu(lung(sd=25.0)) == pytest.approx(25.0, rel=0.05)
    slope = lung(sd=0.0)
    slope.volume.hu[:] += np.arange(SHAPE[2], dtype=np.int16)
    assert noise_hu(slope) == 0.0
