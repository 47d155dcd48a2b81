"""The crop a network sees: the same function for LIDC's boxes in training and for scans at inference.

LIDC nodules come as boxes with 0 to 2 slices beyond the nodule along z; a scan has all of its neighbourhood.
A network trained on the one would see the difference, not the nodule. So every crop, from wherever, shows only
the slices within the nodule's radius and a margin, and repeats the outermost of them beyond.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from preprocessing.patches import extract_patch

Crop = npt.NDArray[np.int16]


def nodule_crop(
    hu: npt.NDArray[np.int16], center_zyx: npt.ArrayLike, diameter_mm: float, size: int, margin_mm: float
) -> Crop:
    """(size, size, size) HU around a centre of a 1 mm volume, slices far from the nodule repeated.

    Args:
        hu: (Z, Y, X) at 1 mm.
        center_zyx: voxel index, fractions are rounded.
        diameter_mm: of the nodule.
        size: voxels along each edge.
        margin_mm: slices kept beyond the radius, along z.
    """
    return framed(extract_patch(hu, center_zyx, (size,) * 3), diameter_mm, margin_mm)


def framed(crop: Crop, diameter_mm: float, margin_mm: float) -> Crop:
    """Slices further from the middle than radius plus margin (1 mm each) repeat the last one within."""
    middle, reach = crop.shape[0] // 2, int(np.ceil(diameter_mm / 2 + margin_mm))
    low, high = max(middle - reach, 0), min(middle + reach, crop.shape[0] - 1)
    result: Crop = crop[np.clip(np.arange(crop.shape[0]), low, high)]
    return result
