"""Several readings as one nodule: places and sizes worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from preprocessing.geometry import Geometry
from preprocessing.lidc.consensus import find_nodules, pixels_to_voxels, pixels_to_world, reader_weights
from preprocessing.lidc.shapes import median_shape
from tests.outlines import reading, scan, square


def header(direction: tuple[float, float, float] = (1, 1, 1), spacing: float = 2.0) -> Geometry:
    return Geometry((100, 512, 512), (0.703125, 0.703125, spacing), (180.0, 180.0, -334.0), np.diag(direction))


def test_diameter_is_that_of_the_sphere_of_equal_volume() -> None:
    # 3 slices of 3 x 3 pixels inside, 0.5 mm a pixel, slices 2 mm apart though 2.5 mm thick: 13.5 mm³.
    drawn = reading(*(square(10, 10, 4, z_mm=z) for z in (4.0, 6.0, 8.0)))
    (nodule,) = find_nodules(scan(drawn, thickness=2.5, pixel=0.5))
    assert math.pi / 6 * nodule.diameter_mm() ** 3 == pytest.approx(13.5)
    assert nodule.center() == pytest.approx([12, 12, 6])


def test_an_outline_too_small_to_hold_a_voxel_has_a_place_and_no_size() -> None:
    (nodule,) = find_nodules(scan(reading(square(10, 10, 1, z_mm=4.0))))
    assert nodule.diameter_mm() == 0
    assert nodule.center() == pytest.approx([10.4, 10.4, 4])  # the first of the four corners comes twice


@pytest.mark.parametrize(
    ("readers", "weights"),
    [(1, [1]), (2, [1 / 2, 1 / 2]), (3, [1 / 2, 1 / 4, 1 / 4]), (4, [1 / 2, 1 / 4, 1 / 8, 1 / 8])],
)
def test_luna16_averages_two_at_a_time_from_the_last(readers: int, weights: list[float]) -> None:
    assert reader_weights(readers, "luna16").tolist() == weights
    assert reader_weights(readers, "mean") == pytest.approx([1 / readers] * readers)


def test_other_averages_are_refused() -> None:
    with pytest.raises(ValueError, match="average must be one of luna16, mean; got median"):
        reader_weights(3, "median")


def test_readers_are_averaged_in_stored_order() -> None:
    # Squares around (12, 12), (13, 12) and (16, 12).
    (nodule,) = find_nodules(scan(*(reading(square(left, 10, 4)) for left in (10, 11, 14))))
    assert nodule.center() == pytest.approx([12 / 2 + 13 / 4 + 16 / 4, 12, 0])
    assert nodule.center("mean") == pytest.approx([41 / 3, 12, 0])


def test_ratings_are_listed_and_their_median_taken() -> None:
    (nodule,) = find_nodules(scan(*(reading(square(10, 10, 4), malignancy=m) for m in (5, 1, 2, 4))))
    assert nodule.ratings("malignancy") == [5, 1, 2, 4]
    assert nodule.medians()["malignancy"] == 3
    assert nodule.medians()["texture"] == 3


def test_mask_of_any_agreement() -> None:
    # 9 and 25 pixels around the same spot.
    (nodule,) = find_nodules(scan(reading(square(10, 10, 4)), reading(square(9, 9, 6)), thickness=3.0))
    assert [int(nodule.mask(level).voxels.sum()) for level in (0.5, 0.51, 1.0)] == [25, 9, 9]
    assert nodule.mask(1.0).start_zyx == (0, 11, 11)


def test_world_of_a_plain_header_by_hand() -> None:
    world = pixels_to_world(header(), np.array([100.0, 200.0, -300.0]))
    assert world == pytest.approx([180 + 100 * 0.703125, 180 + 200 * 0.703125, -300])


def test_world_of_a_header_with_x_and_y_flipped_by_hand() -> None:
    geometry = header((-1, -1, 1))
    assert pixels_to_world(geometry, np.array([100.0, 200.0, -300.0])) == pytest.approx([109.6875, 39.375, -300])
    assert pixels_to_voxels(geometry, np.array([100.0, 200.0, -300.0])) == pytest.approx([17, 200, 100])


def test_a_flipped_z_axis_counts_slices_downwards() -> None:
    geometry = header((1, 1, -1))
    assert pixels_to_voxels(geometry, np.array([100.0, 200.0, -340.0])) == pytest.approx([3, 200, 100])
    assert pixels_to_world(geometry, np.array([[100.0, 200.0, -340.0]]))[0, 2] == pytest.approx(-340)


def test_tilted_slices_are_refused() -> None:
    turned = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
    tilted = Geometry((10, 10, 10), (1, 1, 1), (0, 0, 0), turned)
    with pytest.raises(ValueError, match="LIDC slices are axial"):
        pixels_to_world(tilted, np.zeros(3))


def test_the_reading_of_median_diameter_gives_the_shape() -> None:
    (nodule,) = find_nodules(scan(*(reading(square(20 - s, 20 - s, 2 * s), texture=s) for s in (4, 2, 5, 3))))
    shape = median_shape(nodule)
    assert shape.patient_id == "LIDC-IDRI-9999"
    assert shape.ratings["texture"] == 4
    assert shape.mask.shape == (1, 7, 7)
    assert shape.spacing_mm == (2.0, 0.5)
    assert math.pi / 6 * shape.diameter_mm**3 == pytest.approx(49 * 0.25 * 2)
