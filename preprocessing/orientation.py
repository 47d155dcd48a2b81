"""The same voxels with their axes in another order and walked another way; nothing is resampled."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from preprocessing.geometry import Geometry
from preprocessing.planes import Axis, anatomical_axes
from preprocessing.volume import Volume

Voxel = TypeVar("Voxel", bound=np.generic)


def facing_ras(volume: Volume, mask: npt.NDArray[np.bool_]) -> tuple[Volume, npt.NDArray[np.bool_]]:
    """A volume and its mask with x to the patient's right, y to the front, z to the head, or as near as they come.

    The world stays LPS: it is the grid that is turned, so the x and y columns of its direction point against L and P.
    """
    left, back, head = anatomical_axes(volume.geometry)
    walked = (head, back.reversed, left.reversed)
    turned = Volume(_walked(volume.hu, walked), _geometry(volume.geometry, walked), volume.series_uid)
    return turned, _walked(mask, walked)


def _walked(array: npt.NDArray[Voxel], axes: tuple[Axis, Axis, Axis]) -> npt.NDArray[Voxel]:
    moved = array.transpose([axis.array_axis for axis in axes])
    return np.ascontiguousarray(moved[tuple(slice(None, None, axis.step) for axis in axes)])


def _geometry(old: Geometry, axes: tuple[Axis, Axis, Axis]) -> Geometry:
    corner = np.zeros(3)
    for axis in axes:
        corner[axis.array_axis] = 0 if axis.step > 0 else old.shape_zyx[axis.array_axis] - 1
    z, y, x = (axis.array_axis for axis in axes)
    shape, spacing, origin = old.shape_zyx, old.spacing_mm[::-1], old.to_world(corner)
    direction = np.column_stack([axis.toward for axis in reversed(axes)])
    return Geometry(
        (shape[z], shape[y], shape[x]),
        (spacing[x], spacing[y], spacing[z]),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        direction,
    )
