"""Blending: what lands where, how big, and that normal tissue goes through the very same operation."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from phantom.hybrid import (
    blend,
    boxed,
    lung_shifted,
    paste_places,
    random_turn,
    reacquired,
    resliced,
    sampled,
    tissue_like,
)
from phantom.pieces import Piece, at_1mm, faded, feathered, load_cubes, load_nodule_crops
from tests.patches import ball, ball_piece, lung

STRAIGHT = np.eye(3)


def test_a_nodule_keeps_its_hu_and_its_place_between_the_voxels() -> None:
    hu = lung()
    place = np.array([20.3, 30.0, 40.6])
    blend(hu, ball_piece(12), place, STRAIGHT)
    assert abs(hu[20, 30, 41] - 30) < 1
    assert abs(hu[20, 30, 53] + 850) < 1
    dense = hu + 850
    grid = np.indices(hu.shape).reshape(3, -1)
    np.testing.assert_allclose((grid * dense.ravel()).sum(1) / dense.sum(), place, atol=0.02)
    assert abs((6 * dense.sum() / 880 / np.pi) ** (1 / 3) - 12) < 0.1


def test_the_pieces_lung_is_matched_to_the_hosts() -> None:
    hu = lung(hu=-700)
    blend(hu, ball_piece(12), (32, 32, 32), STRAIGHT)
    assert abs(hu[32, 32, 32 + 8] + 700) < 5


def test_blending_over_the_edge_is_cut_off() -> None:
    hu = lung(20)
    weights = blend(hu, ball_piece(10), (0, 0, 0), STRAIGHT)
    assert hu[0, 0, 0] > 0
    assert weights[0, 0, 0] == 1
    assert blend(hu, ball_piece(10), (500, 0, 0), STRAIGHT).max() == 0


def test_a_turn_scales_what_it_turns() -> None:
    for seed in range(5):
        matrix, scale = random_turn(np.random.default_rng(seed))
        assert 0.85 <= scale <= 1.18
        hu = lung()
        blend(hu, ball_piece(14), (32, 32, 32), matrix)
        assert abs((6 * (hu + 850).sum() / 880 / np.pi) ** (1 / 3) - 14 * scale) < 0.15
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3) / scale**2, atol=1e-9)


def test_normal_tissue_blended_where_it_was_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    host = rng.integers(-900, 100, (64, 64, 64)).astype(np.int16)
    tissue = tissue_like(ball_piece(9, size=21), host, (24, 24, 24))
    assert tissue.diameter_mm == 0
    hu = host.astype(np.float32)
    blend(hu, tissue, (24, 24, 24), STRAIGHT)
    # The lung level of host and tissue agree but for what lies outside the outline.
    assert np.abs(hu - host).max() < 40


def test_nothing_is_known_at_the_faces_of_a_crop() -> None:
    weight = faded((20, 40, 40), (2.5, 4.0))
    assert weight[10, 20, 20] == 1
    np.testing.assert_allclose(weight[:3, 20, 20], [0.2, 0.6, 1.0], atol=1e-6)
    np.testing.assert_allclose(weight[10, 20, -4:], [0.875, 0.625, 0.375, 0.125], atol=1e-6)


def test_a_nodule_cut_by_its_crop_is_not_smeared_outwards() -> None:
    """Half of the crops have no slice beyond the nodule: the last one was repeated into the host."""
    tissue, cover = ball(16)
    cut = slice(8, 23)  # the ball reaches to the last slice on both sides
    piece = Piece(tissue[cut], feathered(cover[cut]) * faded(cover[cut].shape, (1.0, 1.0)), (7, 15, 15), 16, "p1")
    hu = lung()
    blend(hu, piece, (32, 32, 32), STRAIGHT)
    assert hu[32 + 7, 32, 32] > -500
    assert (hu[32 + 8 :] == -850).all()
    assert (hu[: 32 - 7] == -850).all()


@pytest.mark.parametrize("width", [1.0, 1.7, 2.0, 3.0, 4.0, 5.0])
def test_thicker_slices_move_nothing(width: float) -> None:
    """Box filters of even width moved everything by half a voxel along z."""
    hu = np.zeros((41, 3, 3), np.float32)
    hu[20] = 100
    thick = boxed(hu, width)
    assert abs((np.arange(41) * thick[:, 1, 1]).sum() / thick[:, 1, 1].sum() - 20) < 1e-5
    assert abs(thick[:, 1, 1].sum() - 100) < 1e-3
    assert abs((thick[:, 1, 1] > 0).sum() - width) < 2


def power(volume: np.ndarray) -> np.ndarray:
    """Mean noise power along each axis at four bands of frequency."""
    spectrum = np.abs(np.fft.fftn(volume - volume.mean())) ** 2
    bands = []
    for axis in range(3):
        along = np.moveaxis(spectrum, axis, 0).reshape(len(volume), -1).mean(1)
        bands.append([part.mean() for part in np.array_split(along[1 : len(along) // 2 + 1], 4)])
    return np.array(bands)


@pytest.mark.parametrize("slices_mm", [1.0, 2.5])
def test_noise_does_not_tell_a_nodules_piece_from_normal_tissue(slices_mm: float) -> None:
    """Pasted nodules had passed an interpolation, pasted tissue had not: 18 against 30 HU of noise."""
    rng = np.random.default_rng(0)
    seen = {"nodule": np.zeros((3, 4)), "tissue": np.zeros((3, 4))}
    for _ in range(12):
        # A crop as its scanner gave it, brought to 1 mm as crops are.
        n = round(40 / slices_mm)
        scanned = rng.normal(-850, 30, (n, 40, 40)).astype(np.float32)
        crop = Piece(
            at_1mm(scanned, (1.0, 1.0, slices_mm)),
            faded((40, 40, 40), (2.5, 4.0)),
            (19.5, 19.5, 19.5),
            8.0,
            "p",
            slices_mm,
        )
        host = rng.normal(-850, 30, (80, 80, 80)).astype(np.int16)
        tissue = tissue_like(crop, host, (40, 40, 40))
        matrix, _ = random_turn(rng)
        for name, piece in (("nodule", crop), ("tissue", tissue)):
            hu = sampled(host, random_turn(rng)[0], (40, 40, 40), (31.5,) * 3, (64, 64, 64))
            blend(hu, piece, (31.5, 31.2, 31.9), matrix)
            seen[name] += power(hu[22:42, 22:42, 22:42])
    ratio = seen["nodule"] / seen["tissue"]
    assert np.abs(np.log(ratio)).max() < 0.25


def test_reslicing_keeps_what_lies_between_the_slices_in_place() -> None:
    ramp = np.arange(40, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    np.testing.assert_allclose(resliced(ramp, 2.5)[3:-3], ramp[3:-3], atol=0.51)
    assert resliced(ramp, 1.0) is ramp


def test_the_feather_is_one_inside_and_zero_far_away() -> None:
    weight = feathered(ball(10)[1])
    assert weight[15, 15, 15] == 1
    assert weight[15, 15, 15 + 5] > 0.9
    assert weight[15, 15, 15 + 11] < 0.02


def test_denser_lung_leaves_soft_tissue_alone() -> None:
    hu = np.array([-850.0, -500, -150, 40], np.float32)
    np.testing.assert_allclose(lung_shifted(hu, 100), [-750, -450, -150, 40], atol=0.01)


def test_places_lie_in_aerated_lung() -> None:
    hu = lung()
    hu[:, :, 40:] = 50
    places = paste_places(hu, np.ones(hu.shape, bool), np.random.default_rng(0), 30)
    assert len(places) == 30
    assert (places[:, 2] < 40).all()
    assert (places[:, 2] > 30).any()  # some sit beside the wall
    solid = np.zeros((8, 8, 8), np.float32)
    assert len(paste_places(solid, np.ones((8, 8, 8), bool), np.random.default_rng(0), 3)) == 0


def test_reacquisition_keeps_the_mean() -> None:
    hu = lung(32)
    assert abs(float(reacquired(hu, np.random.default_rng(1)).mean()) + 850) < 60


def test_reacquisition_keeps_things_in_place_however_thick_the_slices() -> None:
    """Slices of up to 8 mm, half of them with lines between: on the average nothing moves along z."""
    shifts = []
    for seed in range(60):
        hu = lung(48)
        hu[20:28] = 50
        made = reacquired(hu, np.random.default_rng(seed)).mean((1, 2)) + 850
        made = np.clip(made - np.median(made), 0, None)
        shifts.append(float((made * np.arange(48)).sum() / made.sum()) - 23.5)
    assert abs(np.mean(shifts)) < 0.3
    assert np.abs(shifts).max() < 4


def test_slices_lie_apart_as_often_as_wanted() -> None:
    """Between slices that lie apart there is a line: no second difference along z."""

    def lines(thick: float, apart: float) -> float:
        made = (reacquired(lung(24), np.random.default_rng(n), 1.0, thick, apart) for n in range(20))
        return float(np.mean([np.mean(np.abs(np.diff(m, 2, axis=0)) < 1e-3) > 0.2 for m in made]))

    assert lines(0.0, 1.0) == 0
    assert lines(1.0, 0.0) == 0
    # All but those of hardly more than a voxel.
    assert lines(1.0, 1.0) > 0.5


def test_noise_of_larger_voxels_is_lower() -> None:
    fine, coarse = (
        np.mean([float(reacquired(lung(24), np.random.default_rng(n), mm)[:, 4:8].std()) for n in range(30)])
        for mm in (1.0, 2.0)
    )
    assert 0.4 < coarse / fine < 0.6


def test_folders_of_crops_and_cubes_are_read(tmp_path: Path) -> None:
    tissue, cover = ball(8, size=24)
    for folder in ("image", "mask"):
        (tmp_path / folder).mkdir()
    for name, values in (("image/a.nii.gz", tissue[::2]), ("mask/a.nii.gz", cover[::2])):
        image = sitk.GetImageFromArray(values)
        image.SetSpacing((1.0, 1.0, 2.0))
        sitk.WriteImage(image, str(tmp_path / name))
    (tmp_path / "nodules.csv").write_text("patient_id,voi,diameter_mm\nP1,a.nii.gz,8.0\n")
    crop = load_nodule_crops(tmp_path)[0]
    assert crop.slab.hu.shape == (24, 24, 24)
    assert crop.slab.patient_id == "P1"
    assert crop.slab.slices_mm == 2.0
    np.testing.assert_allclose(crop.slab.center_zyx, (12.5, 12, 12), atol=0.6)
    assert crop.outline.weight.sum() < crop.slab.weight.sum()
    assert crop.outline.weight[0].max() < 0.6

    sitk.WriteImage(sitk.GetImageFromArray(tissue), str(tmp_path / "image" / "c.nii.gz"))
    (tmp_path / "crops.csv").write_text(
        "file,patient_id,center_z,center_y,center_x,diameter_mm\nc.nii.gz,P2,12,11.5,12,8.0\n"
    )
    cube = load_cubes(tmp_path)[0]
    assert cube.center_zyx == (12.0, 11.5, 12.0)
    (tmp_path / "crops.csv").write_text(
        "file,patient_id,center_z,center_y,center_x,diameter_mm\na.nii.gz,P2,12,11.5,12,8.0\n"
    )
    with pytest.raises(ValueError, match="1 mm"):
        load_cubes(tmp_path)
