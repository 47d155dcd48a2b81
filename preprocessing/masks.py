"""What is done to masks over and over: their box, and one voxel less or more, in slices and so many times faster."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def box_of(mask: Mask) -> tuple[slice, ...]:
    """The smallest window that holds all of a mask of any dimension; of an empty one a window without a voxel."""
    window = []
    for axis in range(mask.ndim):
        where = np.flatnonzero(mask.any(tuple(a for a in range(mask.ndim) if a != axis)))
        window.append(slice(int(where[0]), int(where[-1]) + 1) if len(where) else slice(0, 0))
    return tuple(window)


def eroded(mask: Mask, times: int = 1) -> Mask:
    """Voxels whose neighbours across all faces are in the mask too, so many times; outside of the array is none."""
    for _ in range(times):
        mask = ~_spread(~mask, border=True)
    return mask


def dilated(mask: Mask, times: int = 1) -> Mask:
    """The mask with the neighbours across faces of its voxels, so many times."""
    for _ in range(times):
        mask = _spread(mask, border=False)
    return mask


def opened(mask: Mask, times: int = 1) -> Mask:
    """Eroded, then dilated: what is thinner than `2 * times + 1` voxels is gone."""
    return dilated(eroded(mask, times), times)


def _spread(mask: Mask, border: bool) -> Mask:
    """Each voxel or any of its neighbours across faces; `border`: those on the array's faces too."""
    out = mask.copy()
    for axis in range(mask.ndim):
        source, target = np.moveaxis(mask, axis, 0), np.moveaxis(out, axis, 0)
        target[1:] |= source[:-1]
        target[:-1] |= source[1:]
        if border:
            target[[0, -1]] = True
    return out
