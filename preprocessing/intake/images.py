"""MetaImage, NIfTI and NRRD through SimpleITK, which brings all of them to LPS."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from preprocessing.geometry import Geometry
from preprocessing.intake.image_headers import data_files
from preprocessing.intake.scan import Reason, ScanError
from preprocessing.intake.stack import MAX_SPACING_MM, MIN_SLICES
from preprocessing.volume import HU_MAX, HU_MIN, Volume

# Which reader opens what: left to itself, SimpleITK looks into the file, and a header we did not check could be read.
READERS = {
    ".nii.gz": "NiftiImageIO",
    ".nii": "NiftiImageIO",
    ".mhd": "MetaImageIO",
    ".mha": "MetaImageIO",
    ".nrrd": "NrrdImageIO",
}
ENDINGS = tuple(READERS)
# 1024 x 1024 x 2048; what a header claims beyond would only fill the memory.
MOST_VOXELS = 2**31
sitk.ProcessObject.SetGlobalWarningDisplay(False)


def image_ending(path: Path) -> str | None:
    """Which of the readable endings a file has, or None."""
    return next((e for e in ENDINGS if path.name.lower().endswith(e)), None)


def check_image(path: Path) -> None:
    """Read the header only.

    Raises:
        ScanError: no greyscale volume of at least 10 slices can be in it, or its voxels lie in another folder.
    """
    _check_name(path)
    data_files(path)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(READERS[image_ending(path) or ""])
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise ScanError(Reason.UNREADABLE, f"the {image_ending(path)} header cannot be read") from error
    size = reader.GetSize()
    if reader.GetNumberOfComponents() != 1:
        raise ScanError(Reason.NOT_MONOCHROME, f"one channel is needed, got {reader.GetNumberOfComponents()}")
    if len([n for n in size if n > 1]) != 3 or len(size) > 4:
        raise ScanError(Reason.BAD_VALUE, f"a volume has three axes, got size {tuple(size)}")
    if np.prod(size, dtype=float) > MOST_VOXELS:
        raise ScanError(Reason.BAD_VALUE, f"a CT has at most {MOST_VOXELS} voxels, got size {tuple(size)}")
    if min(reader.GetSpacing()[:3]) <= 0 or not np.all(np.isfinite(reader.GetSpacing())):
        raise ScanError(Reason.BAD_VALUE, "the spacing must be positive")


def _check_name(path: Path) -> None:
    """SimpleITK takes names as UTF-8; handed another one it ends the process."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise ScanError(Reason.UNREADABLE, "the name of the file or of a folder above is no text in UTF-8") from error


def read_image(path: Path, series_uid: str) -> Volume:
    """The volume of an image file, its axes turned to the nearest of patient left, back and head.

    Raises:
        ScanError: see `check_image`; `too_few_slices`; `bad_value` for a grid that is not rectangular.
    """
    check_image(path)
    try:
        image = sitk.ReadImage(str(path), imageIO=READERS[image_ending(path) or ""])
    except RuntimeError as error:
        raise ScanError(
            Reason.TRUNCATED, "the voxels cannot be read; the file or its data file is cut or missing"
        ) from error
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
    image = sitk.DICOMOrient(image, "LPS")
    values = sitk.GetArrayViewFromImage(image)
    if len(values) < MIN_SLICES:
        raise ScanError(Reason.TOO_FEW_SLICES, f"at least {MIN_SLICES} slices are needed, got {len(values)}")
    spacing = image.GetSpacing()
    if spacing[2] > MAX_SPACING_MM:
        limit = f"slices at most {MAX_SPACING_MM:g} mm apart are needed"
        raise ScanError(Reason.THICK_SLICES, f"{limit}, got {spacing[2]:.2f} mm")
    hu = _hounsfield(np.asarray(values))
    direction = np.asarray(image.GetDirection()).reshape(3, 3)
    try:
        geometry = Geometry(hu.shape, spacing, image.GetOrigin(), direction)
    except ValueError as error:
        raise ScanError(Reason.BAD_VALUE, "the direction matrix must be orthonormal") from error
    return Volume(hu, geometry, series_uid)


def _hounsfield(values: npt.NDArray[Any]) -> npt.NDArray[np.int16]:
    """Values as they are, clipped; not-a-number counts as padding."""
    if np.issubdtype(values.dtype, np.integer):
        limits = np.iinfo(values.dtype)
        hu = values.clip(max(HU_MIN, limits.min), min(HU_MAX, limits.max))
    else:
        hu = np.rint(np.nan_to_num(values, nan=HU_MIN, posinf=HU_MAX, neginf=HU_MIN).clip(HU_MIN, HU_MAX))
    return cast(npt.NDArray[np.int16], hu.astype(np.int16))
