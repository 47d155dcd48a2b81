"""NIfTI headers: values held against SimpleITK, geometry worked out by hand, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from preprocessing.intake.images import check_image, read_image
from preprocessing.intake.scan import Reason, ScanError
from tests.nifti_files import CODES, write_nifti

SPACING = (0.7, 0.8, 2.5)
SFORM = np.array([[-0.7, 0, 0, 11], [0, -0.8, 0, 12], [0, 0, 2.5, -300]])


def voxels(kind: str = "i2") -> np.ndarray:
    """(12, 5, 6), all values different, within the type's range."""
    values = np.arange(360).reshape(12, 5, 6) * (0.25 if kind[0] == "f" else 1)
    return (values % 120 if kind[1] == "1" else values).astype(kind)


def simpleitk(path: Path) -> sitk.Image:
    return sitk.ReadImage(str(path), imageIO="NiftiImageIO")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("scale", [(0, 0), (2, -100), (0.5, 3)])
def test_every_type_order_and_scale_as_simpleitk_reads_it(
    kind: str, order: str, scale: tuple[float, float], tmp_path: Path
) -> None:
    path = write_nifti(tmp_path / "a.nii", voxels(kind), spacing=SPACING, sform=SFORM, order=order, scale=scale)
    theirs = sitk.GetArrayFromImage(sitk.DICOMOrient(simpleitk(path), "LPS")).astype(float)
    np.testing.assert_array_equal(read_image(path, "x").hu, np.rint(theirs.clip(-1024, 3071)))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("handed", [1, -1])
def test_quaternions_as_simpleitk_reads_them(seed: int, handed: int, tmp_path: Path) -> None:
    b, c, d, a = Rotation.random(random_state=seed).as_quat()
    quaternion = tuple(float(v * np.sign(a)) for v in (b, c, d))
    path = write_nifti(
        tmp_path / "a.nii", np.zeros((30, 31, 32), "i2"), spacing=SPACING, quaternion=quaternion, origin=(1, 2, 3),
        handed=handed,
    )  # fmt: skip
    image, geometry = simpleitk(path), read_image(path, "x").geometry
    for index in ([0, 0, 0], [31, 0, 0], [0, 30, 29]):
        there = np.array(image.TransformIndexToPhysicalPoint(index))
        at = np.rint(geometry.to_voxel(there))
        np.testing.assert_allclose(geometry.to_world(at), there, atol=1e-3)


def test_a_matrix_by_hand(tmp_path: Path) -> None:
    """RAS -0.7 a column is LPS +0.7: patient left. Voxel [z, y, x] = [2, 1, 3] lies at (-11+2.1, -12+.8, -295)."""
    volume = read_image(write_nifti(tmp_path / "a.nii", voxels(), spacing=SPACING, sform=SFORM), "x")
    np.testing.assert_allclose(volume.geometry.to_world([2, 1, 3]), (-8.9, -11.2, -295), atol=1e-4)
    assert volume.hu[2, 1, 3] == 2 * 30 + 6 + 3


def refused(path: Path) -> tuple[Reason, str]:
    with pytest.raises(ScanError) as caught:
        check_image(path)
    return caught.value.reason, caught.value.detail


@pytest.mark.parametrize(
    ("fields", "reason", "words"),
    [
        ({"spacing": (1, 1, 1)}, Reason.MISSING_TAG, "spacing"),
        ({"spacing": (0.7, 0.8, 0)}, Reason.MISSING_TAG, "spacing"),
        ({"spacing": (0.7, np.nan, 2)}, Reason.MISSING_TAG, "spacing"),
        ({"spacing": SPACING}, Reason.MISSING_TAG, "orientation"),
        ({"spacing": (0.7, 0.8, 0), "quaternion": (0, 0, 1)}, Reason.MISSING_TAG, "spacing"),
        ({"spacing": SPACING, "quaternion": (0, 0.9, 0.9)}, Reason.BAD_VALUE, "quaternion"),
        ({"spacing": SPACING, "sform": np.zeros((3, 4))}, Reason.BAD_VALUE, "sform and pixdim"),
        ({"spacing": (1, 1, 1), "sform": np.full((3, 4), np.nan)}, Reason.BAD_VALUE, "sform must hold"),
        ({"spacing": SPACING, "sform": SFORM, "units": 1}, Reason.BAD_VALUE, "metres"),
        ({"spacing": SPACING, "sform": SFORM, "units": 3}, Reason.BAD_VALUE, "micrometres"),
        ({"spacing": SPACING, "sform": SFORM, "units": 9}, Reason.BAD_VALUE, "metres"),
        # 12 slices of 2.5 and of 3 mm: 6 mm.
        ({"spacing": (0.7, 0.8, 3), "sform": SFORM}, Reason.BAD_VALUE, "0.7 x 0.8 x 2.5 mm and 0.7 x 0.8 x 3 mm"),
    ],
)
def test_geometry_that_is_missing_or_senseless(
    fields: dict[str, object], reason: Reason, words: str, tmp_path: Path
) -> None:
    found, detail = refused(write_nifti(tmp_path / "a.nii", voxels(), **fields))
    assert found == reason
    assert words in detail


def test_forms_that_disagree(tmp_path: Path) -> None:
    """The quaternion (0, 0, 1) turns by 180 degrees about z: the same as the matrix, until its origin moves."""
    same = {"spacing": SPACING, "sform": SFORM, "quaternion": (0, 0, 1)}
    assert check_image(write_nifti(tmp_path / "a.nii", voxels(), **same, origin=(11, 12, -300))) == ()
    assert check_image(write_nifti(tmp_path / "b.nii", voxels(), **same, origin=(11, 12.4, -300))) == ()
    reason, detail = refused(write_nifti(tmp_path / "c.nii", voxels(), **same, origin=(11, 12, -297)))
    assert reason == Reason.BAD_VALUE
    assert "3.0 mm apart" in detail


def test_a_silent_pixdim_leaves_the_matrix(tmp_path: Path) -> None:
    volume = read_image(write_nifti(tmp_path / "a.nii", voxels(), spacing=(0, 0, 0), sform=SFORM), "x")
    np.testing.assert_allclose(volume.geometry.spacing_mm, SPACING, rtol=1e-6)


def test_shear_within_rounding_is_set_right(tmp_path: Path) -> None:
    """Over 512 rows .0004 mm a row are .2 mm; .01 mm a row are 5 mm."""
    wide = np.zeros((12, 512, 40), "i2")
    sheared = SFORM.copy()
    sheared[0, 1] = 0.0004
    path = write_nifti(tmp_path / "a.nii", wide, spacing=SPACING, sform=sheared)
    (warning,) = check_image(path)
    assert warning.startswith("geometry_repaired:")
    geometry = read_image(path, "x").geometry
    for index in ([0, 0, 0], [11, 511, 39]):
        stated = np.diag([-1, -1, 1]) @ (sheared @ [index[2], index[1], index[0], 1])
        assert np.linalg.norm(geometry.to_world(index) - stated) < 0.2
    sheared[0, 1] = 0.01
    reason, detail = refused(write_nifti(tmp_path / "b.nii", wide, spacing=SPACING, sform=sheared))
    assert reason == Reason.BAD_VALUE
    assert "sheared" in detail


@pytest.mark.parametrize("size", [(24, 512, 512), (512, 512, 24), (133, 256, 256)])
def test_a_scanners_matrix_in_cubes_of_1_mm_has_lost_its_spacing(size: tuple[int, int, int], tmp_path: Path) -> None:
    empty = np.zeros(size, "i1")
    reason, detail = refused(write_nifti(tmp_path / "a.nii.gz", empty, sform=np.eye(3, 4)))
    assert reason == Reason.MISSING_TAG
    assert "1 mm cubes" in detail
    # A volume resampled to 1 mm says where it lies.
    placed = np.eye(3, 4)
    placed[2, 3] = -300
    assert check_image(write_nifti(tmp_path / "b.nii.gz", empty, sform=placed)) == ()


def test_voxels_that_are_no_numbers(tmp_path: Path) -> None:
    values = np.full((12, 8, 9), 40, "f4")
    values[:, :2, :] = np.nan
    volume = read_image(write_nifti(tmp_path / "a.nii", values, spacing=SPACING, sform=SFORM), "x")
    assert (volume.hu[:, :2] == -1024).all()
    assert (volume.hu[:, 2:] == 40).all()
    assert volume.warnings[0].startswith("padding: 216 voxels")
    values[6, 5, 4] = np.nan
    path = write_nifti(tmp_path / "b.nii", values, spacing=SPACING, sform=SFORM)
    with pytest.raises(ScanError, match="1 voxels inside"):
        read_image(path, "x")


def test_a_scale_that_is_no_number_is_none(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", voxels(), spacing=SPACING, sform=SFORM, scale=(np.nan, np.nan))
    assert read_image(path, "x").hu[0, 0].tolist() == [0, 1, 2, 3, 4, 5]
