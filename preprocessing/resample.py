"""Linear resampling between axis-aligned grids: separable, one pass an axis, equal to SimpleITK's linear one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from preprocessing.geometry import Geometry, IntTriple, Triple
from preprocessing.volume import Volume


def resample(volume: Volume, target: Geometry) -> Volume:
    """The volume on another grid with parallel axes; voxels outside the source repeat its border.

    Args:
        volume: the source.
        target: a geometry whose direction equals the source's (made by `cropped` and `resampled`).

    Raises:
        ValueError: when the axes are not parallel.
    """
    data = interpolated(torch.from_numpy(volume.hu), volume.geometry, target)
    hu = data.round_().to(torch.int16).numpy() if data.is_floating_point() else data.numpy()
    return Volume(hu, target, volume.series_uid)


def interpolated(data: torch.Tensor, source: Geometry, target: Geometry) -> torch.Tensor:
    """Values (Z, Y, X) on a parallel grid, as `resample` takes them; the same values where the grids are the same."""
    if not np.allclose(source.direction, target.direction, atol=1e-6):
        raise ValueError("resample needs parallel grids: the direction matrices differ")
    start = source.to_voxel(target.origin_mm)
    step = np.asarray(target.spacing_mm)[::-1] / np.asarray(source.spacing_mm)[::-1]
    for axis in _cheapest_first(source.shape_zyx, target.shape_zyx):
        where = start[axis] + step[axis] * np.arange(target.shape_zyx[axis])
        data = _interpolate_axis(data, axis, where)
    return data


def resample_isotropic(volume: Volume, spacing_mm: float) -> Volume:
    """The whole volume at one spacing along all axes."""
    spacing: Triple = (spacing_mm, spacing_mm, spacing_mm)
    return resample(volume, volume.geometry.resampled(spacing))


def sample_mask(mask: npt.NDArray[np.bool_], source: Geometry, target: Geometry) -> npt.NDArray[np.bool_]:
    """A mask on another parallel grid, nearest neighbour; outside the source it is False."""
    start = source.to_voxel(target.origin_mm)
    step = np.asarray(target.spacing_mm)[::-1] / np.asarray(source.spacing_mm)[::-1]
    out = mask
    for axis in _cheapest_first(source.shape_zyx, target.shape_zyx):
        where = np.rint(start[axis] + step[axis] * np.arange(target.shape_zyx[axis])).astype(int)
        outside = (where < 0) | (where >= source.shape_zyx[axis])
        out = np.take(out, np.clip(where, 0, source.shape_zyx[axis] - 1), axis=axis)
        np.moveaxis(out, axis, 0)[outside] = False
    return out


def _cheapest_first(source: IntTriple, target: IntTriple) -> list[int]:
    """Axes that shrink go first: fewer voxels for the passes after them."""
    return sorted(range(3), key=lambda axis: target[axis] / source[axis])


def _interpolate_axis(data: torch.Tensor, axis: int, where: npt.NDArray[np.float64]) -> torch.Tensor:
    length = data.shape[axis]
    clipped = np.clip(where, 0, length - 1)
    low = np.minimum(np.floor(clipped).astype(np.int64), max(length - 2, 0))
    weight = torch.from_numpy((clipped - low).astype(np.float32))
    if not bool(weight.any()):
        return data.index_select(axis, torch.from_numpy(low))
    shape = [1, 1, 1]
    shape[axis] = -1
    first = data.index_select(axis, torch.from_numpy(low)).to(torch.float32)
    second = data.index_select(axis, torch.from_numpy(np.minimum(low + 1, length - 1))).to(torch.float32)
    return first.lerp_(second, weight.reshape(shape))


def coarsened(hu: npt.NDArray[np.int16], step: int) -> npt.NDArray[np.int16]:
    """Means over blocks of `step` voxels along each axis; voxels that fill no block are dropped."""
    if step == 1:
        return hu
    sums = _over_blocks(np.add, hu, step, np.int32)
    return np.rint(sums / np.float32(step**3)).astype(np.int16)


def coarsened_mask(mask: npt.NDArray[np.bool_], step: int) -> npt.NDArray[np.bool_]:
    """Whether there is any of the mask in a block of `step` voxels along each axis."""
    return np.asarray(_over_blocks(np.logical_or, mask, step, np.bool_))


def _over_blocks(join: np.ufunc, values: npt.NDArray[Any], step: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """What `join` makes of the voxels of every whole block: axis by axis in strides, many times faster."""
    for axis in range(3):
        along = np.moveaxis(values, axis, 0)[: values.shape[axis] // step * step]
        joined = along[::step].astype(dtype)
        for offset in range(1, step):
            join(joined, along[offset::step], out=joined)
        values = np.moveaxis(joined, 0, axis)
    return np.ascontiguousarray(values)
