"""Patches and intensity scaling: what training does to a patch, inference does by these same functions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from preprocessing.volume import HU_MIN

WINDOW_HU = (-1000.0, 400.0)


def extract_patch(
    hu: npt.NDArray[np.int16], center_zyx: npt.ArrayLike, size_zyx: npt.ArrayLike, fill: int = HU_MIN
) -> npt.NDArray[np.int16]:
    """A copy of exactly `size_zyx` voxels around a centre; what lies outside the volume is `fill`, never shifted.

    Args:
        hu: (Z, Y, X) int16.
        center_zyx: voxel index of the patch centre, fractions are rounded; it becomes voxel `size // 2`.
        size_zyx: three whole numbers.
        fill: HU outside the volume.
    """
    size = np.asarray(size_zyx, dtype=int)
    start = patch_start(center_zyx, size)
    patch = np.full(tuple(size), fill, dtype=hu.dtype)
    low = np.maximum(start, 0)
    high = np.minimum(start + size, hu.shape)
    if np.all(high > low):
        target = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
        patch[target] = hu[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return patch


def patch_start(center_zyx: npt.ArrayLike, size_zyx: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """(3,) index of the first voxel of such a patch in the volume; it may lie outside."""
    half = np.asarray(size_zyx, dtype=int) // 2
    return np.asarray(np.rint(np.asarray(center_zyx, dtype=float)).astype(int) - half)


def normalise(
    hu: npt.NDArray[np.int16] | npt.NDArray[np.float32], window_hu: tuple[float, float] = WINDOW_HU
) -> npt.NDArray[np.float32]:
    """HU clipped to a window and scaled to float32 [0, 1]: the one intensity scaling, in training and at inference."""
    low, high = window_hu
    scaled = hu.astype(np.float32)
    np.clip(scaled, np.float32(low), np.float32(high), out=scaled)
    scaled -= np.float32(low)
    scaled *= np.float32(1 / (high - low))
    return scaled
