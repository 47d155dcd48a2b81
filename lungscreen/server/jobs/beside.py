"""Where a scan lies in its earlier one, as the viewer takes it: places on a coarse part of the viewer's grid."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from classification.follow_up.applied import Followed
from lungscreen.server.jobs.folders import PLACES, PRIOR
from lungscreen.server.jobs.results import GZIP_LEVEL
from preprocessing.geometry import Geometry
from runs.writing import write_json

# The deformation bends over 50 mm: between places so near to each other it is straight to a fraction of a millimetre.
STEP_MM = 10.0


def write_places(folder: Path, followed: Followed, shown: Geometry) -> None:
    """Write `prior.json`, and `prior.gz`: world mm (x, y, z) in the earlier scan, float32 little endian, gzipped.

    Args:
        folder: of the scan's voxels, there already.
        followed: the earlier scan.
        shown: the grid of the viewer; every `step_zyx`-th voxel has a place, the last of them at its end or beyond.
    """
    steps = [max(1, round(STEP_MM / spacing)) for spacing in reversed(shown.spacing_mm)]
    shape = [-(-(size - 1) // step) + 1 for size, step in zip(shown.shape_zyx, steps, strict=True)]
    voxels = np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 3) * steps
    places = followed.registration.to_prior(shown.to_world(voxels)).astype("<f4")
    (folder / PLACES).write_bytes(gzip.compress(places.tobytes(), GZIP_LEVEL, mtime=0))
    write_json(folder / PRIOR, {"step_zyx": steps, "shape_zyx": shape})
