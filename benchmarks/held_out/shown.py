"""A prepared scan at 1 mm as a detector with other pictures wants it."""

from __future__ import annotations

from preprocessing.orientation import facing_ras
from preprocessing.preparation import Preparation
from preprocessing.prepare import PreparedScan
from preprocessing.resample import resample, sample_mask


def as_shown(scan: PreparedScan, wanted: Preparation) -> PreparedScan:
    """The scan turned and resampled; itself where it is what is wanted.

    All detectors of a bench get what was seen at 1 mm: one that looks at finer voxels sees no finer chest.
    """
    volume, mask = scan.volume, scan.lung_mask
    if wanted.orientation == "RAS":
        volume, mask = facing_ras(volume, mask)
    if volume.geometry.spacing_mm == wanted.spacing_mm:
        return PreparedScan(volume, mask, scan.source_geometry, scan.warnings)
    grid = volume.geometry.resampled(wanted.spacing_mm)
    return PreparedScan(
        resample(volume, grid), sample_mask(mask, volume.geometry, grid), scan.source_geometry, scan.warnings
    )
