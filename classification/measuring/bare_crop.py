"""Bare crops of nodules: image files of a few slices and centimetres, without lungs around them.

They cannot pass as chests, by size alone, and are looked at only where someone says where the nodule is.
"""

from __future__ import annotations

import numpy as np

from preprocessing.geometry import Geometry
from preprocessing.intake.formats.labels import check_voxels
from preprocessing.intake.images import image_ending, image_geometry, image_volume
from preprocessing.intake.scan import Scan
from preprocessing.prepare import PreparedScan, PrepareSettings
from preprocessing.resample import resample
from preprocessing.volume import Volume

# No chest, not an infant's, is imaged in less; a mass of 100 mm with a margin fits.
MOST_MM = 130.0
# The border is repeated so far, as in training, so that networks see no edge.
REPEATED_MM = 24
BARE_CROP = "bare_crop"


def prepare_crop(scan: Scan) -> PreparedScan | None:
    """A bare crop at 1 mm with its border repeated around it; None for what is large enough to be a chest.

    The mask, where else the lungs are, says what of the volume is in the file.

    Raises:
        ScanError: the file cannot be read.
    """
    path = scan.paths[0] if len(scan.paths) == 1 else None
    if path is None or image_ending(path) is None or _longest_mm(image_geometry(path)) > MOST_MM:
        return None
    volume = image_volume(path, scan.series_uid)
    check_voxels(volume)
    inner = volume.geometry.resampled(PrepareSettings().spacing_mm)
    margin = np.full(3, REPEATED_MM)
    grid = inner.cropped(-margin, np.asarray(inner.shape_zyx) + margin)
    mask = np.pad(np.ones(inner.shape_zyx, bool), REPEATED_MM)
    said = f"{BARE_CROP}: {_longest_mm(volume.geometry):.0f} mm of a chest; what depends on the rest of it is unknown"
    padded = Volume(resample(volume, grid).hu, grid, scan.series_uid)
    return PreparedScan(padded, mask, volume.geometry, (*scan.warnings, *volume.warnings, said))


def is_bare(prepared: PreparedScan) -> bool:
    """Whether it came from `prepare_crop`."""
    return any(warning.startswith(f"{BARE_CROP}:") for warning in prepared.warnings)


def _longest_mm(geometry: Geometry) -> float:
    return float((np.asarray(geometry.shape_zyx[::-1]) * geometry.spacing_mm).max())
