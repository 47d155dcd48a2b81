"""Which outlines are one nodule: hand-placed squares whose distances can be read off."""

from __future__ import annotations

import pytest

from preprocessing.lidc.clusters import ClusterSettings, cluster
from preprocessing.lidc.reading import LidcScan
from tests.outlines import reading, scan, square


def row(*gaps: int, thickness: float = 2.5) -> LidcScan:
    """4 x 4 squares side by side, so many pixels from the line of one to the line of the next."""
    lefts = [0]
    for gap in gaps:
        lefts.append(lefts[-1] + 4 + gap)
    return scan(*(reading(square(left, 0, 4)) for left in lefts), thickness=thickness)


@pytest.mark.parametrize(
    ("gaps", "groups"),
    [
        ((), [(0,)]),
        ((0,), [(0, 1)]),
        ((2,), [(0, 1)]),
        ((3,), [(0,), (1,)]),
        ((2, 3, 2), [(0, 1), (2, 3)]),
        ((1, 1, 1), [(0, 1, 2, 3)]),
    ],
)
def test_neighbours_are_nearer_than_the_slice_thickness(gaps: tuple[int, ...], groups: list[tuple[int, ...]]) -> None:
    assert cluster(row(*gaps)) == groups


def test_the_tolerance_itself_still_joins() -> None:
    assert cluster(row(3, thickness=3.0)) == [(0, 1)]


def test_distance_is_diagonal_too() -> None:
    # From corner (4, 4) to corner (6, 6): the root of 8, 2.83.
    near = [reading(square(0, 0, 4)), reading(square(6, 6, 4))]
    assert cluster(scan(*near, thickness=2.8)) == [(0,), (1,)]
    assert cluster(scan(*near, thickness=2.9)) == [(0, 1)]


def test_a_slice_counts_as_a_pixel() -> None:
    # Slices are 2 mm apart; two slices off is a distance of 2, three a distance of 3.
    low, middle, high = (reading(square(0, 0, 4, z_mm=z)) for z in (0.0, 4.0, 10.0))
    assert cluster(scan(low, middle, high)) == [(0, 1), (2,)]


def test_a_square_inside_another_is_apart_by_their_lines() -> None:
    # 12 x 12 around 4 x 4, the lines 4 pixels apart.
    assert cluster(scan(reading(square(0, 0, 12)), reading(square(4, 4, 4)))) == [(0,), (1,)]


def test_more_than_four_readers_are_parted_at_the_widest_gap() -> None:
    # 2.5 joins all five; 2.25 and 2.025 still do; at 1.8225 the gap of 2 parts them.
    assert cluster(row(1, 1, 2, 1)) == [(0, 1, 2), (3, 4)]


def test_the_tolerance_is_lowered_for_the_whole_scan() -> None:
    # The pair far off would be one nodule at 2.5, but is parted with the crowd.
    crowded = row(1, 1, 2, 1).readings
    pair = (reading(square(0, 100, 4)), reading(square(6, 100, 4)))
    assert cluster(scan(*crowded, *pair)) == [(0, 1, 2), (3, 4), (5,), (6,)]


def test_five_on_one_spot_stay_together() -> None:
    assert cluster(row(-4, -4, -4, -4)) == [(0, 1, 2, 3, 4)]


def test_other_numbers_of_readers() -> None:
    assert cluster(row(1, 2), ClusterSettings(most_readers=2)) == [(0, 1), (2,)]
    assert cluster(row(1, 2), ClusterSettings(most_readers=2, least_tolerance=2.0)) == [(0, 1, 2)]


def test_nodules_come_from_the_lowest_to_the_highest() -> None:
    at = [reading(square(0, 0, 4, z_mm=z)) for z in (30.0, 0.0, 16.0)]
    assert cluster(scan(*at)) == [(1,), (2,), (0,)]


def test_a_scan_without_readings_has_no_nodules() -> None:
    assert cluster(scan()) == []


@pytest.mark.parametrize("wrong", [{"most_readers": 0}, {"factor": 1.0}, {"factor": 0.0}, {"least_tolerance": 0.0}])
def test_settings_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"cluster needs .*{next(iter(wrong))}"):
        ClusterSettings(**wrong)  # type: ignore[arg-type]
