"""Masks: beside scipy, which is slower."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from preprocessing.masks import box_of, dilated, eroded, opened
from runs.seeds import stream


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("shape", [(9, 12, 7), (1, 6, 5), (11, 8)])
def test_erosion_dilation_and_opening_are_scipys(shape: tuple[int, ...], times: int) -> None:
    mask = stream("tests.masks", 3).random(shape) < 0.8
    before = mask.copy()
    np.testing.assert_array_equal(eroded(mask, times), ndimage.binary_erosion(mask, iterations=times))
    np.testing.assert_array_equal(dilated(~mask, times), ndimage.binary_dilation(~mask, iterations=times))
    np.testing.assert_array_equal(opened(mask, times), ndimage.binary_opening(mask, iterations=times))
    np.testing.assert_array_equal(mask, before)


def test_the_box_of_a_mask() -> None:
    mask = np.zeros((6, 7, 8), bool)
    mask[2, 3:5, 1] = mask[4, 4, 6] = True
    assert box_of(mask) == (slice(2, 5), slice(3, 5), slice(1, 7))
    assert box_of(mask[2]) == (slice(3, 5), slice(1, 2))


def test_the_box_of_nothing_holds_no_voxel() -> None:
    assert np.zeros((3, 4))[box_of(np.zeros((3, 4), bool))].size == 0
