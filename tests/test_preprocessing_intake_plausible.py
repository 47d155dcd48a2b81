"""Lengths that no body has are refused with what was measured."""

import numpy as np
import pytest

from preprocessing.geometry import Geometry
from preprocessing.intake.plausible import check_plausible
from preprocessing.intake.scan import Reason, ScanError
from preprocessing.volume import Volume
from tests.chests import simple_chest


def scaled(spacing_mm: tuple[float, float, float]) -> Volume:
    """The body of 320 x 240 x 280 mm, 160 x 120 voxels of 2 mm and 112 slices of 2.5 mm, with another spacing."""
    chest = simple_chest()
    return Volume(chest.hu, Geometry(chest.hu.shape, spacing_mm, (0, 0, 0), np.eye(3)), "x")


def test_a_chest_is_plausible() -> None:
    check_plausible(simple_chest())
    check_plausible(scaled((1, 1, 2.5)))  # a child of 160 x 120 mm


@pytest.mark.parametrize(
    ("spacing", "measured"),
    [((0.002, 0.002, 0.0025), "0.32 x 0.24 x 0.28"), ((0.2, 0.2, 2.5), "32 x 24 x 280"), ((7, 7, 2.5), "1120 x 840")],
)
def test_lengths_in_metres_centimetres_and_too_large(spacing: tuple[float, float, float], measured: str) -> None:
    with pytest.raises(ScanError) as caught:
        check_plausible(scaled(spacing))
    assert caught.value.reason == Reason.IMPLAUSIBLE_SIZE
    across = [float(v) for v in caught.value.detail.partition("here ")[2].partition(" mm")[0].split(" x ")]
    expected = [float(v) for v in measured.split(" x ")]
    np.testing.assert_allclose(across[: len(expected)], expected, rtol=0.08)


def test_axes_in_another_order() -> None:
    """24 slices of 512 x 512 as 24 columns: a body 24 mm wide."""
    hu = np.ascontiguousarray(simple_chest().hu[44:68].transpose(2, 1, 0))
    with pytest.raises(ScanError, match="order of the axes"):
        check_plausible(Volume(hu, Geometry(hu.shape, (1, 1, 1), (0, 0, 0), np.eye(3)), "x"))
