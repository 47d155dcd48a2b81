"""Our separable resampling beside SimpleITK's, and patches at borders."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from preprocessing.geometry import Geometry
from preprocessing.patches import extract_patch, normalise
from preprocessing.resample import resample, sample_mask
from preprocessing.volume import Volume


def noise_volume(seed: int = 0) -> Volume:
    rng = np.random.default_rng(seed)
    direction = Rotation.from_rotvec([0.2, -0.4, 1.0]).as_matrix()
    geometry = Geometry((9, 14, 12), (0.7, 0.8, 2.5), (-30, 12, 100), direction)
    return Volume(rng.integers(-1024, 400, (9, 14, 12)).astype(np.int16), geometry, "1.2.3")


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.7, 0.8, 1.0), (2, 2, 2)])
def test_equals_simpleitk_linear(spacing: tuple[float, float, float]) -> None:
    volume = noise_volume()
    target = volume.geometry.cropped((1, 2, 2), (8, 12, 10)).resampled(spacing)
    ours = resample(volume, target).hu
    image = sitk.GetImageFromArray(volume.hu.astype(np.float64))
    image.SetSpacing(volume.geometry.spacing_mm)
    image.SetOrigin(volume.geometry.origin_mm)
    image.SetDirection(volume.geometry.direction.ravel().tolist())
    reference = sitk.Resample(
        image,
        [int(n) for n in target.shape_zyx[::-1]],
        sitk.Transform(),
        sitk.sitkLinear,
        target.origin_mm,
        target.spacing_mm,
        target.direction.ravel().tolist(),
        0.0,
    )
    expected = sitk.GetArrayFromImage(reference)
    assert np.abs(ours - expected).max() <= 0.51  # ours is rounded to whole HU


def test_other_axes_are_refused() -> None:
    volume = noise_volume()
    other = Geometry((3, 3, 3), (1, 1, 1), (0, 0, 0), np.eye(3))
    with pytest.raises(ValueError, match="parallel"):
        resample(volume, other)


def test_masks_keep_their_place() -> None:
    geometry = Geometry((4, 4, 4), (2, 2, 2), (0, 0, 0), np.eye(3))
    mask = np.zeros((4, 4, 4), bool)
    mask[1, 2, 3] = True
    fine = sample_mask(mask, geometry, geometry.resampled((1, 1, 1)))
    assert fine.sum() == 8
    assert fine[2:4, 4:6, 6:8].all()


def test_patches_are_padded_and_never_shifted() -> None:
    hu = np.arange(27, dtype=np.int16).reshape(3, 3, 3)
    patch = extract_patch(hu, (0, 0, 0), (3, 3, 3))
    assert patch[1, 1, 1] == hu[0, 0, 0]
    assert (patch[0] == -1024).all()
    assert (extract_patch(hu, (40, 0, 0), (2, 2, 2)) == -1024).all()


def test_intensity_scaling_by_hand() -> None:
    scaled = normalise(np.array([[[-2000, -1000, -300, 400, 3000]]], dtype=np.int16))
    np.testing.assert_allclose(scaled[0, 0], [0, 0, 0.5, 1, 1])
