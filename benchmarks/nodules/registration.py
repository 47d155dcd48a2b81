"""`python -m benchmarks.nodules.registration SCAN [OTHER ...]`: how near a place comes in an earlier scan.

The earlier scan is the first one itself after a known deformation: moved, turned, less deep along z, bent smoothly.
Further scans, of other people, say what the correlation is worth as a doubt.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from classification.follow_up.registration import register
from preprocessing.intake.find import find_scans
from preprocessing.prepare import PreparedScan, default_cache, prepare_scan
from runs.seeds import stream

# Of the bend: control points along z, y, x and the deviation of each of its components in mm.
CONTROL, BEND_MM = (5, 4, 4), 5.0
SHIFT_MM, TURN, SCALE_Z = (4.0, -6.0, 8.0), 0.05, 0.94
# One place of so many in the lungs is measured.
EVERY = 4001

Points = npt.NDArray[np.float64]


def main() -> None:
    """Print distances before and after, correlations and CPU seconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nodules.registration", description=__doc__)
    parser.add_argument("paths", type=Path, nargs="+", help="folders or files of one scan each")
    scans = [prepare_scan(find_scans(path)[0], None, default_cache()) for path in parser.parse_args().paths]
    prior, came_from = deformed(scans[0])
    began = time.process_time()
    found = register(scans[0], prior)
    spent = time.process_time() - began
    here, there = pairs(scans[0], prior, came_from)
    before, after = (np.linalg.norm(p - there, axis=1) for p in (here, found.to_prior(here)))
    for name, values in (("before", before), ("after", after)):
        middle, most = np.percentile(values, [50, 95])
        print(f"{name:7} median {middle:.1f} mm, 95 % within {most:.1f} mm, n {len(values)}")
    print(f"correlation {found.correlation:.2f}, {spent:.1f} CPU s")
    for other in scans[1:]:
        print(f"another person: correlation {register(scans[0], other).correlation:.2f}")


def deformed(scan: PreparedScan) -> tuple[PreparedScan, Points]:
    """An earlier scan, and where each of its voxels comes from in `scan`, (3, Z, Y, X) voxels."""
    hu = scan.volume.hu
    shape = np.array(hu.shape)
    control = stream("benchmarks.nodules.registration", 0).normal(0, BEND_MM, (3, *CONTROL))
    grid = np.indices(hu.shape, dtype=float)
    at = np.stack([g * (c - 1) / (n - 1) for g, c, n in zip(grid, CONTROL, shape, strict=True)])
    bend = np.stack([ndimage.map_coordinates(c, at, order=3, mode="nearest") for c in control])
    cos, sin = np.cos(TURN), np.sin(TURN)
    matrix = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]) @ np.diag([SCALE_Z, 1, 1])
    middle = ((shape - 1) / 2)[:, None, None, None]
    source = np.einsum("ij,jzyx->izyx", matrix, grid - middle) + middle + bend
    source += np.array(SHIFT_MM)[:, None, None, None]
    moved = ndimage.map_coordinates(hu.astype(np.float32), source, order=1, mode="nearest")
    lungs = ndimage.map_coordinates(scan.lung_mask.astype(np.float32), source, order=1) > 0.5
    return replace(scan, volume=replace(scan.volume, hu=np.rint(moved).astype(np.int16)), lung_mask=lungs), source


def pairs(scan: PreparedScan, prior: PreparedScan, source: Points) -> tuple[Points, Points]:
    """World mm (N, 3) of places in the lungs of both: in the scan, and where they are in the earlier one."""
    then = np.argwhere(prior.lung_mask)[::EVERY]
    now = source[:, then[:, 0], then[:, 1], then[:, 2]].T
    nearest = np.rint(now).astype(int)
    shown = ((nearest >= 0) & (nearest < scan.lung_mask.shape)).all(1)
    shown[shown] = scan.lung_mask[tuple(nearest[shown].T)]
    to_world = scan.volume.geometry.to_world
    return to_world(now[shown]), to_world(then[shown])


if __name__ == "__main__":
    main()
