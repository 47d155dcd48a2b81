"""Which outlines are the same nodule? LIDC does not say; this is the answer of pylidc's default.

pylidc (`Scan.cluster_annotations`): outlines are neighbours when their nearest contour points are no further apart
than a tolerance, nodules are the connected groups, and the tolerance is lowered by a factor until no group has more
members than LIDC had readers. Distances are in voxel indices, the slice counting as much as a pixel, and the first
tolerance is the number of the slice thickness in mm: odd, but it is what published LIDC figures rest on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from preprocessing.geometry import FloatArray
from preprocessing.lidc.reading import IntArray, LidcScan
from runs.entry import UsageError


@dataclass(frozen=True)
class ClusterSettings:
    """The numbers of pylidc's default.

    Attributes:
        most_readers: a group of more is split, if lowering the tolerance can do it.
        factor: the tolerance is multiplied by it until it can.
        least_tolerance: below it the splitting gives up, and the larger group stays.
    """

    most_readers: int = 4
    factor: float = 0.9
    least_tolerance: float = 0.1

    def __post_init__(self) -> None:
        if self.most_readers < 1 or not 0 < self.factor < 1 or not self.least_tolerance > 0:
            raise UsageError(
                "cluster needs most_readers of at least 1, a factor between 0 and 1 and a least_tolerance over 0; "
                f"got {self.most_readers}, {self.factor} and {self.least_tolerance}"
            )


PYLIDC = ClusterSettings()


def cluster(scan: LidcScan, settings: ClusterSettings = PYLIDC) -> list[tuple[int, ...]]:
    """Groups of indices into `scan.readings`, each ascending; the groups from the lowest nodule to the highest."""
    if not scan.readings:
        return []
    points = contour_points(scan)
    tolerance = scan.slice_thickness_mm
    distance = nearest_distances(points, tolerance)
    first = connected(distance <= tolerance)
    while np.bincount(first).max() > settings.most_readers:
        tolerance *= settings.factor
        if tolerance < settings.least_tolerance:
            break
        first = connected(distance <= tolerance)
    found = [tuple(np.flatnonzero(first == member).tolist()) for member in np.unique(first)]
    heights = [float(p[:, 2].mean()) for p in points]
    return sorted(found, key=lambda members: float(np.mean([heights[i] for i in members])))


def connected(near: npt.NDArray[np.bool_]) -> IntArray:
    """For each of n members the first it is connected to, (n,), given which pairs are neighbours, (n, n)."""
    # As scipy.sparse.csgraph.connected_components on all of LIDC, in a twentieth of its time: n is small.
    first = np.arange(len(near))
    while True:
        earlier = np.where(near, first, len(near)).min(axis=1)
        if np.array_equal(earlier, first):
            return first
        first = earlier


def contour_points(scan: LidcScan) -> list[FloatArray]:
    """For each reading its contour points (n, 3): column, row and slice index."""
    found = []
    for reading in scan.readings:
        flat = np.concatenate([contour.points_xy for contour in reading.contours])
        slices = np.repeat(scan.slices_of(reading), [len(contour.points_xy) for contour in reading.contours])
        found.append(np.column_stack([flat, slices]).astype(np.float64))
    return found


def nearest_distances(points: list[FloatArray], reach: float) -> FloatArray:
    """(n, n) distances between the nearest points of whole-numbered point sets, infinite where beyond `reach`.

    Outlines of one nodule nearly always share a point, which one sort finds for all pairs of a scan.
    """
    lows, highs = np.array([p.min(axis=0) for p in points]), np.array([p.max(axis=0) for p in points])
    gaps = np.maximum(lows[:, None] - highs, lows - highs[:, None]).clip(0)
    near = (gaps**2).sum(axis=2) <= reach**2
    shared = _share_a_point(points)
    distance = np.where(shared, 0.0, np.inf)
    for i, j in np.argwhere(np.triu(near & ~shared)):
        a = points[i][_within(points[i], lows[j], highs[j], reach)]
        b = points[j][_within(points[j], lows[i], highs[i], reach)]
        nearest = float(cdist(a, b).min()) if len(a) and len(b) else np.inf
        if nearest <= reach:
            distance[i, j] = distance[j, i] = nearest
    return distance


def _share_a_point(points: list[FloatArray]) -> npt.NDArray[np.bool_]:
    owner = np.repeat(np.arange(len(points)), [len(p) for p in points])
    together = np.concatenate(points).astype(np.int64)
    together -= together.min(axis=0)
    names = np.ravel_multi_index(tuple(together.T), tuple(together.max(axis=0) + 1))
    order = np.argsort(names, kind="stable")
    names, owner = names[order], owner[order]
    shared = np.eye(len(points), dtype=bool)
    for ahead in range(1, len(names)):
        equal = names[ahead:] == names[:-ahead]
        if not equal.any():
            break
        shared[owner[ahead:][equal], owner[:-ahead][equal]] = True
    return shared | shared.T


def _within(points: FloatArray, low: FloatArray, high: FloatArray, reach: float) -> npt.NDArray[np.bool_]:
    return np.asarray(((points >= low - reach) & (points <= high + reach)).all(axis=1))
