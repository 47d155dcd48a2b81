"""Heat maps as the viewer takes them: a box of the viewer's grid for each nodule that has one."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from classification.heat_map import HeatMap
from lungscreen.report.heat_view import shares
from lungscreen.server.jobs.folders import HEAT
from lungscreen.server.jobs.results import GZIP_LEVEL
from preprocessing.geometry import Geometry
from runs.writing import write_json

# Of the strongest voxel of a map.
FULL = 127


def write_heat(folder: Path, maps: Sequence[HeatMap], seen: Geometry, shown: Geometry) -> None:
    """Write `heat.json` and `heat_1.gz`, ... (int8, gzipped), of the nodules in the report's order.

    Args:
        folder: of the scan's voxels, there already.
        maps: on the grid `seen`.
        seen: of the prepared scan.
        shown: of the viewer.
    """
    boxes = []
    for rank, heat in enumerate(maps, 1):
        start, values = on_grid(heat, seen, shown)
        (folder / f"heat_{rank}.gz").write_bytes(gzip.compress(values.tobytes(), GZIP_LEVEL, mtime=0))
        boxes.append({"rank": rank, "start_zyx": list(start), "shape_zyx": list(values.shape)})
    write_json(folder / HEAT, {"full": FULL, "maps": boxes})


def on_grid(heat: HeatMap, seen: Geometry, shown: Geometry) -> tuple[tuple[int, ...], npt.NDArray[np.int8]]:
    """The part of the grid `shown` that a map reaches: its first voxel, and (D, H, W) with `FULL` at the strongest."""
    ends = [(start, start + size - 1) for start, size in zip(heat.start_zyx, heat.values.shape, strict=True)]
    corners = shown.to_voxel(seen.to_world(list(itertools.product(*ends))))
    low = np.clip(np.floor(corners.min(axis=0)), 0, shown.shape_zyx).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 1, low, shown.shape_zyx).astype(int)
    axes = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    places = seen.to_voxel(shown.to_world(grid)) - np.asarray(heat.start_zyx)
    values = ndimage.map_coordinates(shares(heat), np.moveaxis(places, -1, 0), order=1, mode="constant")
    return tuple(low.tolist()), np.rint(FULL * values).astype(np.int8)
