"""Outlines on the 1 mm grid to masks on the slices of the source, by world coordinates alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from classification.measuring.outline import Outline
from preprocessing.geometry import FloatArray, Geometry
from preprocessing.intake.headers import Slice

Mask = npt.NDArray[np.bool_]
# A pixel is nodule where at least half of the voxel there is.
HALF = 0.5


def slice_masks(outline: Outline, grid: Geometry, slices: Sequence[Slice]) -> dict[int, Mask]:
    """Where an outline cuts the slices of a series.

    Each pixel centre is looked up in the outline by its place in the world, whichever way rows, columns and slices run
    and however far apart they lie. A nodule that falls between two slices is drawn where it is widest on the nearest.

    Args:
        outline: on `grid`.
        grid: of the volume that the outline was drawn in.
        slices: of one orientation, pixel spacing and matrix: those of the first count.

    Returns:
        By index into `slices`, (rows, columns) bool; only slices with at least one pixel, and at least one of them.
    """
    first = slices[0]
    across, down = np.asarray(first.orientation).reshape(2, 3)
    normal = np.cross(across, down)
    corners = _corners_mm(outline, grid)
    depth = np.array([np.dot(s.position_mm, normal) for s in slices])
    reach = corners @ normal
    found: dict[int, Mask] = {}
    for k in np.flatnonzero((depth >= reach.min()) & (depth <= reach.max())).tolist():
        mask = _cut(outline, grid, first, np.asarray(slices[k].position_mm), corners)
        if mask.any():
            found[k] = mask
    if not found:
        middle = float(_middle_mm(outline, grid) @ normal)
        nearest = int(np.abs(depth - middle).argmin())
        corner = np.asarray(slices[nearest].position_mm) + (middle - depth[nearest]) * normal
        mask = _cut(outline, grid, first, corner, corners)
        found[nearest] = mask if mask.any() else _one_pixel(outline, grid, first, corner)
    return found


def _cut(outline: Outline, grid: Geometry, plane: Slice, corner_mm: FloatArray, corners_mm: FloatArray) -> Mask:
    """The mask in the plane of a slice whose first pixel lies at `corner_mm`."""
    mask = np.zeros(plane.shape, bool)
    across, down = np.asarray(plane.orientation).reshape(2, 3)
    steps = np.array([plane.spacing_mm[1], plane.spacing_mm[0]])
    reach = (corners_mm - corner_mm) @ np.stack([down, across], axis=1) / steps
    low = np.maximum(np.floor(reach.min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(reach.max(axis=0)) + 1, plane.shape).astype(int)
    if (low >= high).any():
        return mask
    rows, columns = (np.arange(a, b) * step for a, b, step in zip(low, high, steps, strict=True))
    world = corner_mm + rows[:, None, None] * down + columns[None, :, None] * across
    index = grid.to_voxel(world) - np.asarray(outline.start_zyx)
    share = ndimage.map_coordinates(outline.share, np.moveaxis(index, -1, 0), order=1, mode="constant", cval=0.0)
    level = min(HALF, float(outline.share.max()))
    mask[low[0] : high[0], low[1] : high[1]] = (share >= level) & (share > 0)
    return mask


def _one_pixel(outline: Outline, grid: Geometry, plane: Slice, corner_mm: FloatArray) -> Mask:
    """The pixel nearest to the middle: less than one pixel is shown as one."""
    across, down = np.asarray(plane.orientation).reshape(2, 3)
    away = _middle_mm(outline, grid) - corner_mm
    row, column = float(away @ down) / plane.spacing_mm[1], float(away @ across) / plane.spacing_mm[0]
    mask = np.zeros(plane.shape, bool)
    mask[min(max(round(row), 0), plane.shape[0] - 1), min(max(round(column), 0), plane.shape[1] - 1)] = True
    return mask


def _corners_mm(outline: Outline, grid: Geometry) -> FloatArray:
    """(8, 3): the window, as far as there is nodule in it, a voxel more all around."""
    (box,) = ndimage.find_objects((outline.share > 0).astype(np.uint8))
    ends = [(s.start - 1 + a, s.stop + a) for s, a in zip(box, outline.start_zyx, strict=True)]
    return grid.to_world(list(itertools.product(*ends)))


def _middle_mm(outline: Outline, grid: Geometry) -> FloatArray:
    """The centre of mass of the outline."""
    middle = np.asarray(ndimage.center_of_mass(outline.share)) + np.asarray(outline.start_zyx)
    return grid.to_world(middle)
