"""The crop a network sees: the same function for LIDC's boxes in training and for scans at inference.

LIDC nodules come as boxes with 0 to 2 slices beyond the nodule along z and about 10 mm in plane; a scan has all of
its neighbourhood. A network trained on the one would see that difference, not the nodule. So every crop, from
wherever, shows only what lies within the nodule's radius and a margin, and repeats its border beyond.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from preprocessing.patches import extract_patch

Crop = npt.NDArray[np.int16]


def nodule_crop(
    hu: npt.NDArray[np.int16],
    center_zyx: npt.ArrayLike,
    diameter_mm: float,
    size: int,
    margins_mm: tuple[float, float],
) -> Crop:
    """(size, size, size) HU around a centre of a 1 mm volume, framed.

    Args:
        hu: (Z, Y, X) at 1 mm.
        center_zyx: voxel index, fractions are rounded.
        diameter_mm: of the nodule.
        size: voxels along each edge.
        margins_mm: kept beyond the radius: along z, in plane.
    """
    return framed(extract_patch(hu, center_zyx, (size,) * 3), diameter_mm, margins_mm)


def framed(crop: Crop, diameter_mm: float, margins_mm: tuple[float, float]) -> Crop:
    """Voxels (1 mm) further from the middle along an axis than radius plus margin repeat the last one within."""
    for axis, kept in enumerate(seen_indices(crop.shape, diameter_mm, margins_mm)):
        crop = np.take(crop, kept, axis=axis)
    return crop


def seen_indices(
    shape: Sequence[int], diameter_mm: float, margins_mm: Sequence[float]
) -> tuple[npt.NDArray[np.int64], ...]:
    """For every axis (z, y, x) of a crop, which of its voxels `framed` shows at each place."""
    along_z, in_plane = margins_mm
    found = []
    for n, margin in zip(shape, (along_z, in_plane, in_plane), strict=True):
        reach = int(np.ceil(diameter_mm / 2 + margin))
        found.append(np.clip(np.arange(n), max(n // 2 - reach, 0), min(n // 2 + reach, n - 1)))
    return tuple(found)
