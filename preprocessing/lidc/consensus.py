"""The readings of one LIDC nodule as one: its centre, diameter, ratings and mask.

A reader's diameter is that of the sphere with the volume of the voxels strictly inside the contours, the spacing (not
the thickness) of the slices being their depth; a reader's centre is the mean of those voxels. Each single reading that
LUNA16 lists in `annotations_excluded.csv` has these very figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from preprocessing.annotations import Nodule
from preprocessing.geometry import FloatArray, Geometry, Triple
from preprocessing.lidc.clusters import PYLIDC, ClusterSettings, cluster
from preprocessing.lidc.masks import VoxelMask, center_of, consensus_mask, reading_mask
from preprocessing.lidc.reading import RATINGS, LidcScan, Reading
from runs.entry import UsageError

AVERAGES = ("luna16", "mean")


@dataclass(frozen=True, slots=True, eq=False)
class LidcNodule:
    """One physical nodule as its readers outlined it.

    Attributes:
        scan: where it lies.
        readings: one per reader (more where neighbours could not be told apart), in stored order.
        masks: their voxels.
        centers: (n, 3) column and row in pixels, z in LPS mm.
        diameters_mm: (n,) of the spheres of equal volume.
    """

    scan: LidcScan
    readings: tuple[Reading, ...]
    masks: tuple[VoxelMask, ...]
    centers: FloatArray
    diameters_mm: FloatArray

    @property
    def n_readers(self) -> int:
        """How many readings it has."""
        return len(self.readings)

    def center(self, average: str = "luna16") -> FloatArray:
        """(3,) column and row in pixels, z in LPS mm; see `reader_weights`."""
        return np.asarray(reader_weights(self.n_readers, average) @ self.centers)

    def center_mm(self, geometry: Geometry, average: str = "luna16") -> Triple:
        """The centre in the world of the scan's header."""
        x, y, z = pixels_to_world(geometry, self.center(average)).tolist()
        return x, y, z

    def diameter_mm(self, average: str = "luna16") -> float:
        """See `reader_weights`."""
        return float(reader_weights(self.n_readers, average) @ self.diameters_mm)

    def ratings(self, name: str) -> list[int]:
        """What each reader gave."""
        return [reading.ratings[name] for reading in self.readings]

    def medians(self) -> dict[str, float]:
        """Median rating by name."""
        return {name: float(median(self.ratings(name))) for name in RATINGS}

    def mask(self, level: float = 0.5) -> VoxelMask:
        """Voxels held by at least this share of the readers; see `consensus_mask`."""
        return consensus_mask(self.masks, level).cropped


def find_nodules(scan: LidcScan, settings: ClusterSettings = PYLIDC) -> list[LidcNodule]:
    """The nodules of a scan, from the lowest to the highest."""
    masks = [reading_mask(scan, reading) for reading in scan.readings]
    centers = [_center(scan, reading, mask) for reading, mask in zip(scan.readings, masks, strict=True)]
    voxel_mm3 = scan.slice_spacing_mm * scan.pixel_spacing_mm**2
    diameters = [(6 / np.pi * voxel_mm3 * np.count_nonzero(mask.voxels)) ** (1 / 3) for mask in masks]
    return [
        LidcNodule(
            scan,
            tuple(scan.readings[i] for i in members),
            tuple(masks[i] for i in members),
            np.array([centers[i] for i in members]),
            np.array([diameters[i] for i in members]),
        )
        for members in cluster(scan, settings)
    ]


def as_truth(nodule: LidcNodule, geometry: Geometry, average: str) -> Nodule:
    """The nodule in world mm, with mean ratings, as the rest of the product knows it."""
    ratings = {name: float(np.mean(nodule.ratings(name))) for name in RATINGS}
    return Nodule(
        series_uid=nodule.scan.series_uid,
        center_mm=nodule.center_mm(geometry, average),
        diameter_mm=nodule.diameter_mm(average),
        malignancy=ratings["malignancy"],
        ratings=ratings,
        n_readers=nodule.n_readers,
    )


def reader_weights(readers: int, average: str) -> FloatArray:
    """What each reading, in stored order, counts in a centre or diameter; the sum is 1.

    `luna16`: 1/2, 1/4, ... and the last as much as the one before it, for LUNA16 averaged two readings at a time,
    beginning with the last two. The organisers do not say so; their files do: 1,161 of their 1,186 centres follow to
    0.01 mm, while with equal weights (`mean`) half of them are more than 0.09 mm off.

    Raises:
        ValueError: no such average.
    """
    if average == "mean":
        return np.full(readers, 1 / readers)
    if average == "luna16":
        return np.asarray(0.5 ** np.minimum(np.arange(1, readers + 1), readers - 1))
    raise ValueError(f"average must be one of {', '.join(AVERAGES)}; got {average}")


def pixels_to_world(geometry: Geometry, centers: FloatArray) -> FloatArray:
    """Centres (..., 3) of column and row in pixels and z in mm to world LPS mm, whatever way the axes run."""
    return geometry.to_world(pixels_to_voxels(geometry, centers))


def pixels_to_voxels(geometry: Geometry, centers: FloatArray) -> FloatArray:
    """Centres (..., 3) of column and row in pixels and z in mm to voxel indices (..., 3) z, y, x of the header's grid.

    Raises:
        UsageError: the slices are tilted, so that a z in mm does not say which slice it is.
    """
    upwards = float(geometry.direction[2, 2])
    if abs(upwards) < 1 - 1e-6:
        raise UsageError(f"LIDC slices are axial; the header has the direction {geometry.direction.tolist()}")
    voxels = np.array(centers[..., ::-1], dtype=np.float64)
    voxels[..., 0] = (voxels[..., 0] - geometry.origin_mm[2]) / (geometry.spacing_mm[2] * upwards)
    return voxels


def _center(scan: LidcScan, reading: Reading, mask: VoxelMask) -> FloatArray:
    """Of the voxels, or of the contour points where the outline is too small to hold a voxel."""
    if mask.voxels.any():
        return center_of(scan, mask)
    points: Sequence[FloatArray] = [
        np.column_stack([c.points_xy, np.full(len(c.points_xy), c.z_mm)]) for c in reading.contours
    ]
    return np.asarray(np.concatenate(points).mean(axis=0))
