"""Long and short axis as a reader measures them, and the mean diameter of Lung-RADS."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import cdist

from classification.measuring.outline import Outline
from preprocessing.geometry import Geometry

FloatArray = npt.NDArray[np.float64]

# The border is drawn between voxels: a voxel becomes so many squared.
FINER = 4


@dataclass(frozen=True, slots=True)
class Axes:
    """In the axial slice where the nodule is longest; mm.

    Attributes:
        long_mm: the greatest distance of two points of the nodule in that slice.
        short_mm: its greatest width at right angles to the long axis.
    """

    long_mm: float
    short_mm: float

    @property
    def mean_diameter_mm(self) -> float:
        """Mean of both to one decimal, half up (ACR Lung-RADS v2022, note 5: mean of long and short axis)."""
        return float(np.floor(5 * (self.long_mm + self.short_mm) + 0.5) / 10)


def axes_of(nodule: Outline, geometry: Geometry) -> Axes:
    """Measured where half of a voxel is nodule, between voxels.

    Args:
        nodule: at 1 mm.
        geometry: of the volume that the outline is a window of: it says which way is up.
    """
    # Grid axes are x, y, z, array axes z, y, x.
    upright = 2 - int(np.argmax(np.abs(geometry.direction[2])))
    slices = np.moveaxis(nodule.mask, upright, 0)
    longest = max(range(len(slices)), key=lambda k: _length(np.argwhere(slices[k]).astype(float))[0])
    points = np.argwhere(_finer(np.moveaxis(nodule.share, upright, 0)[longest])) / FINER
    if not len(points):  # nowhere half a voxel
        points = np.argwhere(slices[longest]).astype(float)
        return _axes(points, 1.0)
    return _axes(points, 1 / FINER)


def _axes(points: FloatArray, pixel_mm: float) -> Axes:
    """Of the squares around points (n, 2) in mm."""
    length, direction = _length(points)
    across = np.array([-direction[1], direction[0]])
    # The widest strip across the long axis; strips of two squares, so that none falls between the points.
    strips = np.floor((points @ direction) / (2 * pixel_mm)).astype(int)
    strips -= strips.min()
    beside = points @ across
    low, high = np.full(strips.max() + 1, np.inf), np.full(strips.max() + 1, -np.inf)
    np.minimum.at(low, strips, beside)
    np.maximum.at(high, strips, beside)
    return Axes(length + pixel_mm, min(float((high - low).max()), length) + pixel_mm)


def _length(points: FloatArray) -> tuple[float, FloatArray]:
    """The greatest distance of two points (n, 2), -1 where there are none, and its direction (2,)."""
    if not len(points):
        return -1.0, np.array([1.0, 0.0])
    with suppress(QhullError):  # on one line
        points = points[ConvexHull(points).vertices] if len(points) > 3 else points
    distances = cdist(points, points)
    first, second = np.unravel_index(np.argmax(distances), distances.shape)
    length = float(distances[first, second])
    return length, (points[second] - points[first]) / length if length else np.array([1.0, 0.0])


def _finer(share: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Where a (Y, X) share, interpolated linearly, reaches a half."""
    rows, columns = (_weights(n) for n in share.shape)
    return np.asarray(rows @ share @ columns.T >= 0.5)


def _weights(n: int) -> FloatArray:
    """(FINER * n, n): each of the finer places as a mean of its two neighbours; the edge is repeated."""
    where = np.clip((np.arange(FINER * n) + 0.5) / FINER - 0.5, 0, n - 1)
    return np.asarray(np.maximum(1 - np.abs(where[:, None] - np.arange(n)), 0))
