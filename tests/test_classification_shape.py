"""Shapes whose faces, hulls and moments are known."""

from __future__ import annotations

import numpy as np
import pytest

from classification.measuring.outline import Outline
from classification.measuring.shape import Shape, shape_of


def measured(mask: np.ndarray, hu: np.ndarray | None = None) -> Shape:
    """A solid nodule of 40 HU in lung of -850, outlined as it is."""
    volume = np.where(mask, 40, -850).astype(np.int16) if hu is None else hu
    return shape_of(Outline(mask.astype(np.float32), (0, 0, 0)), volume)


def box(*size: int) -> np.ndarray:
    mask = np.zeros(tuple(n + 20 for n in size), bool)
    mask[tuple(slice(10, 10 + n) for n in size)] = True
    return mask


def test_a_cube_is_compact_convex_and_not_flat() -> None:
    found = measured(box(6, 6, 6))
    assert found.compactness == pytest.approx(1)
    assert found.convexity == pytest.approx(1)
    assert found.flatness == pytest.approx(1)
    assert found.spicules == 0


def test_a_bar() -> None:
    """2 x 2 x 16: 64 voxels, 8 + 128 faces; its moments go with the squares of its edges."""
    found = measured(box(2, 2, 16))
    assert found.compactness == pytest.approx(6 * 64 ** (2 / 3) / 136)
    assert found.convexity == pytest.approx(1)
    assert found.flatness == pytest.approx(2 / 16)


def test_a_corner_fills_part_of_its_hull() -> None:
    """A 4 x 4 x 4 cube without a 2 x 2 x 4 column at an edge: 48 of a hull of 64 less a prism of 8 voxels."""
    mask = box(4, 4, 4)
    mask[12:14, 12:14, 10:14] = False
    assert measured(mask).convexity == pytest.approx(48 / 56)


def test_strands_are_spicules_and_walls_are_none() -> None:
    mask = box(8, 8, 8)
    hu = np.where(mask, 40, -850).astype(np.int16)
    strand = hu.copy()
    strand[13, 13, :] = 40
    assert measured(mask, strand).spicules > 0
    wall = hu.copy()
    wall[:, :, 20:] = 40
    assert measured(mask, wall).spicules < measured(mask, strand).spicules


def test_a_blurred_border_is_less_steep() -> None:
    mask = box(8, 8, 8)
    sharp = np.where(mask, 40, -850).astype(np.int16)
    faint = np.where(mask, -600, -850).astype(np.int16)
    # The same border with 250 instead of 890 HU between its sides.
    assert measured(mask, faint).edge_hu_mm == pytest.approx(measured(mask, sharp).edge_hu_mm * 250 / 890, rel=1e-3)


def test_the_border_of_the_volume_is_repeated() -> None:
    """A nodule cut by the volume's end is as one that goes on in air: its border there is no edge."""
    mask = np.zeros((6, 20, 20), bool)
    mask[:4, 6:14, 6:14] = True
    found = measured(mask)
    assert 0 < found.compactness <= 1
    assert found.convexity == pytest.approx(1)
    assert np.isfinite(found.edge_hu_mm)


def test_a_single_voxel_is_measured() -> None:
    found = measured(box(1, 1, 1))
    assert (found.compactness, found.convexity, found.flatness) == pytest.approx((1, 1, 1))
