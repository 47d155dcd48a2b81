"""Hybrid scans: truth where the nodule is, the size asked for, no piece over another, the same bytes from a seed."""

import numpy as np
import pytest

from benchmarks.held_out.blended import RatedCrop, contrast_hu, draw_crop, hybrid_scan
from benchmarks.held_out.chests import Chest
from preprocessing.prepare import prepare
from runs.seeds import stream
from tests.patches import crop
from tests.thorax import small_chest


@pytest.fixture(scope="module")
def chest() -> Chest:
    return small_chest()


def test_a_chest_holds_its_lungs_and_places_in_them(chest: Chest) -> None:
    assert chest.geometry.spacing_mm == (1.0, 1.0, 1.0)
    assert abs(chest.lung_hu + 850) < 3
    assert chest.lungs[tuple(chest.places.T)].all()
    z, y, x = chest.geometry.to_voxel((-45.0, 0.0, 40.0))
    np.testing.assert_allclose(chest.marks, [[z, y, x, 10.0]])


def test_the_truth_lies_on_what_was_blended_in(chest: Chest) -> None:
    scan = hybrid_scan(1, 0, [chest], [RatedCrop(crop(12), 5.0)], np.array([12.0]))
    prepared = prepare(scan.volume)
    assert scan.how.thickness_mm == 2.5
    assert 1 <= len(scan.nodules) <= 4
    for nodule in scan.nodules:
        assert nodule.diameter_mm == 12.0
        assert contrast_hu(prepared, nodule, scan.how.lung_hu) > 700
        beside = np.add(nodule.center_mm, [[9, 0, 0], [-9, 0, 0], [0, 9, 0], [0, -9, 0]])
        at = np.rint(prepared.volume.geometry.to_voxel(beside)).astype(int)
        assert np.median(prepared.volume.hu[tuple(at.T)]) < -500
    centers = np.array([n.center_mm for n in (*scan.nodules, *scan.known)])
    apart = np.linalg.norm(centers[:, None] - centers[None], axis=2)[np.triu_indices(len(centers), 1)]
    assert (apart > 12).all()
    again = hybrid_scan(1, 0, [chest], [RatedCrop(crop(12), 5.0)], np.array([12.0]))
    np.testing.assert_array_equal(again.volume.hu, scan.volume.hu)


def test_sizes_come_from_the_wanted_one_within_what_keeps_a_rating_true() -> None:
    crops = [RatedCrop(crop(d), 5.0) for d in (5.0, 10.0, 14.0)]
    chosen, scale = draw_crop(crops, 11.0, stream("test"))
    assert chosen.crop.diameter_mm * scale == pytest.approx(11.0)
    chosen, scale = draw_crop(crops, 30.0, stream("test"))
    assert (chosen.crop.diameter_mm, scale) == (14.0, 1.18)
