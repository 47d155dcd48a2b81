"""Pasting: what lands where, how big, and that normal tissue goes through the same operation."""

import numpy as np

from detection.sampling import Host, HybridPatches, SamplingSettings
from phantom.hybrid import Chip, feathered, paste, paste_places, reacquired, tissue_chip, varied


def ball_chip(diameter: float, hu: float = 30.0, size: int = 31) -> Chip:
    grid = np.indices((size, size, size)) - size // 2
    ball = (grid**2).sum(0) <= (diameter / 2) ** 2
    tissue = np.where(ball, hu, -850).astype(np.float32)
    return Chip(tissue, ball.astype(np.float32), diameter, "p1")


def lung(size: int = 64, hu: int = -850) -> np.ndarray:
    return np.full((size, size, size), hu, np.float32)


def test_a_pasted_nodule_keeps_its_hu_and_its_place() -> None:
    hu = lung()
    paste(hu, ball_chip(12), (20, 30, 40))
    assert abs(hu[20, 30, 40] - 30) < 1
    assert abs(hu[20, 30, 52] + 850) < 1
    solid = hu > -400
    np.testing.assert_allclose(np.argwhere(solid).mean(0), (20, 30, 40), atol=0.1)
    diameter = (6 * solid.sum() / np.pi) ** (1 / 3)
    assert abs(diameter - 12) < 1


def test_the_chips_lung_is_matched_to_the_hosts() -> None:
    hu = lung(hu=-700)
    paste(hu, ball_chip(12), (32, 32, 32))
    assert abs(hu[32, 32, 32 + 8] + 700) < 5


def test_pasting_over_the_edge_is_cut_off() -> None:
    hu = lung(20)
    paste(hu, ball_chip(10), (0, 0, 0))
    assert hu[0, 0, 0] > 0
    paste(hu, ball_chip(10), (500, 0, 0))


def test_variation_scales_the_diameter_with_the_voxels() -> None:
    chip = ball_chip(14)
    for seed in range(5):
        changed = varied(chip, np.random.default_rng(seed))
        measured = (6 * changed.mask.sum() / np.pi) ** (1 / 3)
        assert 0.85 * 14 <= changed.diameter_mm <= 1.15 * 14
        assert abs(measured - changed.diameter_mm) < 0.4


def test_normal_tissue_pasted_onto_itself_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    host = rng.integers(-900, 100, (48, 48, 48)).astype(np.int16)
    chip = tissue_chip(host, (24, 24, 24), ball_chip(9, size=21))
    hu = host.astype(np.float32)
    paste(hu, chip, (24, 24, 24))
    # The lung level of host and chip agree but for what lies outside the outline.
    assert np.abs(hu - host).max() < 40


def test_the_feather_is_one_inside_and_zero_far_away() -> None:
    weight = feathered(ball_chip(10).mask)
    assert weight[15, 15, 15] == 1
    assert weight[15, 15, 15 + 5] > 0.9
    assert weight[15, 15, 15 + 11] < 0.02


def test_places_lie_in_aerated_lung() -> None:
    hu = lung()
    hu[:, :, 40:] = 50
    places = paste_places(hu, np.ones(hu.shape, bool), np.random.default_rng(0), 30)
    assert len(places) == 30
    assert (places[:, 2] < 40).all()
    assert (places[:, 2] > 30).any()  # some sit beside the wall
    assert (
        len(paste_places(np.zeros((8, 8, 8), np.float32), np.ones((8, 8, 8), bool), np.random.default_rng(0), 3)) == 0
    )


def stream(seed: int) -> HybridPatches:
    host = Host(
        lung(80).astype(np.int16),
        np.ones((80, 80, 80), bool),
        nodules=np.array([[40.0, 40, 40, 8]]),
        ignored=np.array([[10.0, 10, 10, 6]]),
    )
    return HybridPatches([host], [ball_chip(6), ball_chip(12)], SamplingSettings(patch=32), seed)


def test_patches_repeat_with_their_seed_and_boxes_lie_on_nodules() -> None:
    first, second = iter(stream(5)), iter(stream(5))
    seen = 0
    for _ in range(12):
        a, b = next(first), next(second)
        assert (a.image == b.image).all()
        assert a.image.shape == (1, 32, 32, 32)
        for box in a.boxes:
            center = ((box[:3] + box[3:]) / 2).round().long()
            if bool((center >= 2).all()) and bool((center < 30).all()) and box[3] - box[0] != 8:
                seen += 1
                # -1000 HU is 0 and 400 HU is 1: a nodule's middle is far above lung at .11.
                assert float(a.image[0][tuple(center)]) > 0.4
    assert seen > 5


def test_reacquisition_keeps_the_mean() -> None:
    hu = lung(32)
    assert abs(float(reacquired(hu, np.random.default_rng(1)).mean()) + 850) < 60
