"""Voxel masks of LIDC outlines: of one reader, and of several at any level of agreement.

A contour runs on the first pixel outside the nodule, and one around a hole on pixels that do not belong to the nodule
either: a mask holds the pixels strictly inside the contours that include, less those inside or on the contours that
exclude. Voxels of LUNA16's own diameters and centres are counted so (checked against its annotation files).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from preprocessing.geometry import FloatArray, IntTriple
from preprocessing.lidc.reading import IntArray, LidcScan, Reading

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class VoxelMask:
    """A mask and where it lies in its scan.

    Attributes:
        start_zyx: slice (counted from the lowest), row and column of its first voxel.
        voxels: (Z, Y, X) bool.
    """

    start_zyx: IntTriple
    voxels: Mask

    @property
    def cropped(self) -> VoxelMask:
        """The same without empty margins; itself when nothing is in it."""
        where = np.argwhere(self.voxels)
        if not len(where):
            return self
        low, high = where.min(axis=0), where.max(axis=0) + 1
        inner = self.voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        return VoxelMask(_triple(low + self.start_zyx), inner.copy())


def reading_mask(scan: LidcScan, reading: Reading) -> VoxelMask:
    """One reader's outline on the grid of the scan; empty slices between its contours stay empty."""
    slices = scan.slices_of(reading)
    inside, outline, low_xy = interiors([contour.points_xy for contour in reading.contours])
    first = int(slices.min())
    voxels = np.zeros((int(slices.max()) - first + 1, *inside.shape[1:]), dtype=bool)
    for wanted in (True, False):
        for number, contour in enumerate(reading.contours):
            if contour.included is wanted:
                layer = voxels[slices[number] - first]
                if wanted:
                    layer |= inside[number]
                else:
                    layer &= ~(inside[number] | outline[number])
    return VoxelMask((first, int(low_xy[1]), int(low_xy[0])), voxels)


def consensus_mask(masks: Sequence[VoxelMask], level: float = 0.5) -> VoxelMask:
    """Voxels that at least `level` of the readers hold, `0 < level <= 1`, on the box around all of them.

    Raises:
        ValueError: no masks, or a level out of range.
    """
    if not masks or not 0 < level <= 1:
        raise ValueError(f"a consensus needs masks and a level over 0 and up to 1; got {len(masks)} and {level}")
    starts = np.array([mask.start_zyx for mask in masks])
    stops = starts + [mask.voxels.shape for mask in masks]
    low = starts.min(axis=0)
    votes = np.zeros(stops.max(axis=0) - low, dtype=np.int64)
    for mask, start, stop in zip(masks, starts - low, stops - low, strict=True):
        votes[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] += mask.voxels
    return VoxelMask(_triple(low), votes >= level * len(masks) - 1e-9)


def interiors(outlines: Sequence[IntArray]) -> tuple[Mask, Mask, IntArray]:
    """Pixels strictly inside closed polygons, and those on their lines.

    A pixel lies inside when a ray to its left crosses the polygon an odd number of times. All polygons are laid one
    after the other into one line of pixels, so that one running sum counts the crossings of all of them.

    Args:
        outlines: (n, 2) points, column and row, of each polygon.

    Returns:
        inside and outline, both (polygons, Y, X) bool, and the column and row of their first pixel.
    """
    lengths = [len(outline) for outline in outlines]
    points = np.concatenate(outlines)
    low_xy = points.min(axis=0)
    width, height = (points.max(axis=0) - low_xy + 1).tolist()
    owner = np.repeat(np.arange(len(lengths)), lengths)
    ends = np.cumsum(lengths)
    following = np.arange(1, len(points) + 1)
    following[ends - 1] = ends - lengths
    start = points - low_xy
    owner, start, step = _whole_steps(owner, start, start[following] - start)

    rises = step[:, 1] > 0
    lower = np.where(rises[:, None], start, start + step)
    crossings = _pixels(owner, lower, height, width)[step[:, 1] != 0]
    tall = np.abs(step[:, 1]) > 1
    if tall.any():
        crossings = np.concatenate([crossings, _upper_rows(owner, lower, step, tall, height, width)])

    size = len(lengths) * height * width
    # A polygon crosses each row an even number of times: the sum is even again where the next row begins.
    counts = np.bincount(crossings, minlength=size)[:size]
    inside = np.cumsum(counts.astype(np.uint8), dtype=np.uint8) & 1 == 1
    outline = np.zeros(size, dtype=bool)
    outline[_pixels(owner, start, height, width)] = True
    inside &= ~outline
    shape = (len(lengths), height, width)
    return inside.reshape(shape), outline.reshape(shape), low_xy


def _whole_steps(owner: IntArray, start: IntArray, step: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Steps cut at the pixels they run through, so that none has a pixel between its ends."""
    parts = np.gcd(step[:, 0], step[:, 1])
    if parts.max() <= 1:
        return owner, start, step
    parts = np.maximum(parts, 1)
    cut = np.repeat(step // parts[:, None], parts, axis=0)
    return np.repeat(owner, parts), np.repeat(start, parts, axis=0) + cut * _counting(parts)[:, None], cut


def _upper_rows(owner: IntArray, lower: IntArray, step: IntArray, tall: Mask, height: int, width: int) -> IntArray:
    """First pixels right of the steps that skip rows, in the rows above their lower end."""
    rows = np.abs(step[tall, 1]) - 1
    up = np.repeat(step[tall] * np.sign(step[tall, 1:]), rows, axis=0)
    row = _counting(rows) + 1
    column = -(-up[:, 0] * row // up[:, 1])
    point = np.repeat(lower[tall], rows, axis=0) + np.stack([column, row], axis=1)
    return _pixels(np.repeat(owner[tall], rows), point, height, width)


def _counting(lengths: IntArray) -> IntArray:
    """0, 1, ... length - 1 for every length, one after the other."""
    return cast(IntArray, np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths))


def _pixels(owner: IntArray, point: IntArray, height: int, width: int) -> IntArray:
    return cast(IntArray, (owner * height + point[:, 1]) * width + point[:, 0])


def center_of(scan: LidcScan, mask: VoxelMask) -> FloatArray:
    """Mean voxel position: column and row in pixels, z in LPS mm; NaN for an empty mask."""
    z, y, x = np.nonzero(mask.voxels)
    if not len(z):
        return np.full(3, np.nan)
    first, top, left = mask.start_zyx
    return np.array([x.mean() + left, y.mean() + top, scan.slice_z_mm[z + first].mean()])


def _triple(values: IntArray) -> IntTriple:
    z, y, x = values.tolist()
    return z, y, x
