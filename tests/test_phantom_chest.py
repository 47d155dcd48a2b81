"""A simulated chest looks like one to the numbers: lungs, body, noise and the nodules it claims."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from phantom.acquisition import KERNELS, Protocol, Scanner, outside_circle
from phantom.chest import Chest, ChestSettings, simulate, simulate_chest
from phantom.lesions import Lesion
from phantom.vessels import Grid, grow, paint
from preprocessing.lidc.reading import RATINGS
from preprocessing.lidc.shapes import NoduleShape
from preprocessing.lungs.mask import lung_mask

SMALL = ChestSettings(matrix=128, targets_per_lung=80, thickness_mm=5.0)
RADIUS_MM = 9.0


def ball(radius: float = RADIUS_MM) -> Lesion:
    """A smooth solid ball of 40 HU."""
    grid = np.stack(np.meshgrid(*[np.arange(-15, 16)] * 3, indexing="ij"))
    distance = (np.sqrt((grid**2).sum(0)) - radius).astype(np.float32)
    ratings = {**dict.fromkeys(RATINGS, 3.0), "calcification": 6.0}
    return Lesion(distance, 1.0, 2 * radius, 40.0, 0.0, float("inf"), np.zeros((0, 3)), ratings)


@pytest.fixture(scope="module")
def chest() -> Chest:
    return simulate_chest(np.random.default_rng(5), SMALL, [ball(), ball()])


def test_lungs_are_aerated_and_of_human_size(chest: Chest) -> None:
    deep = ndimage.binary_erosion(chest.lung, iterations=2)
    assert -900 < np.median(chest.volume.hu[deep]) < -780
    assert 2.5 < chest.lung.sum() * chest.volume.geometry.voxel_volume_mm3 / 1e6 < 8  # litres


def test_air_around_soft_tissue_and_bone_within(chest: Chest) -> None:
    middle = chest.volume.hu[len(chest.volume.hu) // 2].astype(float)
    assert middle[0].mean() < -950
    body = ndimage.binary_fill_holes(middle > -300)
    assert 0.25 < body.mean() < 0.9
    assert 0.1 < (np.abs(middle) < 200).mean() < 0.6
    assert (middle > 300).sum() > 30


def test_nodules_are_where_and_as_large_as_stated(chest: Chest) -> None:
    assert len(chest.nodules) == 2
    for nodule in chest.nodules:
        k, j, i = np.round(chest.volume.geometry.to_voxel(nodule.center_mm)).astype(int)
        assert chest.lung[k, j, i]
        assert chest.volume.hu[k, j - 1 : j + 2, i - 1 : i + 2].mean() == pytest.approx(40, abs=40)
        assert nodule.diameter_mm == pytest.approx(2 * RADIUS_MM, rel=0.06)
        assert nodule.ratings["texture"] == 3.0


def test_lung_mask_finds_the_lungs_and_the_nodules(chest: Chest) -> None:
    mask, warnings = lung_mask(chest.volume)
    assert warnings == ()
    assert (mask & chest.lung).sum() > 0.97 * chest.lung.sum()
    for nodule in chest.nodules:
        assert mask[tuple(np.round(chest.volume.geometry.to_voxel(nodule.center_mm)).astype(int))]


def test_the_generator_decides_everything(chest: Chest) -> None:
    again = simulate_chest(np.random.default_rng(5), SMALL, [ball(), ball()])
    other = simulate_chest(np.random.default_rng(6), SMALL, [])
    assert np.array_equal(again.volume.hu, chest.volume.hu)
    assert again.nodules == chest.nodules
    assert other.nodules == []
    assert other.volume.hu.shape != chest.volume.hu.shape or not np.array_equal(other.volume.hu, chest.volume.hu)


def test_branches_fill_and_thin_out() -> None:
    targets = np.random.default_rng(0).uniform(-40, 40, (300, 3))
    tree = grow([0, 0, 0], targets)
    order = np.arange(1, len(tree.points))
    assert (tree.radius[tree.parent[order]] >= tree.radius[order]).all()
    assert tree.radius[0] == pytest.approx(
        min(0.5 * (np.bincount(tree.parent[1:], minlength=301) == 0).sum() ** (1 / 2.7), 6.5)
    )


def test_a_thin_vessel_keeps_its_volume() -> None:
    # 40 mm of radius 0.4 mm: 20.1 mm^3, far thinner than the 1 mm pixels.
    points = np.column_stack([np.arange(-20, 20, 0.5) + 0.25, np.zeros(80), np.zeros(80)])
    into = np.zeros((21, 21, 61), dtype=np.float32)
    paint(into, Grid((-10, -10, -30), (1, 1, 1), into.shape), points, np.full(80, 0.4))
    assert into.sum() == pytest.approx(np.pi * 0.4**2 * 40, rel=1e-3)


def test_noise_is_as_loud_as_the_protocol_says() -> None:
    protocol = Protocol(1.0, 96, 2.5, KERNELS[1], 20.0, 40.0, True)
    rng = np.random.default_rng(0)
    scanner = Scanner(protocol, rng)
    slices = np.stack([scanner.acquire(np.zeros((96, 96), np.float32), rng) for _ in range(40)])
    # 0.75 + 0.45 of the stated noise in the middle of the image.
    assert slices[:, 44:52, 44:52].std() == pytest.approx(1.2 * 20, rel=0.12)
    assert scanner.acquire(np.full((96, 96), -700, np.float32), rng).mean() == pytest.approx(-700, abs=2)


def test_padding_only_for_round_fields_of_view() -> None:
    protocol = Protocol(1.0, 5, 2.5, KERNELS[1], 20.0, 40.0, True)
    outside = outside_circle(protocol)
    assert outside is not None
    # Pixels farther than 2 from the middle pixel: sqrt(5) and sqrt(8) are.
    assert outside.astype(int).tolist() == [
        [1, 1, 0, 1, 1],
        [1, 0, 0, 0, 1],
        [0, 0, 0, 0, 0],
        [1, 0, 0, 0, 1],
        [1, 1, 0, 1, 1],
    ]
    assert outside_circle(replace(protocol, round_fov=False)) is None


def test_random_nodules_have_only_the_outlines_that_were_given() -> None:
    z, y, x = np.ogrid[-5:6, -5:6, -5:6]
    mask = z**2 + y**2 + x**2 <= 25
    rated = {**dict.fromkeys(RATINGS, 1), "texture": 5, "calcification": 6, "subtlety": 2}
    only = NoduleShape("somebody", rated, mask, (2.0, 2.0), 20.0)
    settings = replace(SMALL, mean_nodules=4.0)
    _, nodules = simulate(np.random.default_rng(1), settings, shapes=(only,))
    assert nodules
    assert all(n.ratings["subtlety"] == 2 and 17 < n.diameter_mm < 24 for n in nodules)
