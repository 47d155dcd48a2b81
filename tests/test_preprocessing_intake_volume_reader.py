"""Files to Hounsfield volumes: values worked out by hand, positions held against SimpleITK."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from preprocessing.geometry import Geometry
from preprocessing.intake.find import find_scans
from preprocessing.intake.headers import Slice
from preprocessing.intake.pixels import hounsfield
from preprocessing.intake.scan import Reason, ScanError
from preprocessing.intake.upright import upright
from preprocessing.intake.volume_reader import read_volume
from preprocessing.volume import Volume
from tests.series import chest, slice_files, write_series


def a_slice(slope: float = 1, intercept: float = 0, padding: int | None = None) -> Slice:
    along = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    return Slice(Path("a"), 0, (1, 4), (1, 1), (0, 0, 0), along, slope, intercept, padding, 0, False)


def turned(seed: int) -> Volume:
    """The asymmetric chest at a random angle, anywhere; its slices so thick that every axis has a body's size."""
    rng = np.random.default_rng(seed)
    volume = chest()
    rotation = Rotation.from_rotvec(rng.uniform(-3, 3, 3)).as_matrix()
    x, y, z = volume.geometry.spacing_mm
    geometry = Geometry(volume.hu.shape, (x, y, 2 * z), tuple(rng.uniform(-400, 400, 3)), rotation)
    return Volume(volume.hu, geometry, volume.series_uid)


def value_at(image: sitk.Image, point_mm: np.ndarray) -> int:
    return int(image.GetPixel(image.TransformPhysicalPointToIndex(point_mm.tolist())))


def agrees_with_simpleitk(volume: Volume, image: sitk.Image) -> None:
    """Random voxels hold what SimpleITK holds at their world points."""
    rng = np.random.default_rng(0)
    for index in rng.integers(0, volume.hu.shape, (200, 3)):
        assert volume.hu[tuple(index)] == value_at(image, volume.geometry.to_world(index))


@pytest.mark.parametrize("seed", range(12))
def test_dicom_at_any_angle_agrees_with_simpleitk(seed: int, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "a", turned(seed))
    image = sitk.ReadImage([str(path) for path in slice_files(folder)])
    agrees_with_simpleitk(read_volume(find_scans(folder)[0]), image)


@pytest.mark.parametrize("ending", [".mhd", ".mha", ".nii", ".nii.gz", ".nrrd"])
@pytest.mark.parametrize("seed", range(4))
def test_images_at_any_angle_agree_with_simpleitk(ending: str, seed: int, tmp_path: Path) -> None:
    volume = turned(seed)
    image = sitk.GetImageFromArray(volume.hu)
    image.SetSpacing(volume.geometry.spacing_mm)
    image.SetOrigin(volume.geometry.origin_mm)
    image.SetDirection(volume.geometry.direction.ravel().tolist())
    sitk.WriteImage(image, str(tmp_path / f"ct{ending}"))
    agrees_with_simpleitk(read_volume(find_scans(tmp_path)[0]), image)


@pytest.mark.parametrize("seed", range(12))
def test_upright_moves_no_tissue_and_leaves_the_axes_near_the_patients(seed: int) -> None:
    volume = turned(seed)
    result = upright(volume)
    index = np.indices(result.hu.shape).reshape(3, -1).T
    there = np.rint(volume.geometry.to_voxel(result.geometry.to_world(index))).astype(int)
    np.testing.assert_array_equal(volume.hu[tuple(there.T)], result.hu.ravel())
    # The strongest entry of the matrix, chosen first, is on the diagonal and positive.
    direction = result.geometry.direction
    row, column = np.unravel_index(np.abs(direction).argmax(), (3, 3))
    assert row == column
    assert direction[row, column] > 0


def test_hounsfield_by_hand() -> None:
    stored = np.array([[0, 24, 1024, 4095]], np.uint16)
    assert hounsfield(stored, a_slice(1, -1024)).tolist() == [[-1024, -1000, 0, 3071]]
    # 4095 * 0.5 - 1500.5 = 547; -1500.5 lies below the scale.
    assert hounsfield(stored, a_slice(0.5, -1500.5)).tolist() == [[-1024, -1024, -988, 547]]


def test_padding_becomes_air_whatever_the_rescale() -> None:
    stored = np.array([[-2000, -1024, 40, 3000]], np.int16)
    assert hounsfield(stored, a_slice(1, 0, padding=-2000)).tolist() == [[-1024, -1024, 40, 3000]]
    high = np.array([[63536, 0, 1064, 2000]], np.uint16)
    assert hounsfield(high, a_slice(1, -1024, padding=63536)).tolist() == [[-1024, -1024, 40, 976]]


def test_padding_amid_tissue_is_not_believed() -> None:
    stored = np.array([[0, 1, 2, 3]], np.int16)
    assert hounsfield(stored, a_slice(1, 0, padding=0)).tolist() == [[0, 1, 2, 3]]


def test_a_refused_scan_is_not_read(tmp_path: Path) -> None:
    scan = replace(find_scans(write_series(tmp_path / "a"))[0], refused=Reason.GANTRY_TILT, detail="told")
    with pytest.raises(ScanError, match="told") as caught:
        read_volume(scan)
    assert caught.value.reason is Reason.GANTRY_TILT


def test_an_image_that_is_no_ct_is_refused(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 255, (20, 30, 40)).astype(np.int16))
    sitk.WriteImage(image, str(tmp_path / "mr.nii"))
    with pytest.raises(ScanError) as caught:
        read_volume(find_scans(tmp_path)[0])
    assert caught.value.reason is Reason.NOT_HOUNSFIELD
