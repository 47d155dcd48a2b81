"""Axes turned to the patient's: the same voxels in the order that everything behind the intake expects."""

from __future__ import annotations

import numpy as np

from preprocessing.geometry import Geometry
from preprocessing.volume import Volume


def upright(volume: Volume) -> Volume:
    """The same voxels with axes permuted and flipped to lie nearest to world x, y, z; the anatomy stays put."""
    direction = volume.geometry.direction
    # Which grid axis runs along each world axis, the clearest one chosen first.
    strength = np.abs(direction).copy()
    axis_of = [0, 0, 0]
    for _ in range(3):
        world, grid = divmod(int(strength.argmax()), 3)
        axis_of[world] = grid
        strength[world, :] = strength[:, grid] = -1
    signs = [1 if direction[w, g] >= 0 else -1 for w, g in enumerate(axis_of)]
    if axis_of == [0, 1, 2] and signs == [1, 1, 1]:
        return volume
    order = [2 - axis_of[2 - k] for k in range(3)]
    steps = tuple(slice(None, None, s) for s in reversed(signs))
    hu = np.ascontiguousarray(volume.hu.transpose(order)[steps])
    old = volume.geometry
    corner_zyx = [0, 0, 0]
    for sign, grid in zip(signs, axis_of, strict=True):
        if sign < 0:
            corner_zyx[2 - grid] = old.shape_zyx[2 - grid] - 1
    x, y, z = (old.spacing_mm[g] for g in axis_of)
    turned = direction[:, axis_of] * np.asarray(signs)
    ox, oy, oz = old.to_world(corner_zyx).tolist()
    return Volume(hu, Geometry(hu.shape, (x, y, z), (ox, oy, oz), turned), volume.series_uid, volume.warnings)
