"""MetaImage, NIfTI and NRRD to volumes, their axes turned to the nearest of patient left, back and head."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
import numpy.typing as npt

from preprocessing.geometry import Geometry
from preprocessing.intake.formats.affine import geometry_of
from preprocessing.intake.formats.labels import check_glance, check_header
from preprocessing.intake.formats.metaimage import metaimage
from preprocessing.intake.formats.nifti import nifti
from preprocessing.intake.formats.nrrd import nrrd
from preprocessing.intake.formats.stored import Stored, check_sizes, voxels
from preprocessing.intake.scan import Reason, ScanError
from preprocessing.intake.stack import MAX_SPACING_MM, MIN_SLICES
from preprocessing.intake.upright import upright
from preprocessing.volume import HU_MAX, HU_MIN, Volume

READERS: dict[str, Callable[[Path], Stored]] = {
    ".nii.gz": nifti,
    ".nii": nifti,
    ".mhd": metaimage,
    ".mha": metaimage,
    ".nrrd": nrrd,
}
ENDINGS = tuple(READERS)
# 1024 x 1024 x 2048; what a header claims beyond would only fill the memory.
MOST_VOXELS = 2**31


def image_ending(path: Path) -> str | None:
    """Which of the readable endings a file has, or None."""
    return next((e for e in ENDINGS if path.name.lower().endswith(e)), None)


def data_files(path: Path) -> tuple[Path, ...]:
    """The files beside an image file that its voxels are read from; empty for any other file.

    Raises:
        ScanError: the header cannot be read.
    """
    if image_ending(path) is None:
        return ()
    return tuple(piece.path for piece in _header(path).pieces if piece.path != path)


def check_image(path: Path) -> tuple[str, ...]:
    """Read the header only.

    Returns:
        Warnings, `code: sentence`.

    Raises:
        ScanError: no greyscale volume of known geometry can be in it, its voxels lie in another folder, or the files
            are shorter than it states.
    """
    stored = _header(path)
    if math.prod(stored.size_xyz) > MOST_VOXELS:
        raise ScanError(Reason.BAD_VALUE, f"a CT has at most {MOST_VOXELS} voxels, got size {stored.size_xyz}")
    _, warnings = geometry_of(stored.affine, stored.size_xyz)
    check_sizes(stored)
    return (*stored.warnings, *warnings)


def check_no_labels(path: Path) -> None:
    """Whether a file that `check_image` let pass names parts of the body, as far as its header and a few voxels tell.

    Raises:
        ScanError: `label_map`.
    """
    stored = _header(path)
    check_header(stored)
    check_glance(stored)


def read_image(path: Path, series_uid: str) -> Volume:
    """The volume of an image file.

    Raises:
        ScanError: see `check_image`; `truncated`, `damaged`: the packed voxels are not whole; `too_few_slices`;
            `thick_slices`; `bad_value`: voxels inside of the body that are no numbers.
    """
    volume = image_volume(path, series_uid)
    slices, spacing = volume.hu.shape[0], volume.geometry.spacing_mm[2]
    if slices < MIN_SLICES:
        raise ScanError(Reason.TOO_FEW_SLICES, f"at least {MIN_SLICES} slices are needed, got {slices}")
    if spacing > MAX_SPACING_MM:
        limit = f"slices at most {MAX_SPACING_MM:g} mm apart are needed"
        raise ScanError(Reason.THICK_SLICES, f"{limit}, got {spacing:.2f} mm")
    return volume


def image_volume(path: Path, series_uid: str) -> Volume:
    """The volume of an image file, whatever it is of.

    Raises:
        ScanError: as `read_image`, but for what it says of slices.
    """
    check_image(path)
    stored = _header(path)
    geometry, _ = geometry_of(stored.affine, stored.size_xyz)
    hu, warnings = _hounsfield(stored)
    return upright(Volume(hu, geometry, series_uid, warnings))


def image_geometry(path: Path) -> Geometry:
    """The grid of an image file, from its header.

    Raises:
        ScanError: see `check_image`.
    """
    stored = _header(path)
    return geometry_of(stored.affine, stored.size_xyz)[0]


def _header(path: Path) -> Stored:
    return READERS[image_ending(path) or ""](path)


def _hounsfield(stored: Stored) -> tuple[npt.NDArray[np.int16], tuple[str, ...]]:
    """Values with slope and intercept, clipped; what is no number outside of the body is padding."""
    values = voxels(stored)
    hu = np.empty(values.shape, np.int16)
    lost = None
    for z, section in enumerate(values):
        if stored.slope == 1 and stored.intercept == 0 and np.issubdtype(stored.dtype, np.integer):
            limits = np.iinfo(stored.dtype)
            hu[z] = section.clip(max(HU_MIN, limits.min), min(HU_MAX, limits.max))
            continue
        exact = section.astype(np.float64) * stored.slope + stored.intercept
        unknown = np.isnan(exact)
        if unknown.any():
            lost = np.zeros(values.shape, bool) if lost is None else lost
            lost[z] = unknown
            exact[unknown] = HU_MIN
        hu[z] = np.rint(exact.clip(HU_MIN, HU_MAX))
    return hu, () if lost is None else _as_padding(lost)


def _as_padding(lost: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    """Voxels without a value are padding where they reach the edge of the slices; elsewhere they are damage."""
    labels: npt.NDArray[Any] = cc3d.connected_components(lost, connectivity=6)
    edge = np.concatenate([labels[:, [0, -1], :].ravel(), labels[:, :, [0, -1]].ravel()])
    inside = int((lost & ~np.isin(labels, np.unique(edge[edge > 0]))).sum())
    if inside:
        raise ScanError(Reason.BAD_VALUE, f"{inside} voxels inside of the picture are no numbers")
    return (f"padding: {int(lost.sum())} voxels at the edge of the slices are no numbers and were set to {HU_MIN}",)
