"""Three other readers over the real scans: the same Hounsfield units at the same places, voxel by voxel.

SimpleITK (GDCM) and dcm2niix order slices and decode by themselves; the third takes each file's pixels and position
from pydicom alone.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.uid import JPEGLSTransferSyntaxes

from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Scan
from preprocessing.intake.volume_reader import read_volume
from preprocessing.volume import HU_MAX, HU_MIN, Volume

DATA = Path("../shared/data")
FOLDERS = sorted(
    p for root in ("lidc_scans", "chest_ct", "backgrounds") for p in (DATA / root).glob("*") if p.is_dir()
)
RAS = np.diag([-1.0, -1.0, 1.0])
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDERS, reason="shared/data is not there"),
]
# Single precision of a NIfTI's header.
FAR_MM = 1e-2

Grid = tuple[np.ndarray, np.ndarray]  # values (Z, Y, X), and (4, 4) from voxel (x, y, z, 1) to world LPS mm


def by_simpleitk(scan: Scan, folder: Path) -> Grid:
    image = sitk.ReadImage([str(path) for path in scan.paths], imageIO="GDCMImageIO")
    return sitk.GetArrayFromImage(image), affine_of(image)


def by_dcm2niix(scan: Scan, folder: Path) -> Grid:
    if shutil.which("dcm2niix") is None:
        pytest.skip("dcm2niix is not installed")
    source = folder / "dicom"
    source.mkdir()
    for k, path in enumerate(scan.paths):
        if dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID in JPEGLSTransferSyntaxes:
            file = dcmread(path)  # Debian's build has no decoder for it; GDCM has
            file.decompress(generate_instance_uid=False)
            file.save_as(source / f"{k:04d}.dcm")
        else:
            (source / f"{k:04d}.dcm").symlink_to(path.resolve())
    subprocess.run(["dcm2niix", "-z", "n", "-b", "n", "-m", "y", "-f", "ct", "-o", folder, source], check=True)
    image = sitk.ReadImage(str(folder / "ct.nii"))  # LPS, as all of SimpleITK
    return sitk.GetArrayFromImage(image), affine_of(image)


def affine_of(image: sitk.Image) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return affine


def by_hand(scan: Scan, folder: Path) -> Grid:
    """PS3.3 C.7.6.2.1.1, slice after slice, for slices that stand behind each other."""
    files = [dcmread(path) for path in scan.paths]
    rows = np.array(files[0].ImageOrientationPatient[:3], float)
    columns = np.array(files[0].ImageOrientationPatient[3:], float)
    normal = np.cross(rows, columns)
    files.sort(key=lambda f: float(np.array(f.ImagePositionPatient, float) @ normal))
    first, last = (np.array(files[k].ImagePositionPatient, float) for k in (0, -1))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = rows * float(files[0].PixelSpacing[1]), columns * float(files[0].PixelSpacing[0])
    affine[:3, 2], affine[:3, 3] = (last - first) / (len(files) - 1), first
    hu = [f.pixel_array * float(f.RescaleSlope) + float(f.RescaleIntercept) for f in files]
    return np.stack(hu), affine


def same(volume: Volume, grid: Grid) -> None:
    """Each voxel of ours lies on one of theirs and holds its value, clipped to our range.

    Only padding may differ, which other readers keep: what we call -1024 and they call something below.
    """
    values, affine = grid
    assert sorted(values.shape) == sorted(volume.hu.shape)
    ours = np.eye(4)
    ours[:3, :3] = volume.geometry.direction * volume.geometry.spacing_mm
    ours[:3, 3] = volume.geometry.origin_mm
    mapped = np.linalg.inv(affine) @ ours
    turn = np.rint(mapped[:3, :3])
    assert np.allclose(np.abs(turn).sum(axis=0), 1)
    corners = np.array([[x, y, z, 1.0] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    corners[:, :3] *= np.array(volume.hu.shape[::-1]) - 1
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    there = (corners @ mapped.T)[:, :3]
    assert np.abs((there - np.rint(there)) * spacing).max() < FAR_MM
    assert there.min() > -0.5
    order = [int(np.abs(turn[:, axis]).argmax()) for axis in range(3)]
    signs = [int(turn[theirs, axis]) for axis, theirs in enumerate(order)]
    turned = values.transpose([2 - order[2 - k] for k in range(3)])[tuple(slice(None, None, s) for s in signs[::-1])]
    np.testing.assert_array_equal(volume.hu, np.rint(turned).clip(HU_MIN, HU_MAX))


@pytest.mark.parametrize("reader", [by_simpleitk, by_dcm2niix, by_hand], ids=lambda reader: reader.__name__)
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_other_readers_agree(folder: Path, reader: Callable[[Scan, Path], Grid], tmp_path: Path) -> None:
    for scan in find_scans(folder):
        if scan.refused is None:
            same(read_volume(scan), reader(scan, tmp_path))
