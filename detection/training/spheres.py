"""Marks of a training patch: balls in voxels of its grid, one convention for all of them.

A set of marks is an array (n, 4): z, y, x of the centre and the DIAMETER, in voxels of 1 mm. No function here and no
caller ever holds a radius in such an array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

Spheres = npt.NDArray[np.float64]


def spheres(rows: Sequence[tuple[float, float, float, float]] = ()) -> Spheres:
    """(n, 4) of rows z, y, x, diameter."""
    return np.asarray(rows, dtype=np.float64).reshape(-1, 4)


def turned(marks: Spheres, matrix: npt.NDArray[np.float64], old_zyx: npt.ArrayLike, new_zyx: npt.ArrayLike) -> Spheres:
    """Marks of a volume in the picture that `phantom.hybrid.sampled` makes of it with the same arguments."""
    back = np.linalg.inv(matrix)
    scale = abs(np.linalg.det(back)) ** (1 / 3)
    centers = (marks[:, :3] - np.asarray(old_zyx, float)) @ back.T + np.asarray(new_zyx, float)
    return np.column_stack([centers, marks[:, 3] * scale])


def inside(marks: Spheres, size: int) -> npt.NDArray[np.bool_]:
    """(n,) whether the centre lies among the voxels of a cubic patch."""
    return cast(npt.NDArray[np.bool_], np.all((marks[:, :3] >= 0) & (marks[:, :3] <= size - 1), axis=1))


def reaching(marks: Spheres, size: int) -> npt.NDArray[np.bool_]:
    """(n,) whether any of the ball lies in a cubic patch, wherever its centre is."""
    nearest = np.clip(marks[:, :3], -0.5, size - 0.5)
    return cast(npt.NDArray[np.bool_], np.linalg.norm(marks[:, :3] - nearest, axis=1) < marks[:, 3] / 2)


def clear_of(marks: Spheres, place_zyx: npt.ArrayLike, distance: float) -> bool:
    """Whether a place is further than `distance` from the surface of every ball."""
    away = np.linalg.norm(marks[:, :3] - np.asarray(place_zyx, float), axis=1) - marks[:, 3] / 2
    return bool(np.all(away > distance))
