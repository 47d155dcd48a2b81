"""Pixels strictly inside contours, counted by hand and by Pick's theorem; holes; agreement of readers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from preprocessing.lidc.masks import VoxelMask, center_of, consensus_mask, interiors, reading_mask
from preprocessing.lidc.reading import Contour
from tests.outlines import reading, scan, square

LETTER_L = [(0, 0), (2, 0), (2, 4), (6, 4), (6, 6), (0, 6)]


def count(*outlines: list[tuple[int, int]]) -> list[int]:
    inside, _, _ = interiors([np.array(points) for points in outlines])
    return [int(layer.sum()) for layer in inside]


def test_contour_of_annotation_105_by_hand() -> None:
    # Contour 529 of the table, columns less 139 and rows less 318. Strictly inside, row by row: 1, 3, 3 and 1 pixels.
    outline = [(3, 6), (4, 5), (5, 4), (5, 3), (4, 2), (3, 1), (2, 2), (1, 3), (1, 4), (2, 5), (3, 6)]
    inside, line, low_xy = interiors([np.array(outline)])
    assert low_xy.tolist() == [1, 1]
    assert [np.flatnonzero(row).tolist() for row in inside[0]] == [[], [2], [1, 2, 3], [1, 2, 3], [2], []]
    assert line.sum() == len(outline) - 1
    assert not (inside & line).any()


@pytest.mark.parametrize(
    ("corners", "expected"),
    [
        ([(0, 0), (6, 0), (0, 6)], 10),  # area 18, 18 points on the line
        ([(0, 0), (5, 2), (4, 6), (1, 4)], 15),  # area 16, 4 on the line: steps that skip rows and columns
        ([(2, 0), (4, 2), (2, 4), (0, 2)], 5),  # area 8, 8 on the line
        (LETTER_L, 9),  # area 20, 24 on the line: arms one pixel wide inside
        ([(0, 0), (9, 0), (9, 1), (0, 1)], 0),  # nothing between two neighbouring rows
    ],
)
def test_interior_is_that_of_picks_theorem(corners: list[tuple[int, int]], expected: int) -> None:
    """Interior points = area - points on the line / 2 + 1."""
    moved = [(x + 300, y + 200) for x, y in corners]
    for start in range(len(corners)):
        for turned in (corners[start:] + corners[:start], [*corners[start:], *corners[:start]][::-1]):
            assert count(turned) == [expected]
    assert count(moved, [*moved, moved[0]], corners) == [expected] * 3


@pytest.mark.parametrize("seed", range(20))
def test_interior_of_any_convex_polygon(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.integers(0, rng.integers(4, 40), size=(12, 2))
    corners = points[ConvexHull(points).vertices]
    steps = np.roll(corners, -1, axis=0) - corners
    doubled_area = abs(int((corners[:, 0] * steps[:, 1] - corners[:, 1] * steps[:, 0]).sum()))
    on_line = int(np.gcd(steps[:, 0], steps[:, 1]).sum())
    assert count([(int(x), int(y)) for x, y in corners]) == [(doubled_area - on_line) // 2 + 1]


def test_contours_of_one_or_two_points_hold_nothing() -> None:
    assert count([(1, 1)], [(0, 0), (2, 2)], [(0, 0), (4, 0), (8, 0)]) == [0, 0, 0]


def test_a_line_drawn_out_and_back_holds_nothing() -> None:
    # A 4 x 4 square (9 pixels inside) with a spur of two pixels to its right.
    outline = square(0, 0, 4).points_xy.tolist()
    spur = [(5, 2), (6, 2), (5, 2), (4, 2)]
    at = outline.index([4, 2]) + 1
    assert count([*outline[:at], *spur, *outline[at:]]) == [9]


def test_a_hole_takes_its_line_with_it() -> None:
    # 9 x 9 pixels inside; the hole's 4 x 4 pixels, line and all, are not of the nodule.
    drawn = reading(square(0, 0, 10), square(3, 3, 3, included=False))
    for contours in (drawn.contours, drawn.contours[::-1]):
        mask = reading_mask(scan(), reading(*contours))
        assert mask.voxels.sum() == 81 - 16


def test_parts_of_one_slice_are_joined_where_they_overlap() -> None:
    mask = reading_mask(scan(), reading(square(0, 0, 4), square(2, 2, 4)))
    assert mask.voxels.sum() == 9 + 9 - 1


def test_a_mask_lies_where_its_contours_do() -> None:
    # Slices 2 mm apart: 4 and 8 mm are the third and the fifth, and nothing is drawn on the fourth.
    mask = reading_mask(scan(), reading(square(5, 7, 2, z_mm=8.0), square(5, 7, 4, z_mm=4.0)))
    assert (mask.start_zyx, mask.voxels.shape) == ((2, 7, 5), (3, 5, 5))
    assert mask.voxels.sum(axis=(1, 2)).tolist() == [9, 0, 1]
    assert (mask.cropped.start_zyx, mask.cropped.voxels.shape) == ((2, 8, 6), (3, 3, 3))
    # Nine voxels around (7, 9, 4) and one at (6, 8, 8).
    assert center_of(scan(), mask) == pytest.approx([6.9, 8.9, 4.4])


def test_a_reading_of_another_scan_is_refused() -> None:
    with pytest.raises(ValueError, match=r"contours of 7 must lie in slices of series 1\.2\.3; one is 0\.75 mm from"):
        reading_mask(scan(), reading(square(0, 0, 4, z_mm=4.75), nodule_id="7"))


def test_agreement_counts_readers() -> None:
    # Along one row, 4, 3, 2 and 1 of four readers hold the pixels 10, 11, 12 and 13.
    masks = [VoxelMask((5, 6, 10), np.ones((1, 1, length), dtype=bool)) for length in (4, 3, 2, 1)]
    for level, pixels in {0.25: 4, 0.5: 3, 0.51: 2, 0.75: 2, 1.0: 1}.items():
        agreed = consensus_mask(masks, level)
        assert agreed.start_zyx == (5, 6, 10)
        assert agreed.voxels.ravel().tolist() == [n < pixels for n in range(4)]
    # Two thirds of three are two, whatever the fraction is in binary.
    assert consensus_mask(masks[1:], 2 / 3).voxels.ravel().tolist() == [True, True, False]


def test_agreement_of_masks_in_different_places() -> None:
    one, other = (VoxelMask(start, np.ones((1, 2, 2), dtype=bool)) for start in ((0, 0, 0), (1, 1, 1)))
    either = consensus_mask([one, other], 0.5)
    assert (either.start_zyx, either.voxels.shape, either.voxels.sum()) == ((0, 0, 0), (2, 3, 3), 8)
    assert not consensus_mask([one, other], 0.6).cropped.voxels.any()


@pytest.mark.parametrize(("number", "level"), list(itertools.product([0, 1], [0.0, 1.1])))
def test_a_level_is_a_share(number: int, level: float) -> None:
    with pytest.raises(ValueError, match="a level over 0 and up to 1"):
        consensus_mask([VoxelMask((0, 0, 0), np.ones((1, 1, 1), dtype=bool))] * number, level)


def test_open_and_closed_contours_are_the_same() -> None:
    closed = square(3, 3, 5)
    opened = Contour(0.0, True, closed.points_xy[:-1])
    assert (reading_mask(scan(), reading(closed)).voxels == reading_mask(scan(), reading(opened)).voxels).all()
