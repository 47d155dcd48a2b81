"""Patches: numbered, their marks on their nodules, and what lies at a border never taught as background."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from detection.training.sampling import HybridPatches, collate
from preprocessing.preparation import Preparation
from tests.patches import SMALL, crop, cube, host, patches


def test_a_patch_is_its_number_and_its_marks_lie_on_nodules() -> None:
    first, second = patches(), patches()
    seen = 0
    for number in (3, 11, 0, 7, 20, 21, 22, 23, 24, 25):
        a, b = first[number], second[number]
        assert torch.equal(a.image, b.image)
        assert (a.nodules == b.nodules).all()
        assert a.image.shape == (1, 32, 32, 32)
        assert a.known.shape == (8, 8, 8)
        for z, y, x, diameter in a.nodules:
            if min(z, y, x) >= 2 and max(z, y, x) < 29:
                seen += 1
                # -1000 HU is 0 and 400 HU is 1: a nodule's middle is far above lung at .11.
                assert float(a.image[0, round(z), round(y), round(x)]) > 0.4
                assert 4 < diameter < 15
    assert seen > 5
    assert not torch.equal(first[0].image, first[1].image)
    assert not torch.equal(first[0].image, patches(seed=6)[0].image)


def test_a_patch_is_shown_as_the_detector_wants_it() -> None:
    usual = patches()
    fine = HybridPatches(
        usual.hosts, usual.crops, usual.cubes, SMALL, usual.seed, Preparation((0.5, 0.5, 2.0), (-1024.0, 300.0))
    )
    seen = 0
    for number in range(12):
        made, shown = usual[number], fine[number]
        assert shown.image.shape == (1, 16, 64, 64)
        assert torch.equal(made.known, shown.known)
        assert (made.nodules == shown.nodules).all()
        for z, y, x, _ in shown.nodules:
            at = np.rint(shown.grid.to_voxel((x, y, z))).astype(int)
            if (at >= 1).all() and (at < np.array(shown.grid.shape_zyx) - 1).all():
                seen += 1
                # Lung, of -850 HU, is .13 in this window; the middle of a nodule is soft tissue.
                assert float(shown.image[(0, *at)]) > 0.5
    assert seen > 5


def test_a_tumour_that_reaches_in_is_ignored_wherever_its_centre_lies() -> None:
    """78 % of the patches that overlapped an ignored tumour of 24 mm taught it as background."""
    chest = host(ignored=[(60, 60, 60, 24)])
    data = HybridPatches([chest], [], [], SMALL, 0)
    reached = outside = 0
    for number in range(120):
        patch = data[number]
        for z, y, x, diameter in patch.ignored:
            reached += 1
            outside += not all(0 <= v <= 31 for v in (z, y, x))
            assert 24 * 0.85 <= diameter <= 24 * 1.18
    assert reached > 5
    assert outside > 2


def test_a_chests_own_nodule_cut_by_the_border_is_ignored_not_background() -> None:
    chest = host([(60, 60, 60, 20)])
    data = HybridPatches([chest], [], [], SMALL, 0)
    cut = 0
    for number in range(150):
        patch = data[number]
        dense = (patch.image[0] > 0.5).numpy()
        if not dense.any():
            continue
        marks = np.concatenate([patch.nodules, patch.ignored])
        places = np.argwhere(dense)
        nearest = min(np.linalg.norm(places - m[:3], axis=1).max() for m in marks)
        assert nearest < 20
        cut += len(patch.ignored)
    assert cut > 2


def test_nothing_is_blended_into_an_ignored_tumour() -> None:
    """Radii were taken for diameters once: nodules grew in the outer half of ignored tumours."""
    chest = host(ignored=[(60, 60, 60, 30)])
    data = HybridPatches([chest], [crop(6)], [], replace(SMALL, nodules=4.0, patch=48), 1)
    pairs = 0
    for number in range(40):
        patch = data[number]
        for nodule in patch.nodules:
            for ball in patch.ignored:
                pairs += 1
                assert np.linalg.norm(nodule[:3] - ball[:3]) > nodule[3] / 2 + ball[3] / 2
    assert pairs > 5


def test_cubes_come_with_their_nodule_or_as_normal_tissue_and_their_seams_teach_nothing() -> None:
    data = HybridPatches([host()], [], [cube(10)], replace(SMALL, cubes=1.0), 0)
    made = [data[number] for number in range(40)]
    with_nodule = [p for p in made if len(p.nodules)]
    assert 8 < len(with_nodule) < 32
    seams = [float(p.known.min()) for p in made]
    assert min(seams) == 0
    # Normal tissue has the same seams.
    assert any(float(p.known.min()) == 0 for p in made if not len(p.nodules))


def test_a_batch_holds_all_marks_and_zeros_elsewhere() -> None:
    data = patches(replace(SMALL, nodules=3.0), cubes=False)
    batch = [data[number] for number in range(6)]
    images, truth = collate(batch)
    assert images.shape == (6, 1, 32, 32, 32)
    assert truth.nodules.shape == (6, max(len(p.nodules) for p in batch), 4)
    for row, patch in zip(truth.nodules, batch, strict=True):
        torch.testing.assert_close(row[: len(patch.nodules)], torch.from_numpy(patch.nodules).float())
        assert float(row[len(patch.nodules) :].abs().sum()) == 0


def test_half_of_the_patches_end_where_inference_ends() -> None:
    chest = replace(host(), box=((40, 40, 40), (80, 80, 80)))
    data = HybridPatches([chest], [], [], replace(SMALL, patch=64), 0)
    air = [float((data[n].image == 0).float().mean()) for n in range(20)]
    assert 4 < sum(share > 0.3 for share in air) < 16


def test_no_chest_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one chest"):
        HybridPatches([], [], [], SMALL, 0)
