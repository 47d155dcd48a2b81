"""`python -m benchmarks.lidc`: seconds for the LIDC truth beside pylidc, and whether both say the same.

pylidc 0.2.3 imports neither with NumPy 2 nor with new setuptools: the names it misses are lent to it here, and only
here. Scans are spread evenly over the table. Timed are the clusters and the voxel masks of all their readings.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Any

import numpy as np

from preprocessing.lidc.clusters import cluster
from preprocessing.lidc.masks import VoxelMask, reading_mask
from preprocessing.lidc.reading import LidcScan
from preprocessing.lidc.table import read_table, table_path

LUNA16 = Path("../shared/data/luna16")
ALL_SCANS = 1018


def main() -> None:
    """Print the seconds, their ratio and every disagreement."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lidc", description=__doc__)
    parser.add_argument("--scans", type=int, default=40, help=f"for pylidc to do; {ALL_SCANS} are all")
    parser.add_argument("--repeats", type=int, default=3, help="the fastest run of the whole command is shown")
    args = parser.parse_args()
    whole = min(command() for _ in range(args.repeats))
    print(f"{os.cpu_count()} CPUs; seconds of wall time, without a cache")
    print(f"python -m preprocessing.lidc, start to finish, {ALL_SCANS} scans: {whole:.2f} (best of {args.repeats})")
    compare(np.linspace(0, ALL_SCANS - 1, args.scans).astype(int).tolist(), whole)


def command() -> float:
    """The command as a user types it, in a process of its own."""
    known = {"headers": "mhd_headers.csv", "seriesuids": "seriesuids.csv", "compare": "annotations.csv"}
    options = [f"{key}={LUNA16 / name}" for key, name in known.items()] if LUNA16.is_dir() else []
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "preprocessing.lidc", f"out={out}", *options],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - start


def compare(numbers: list[int], whole: float) -> None:
    """Both on the same scans."""
    pylidc = import_pylidc()
    table = read_table()
    theirs_s = ours_s = 0.0
    same_clusters = same_masks = masks = 0
    for number in numbers:
        start = time.perf_counter()
        row = pylidc.query(pylidc.Scan).filter(pylidc.Scan.series_instance_uid == table[number].series_uid).one()
        clusters = row.cluster_annotations(verbose=False)
        their_masks = [(a.bbox_matrix(), a.boolean_mask()) for a in row.annotations]
        theirs_s += time.perf_counter() - start
        start = time.perf_counter()
        groups = cluster(table[number])
        our_masks = [reading_mask(table[number], reading) for reading in table[number].readings]
        ours_s += time.perf_counter() - start
        order = {annotation.id: i for i, annotation in enumerate(row.annotations)}
        same = sorted(tuple(sorted(order[a.id] for a in group)) for group in clusters) == sorted(groups)
        same_clusters += same
        if not same:
            print(f"  clusters differ: {table[number].patient_id}")
        masks += len(our_masks)
        same_masks += differing(table[number], our_masks, their_masks)
    scans, ratio = len(numbers), theirs_s / ours_s
    print(
        f"pylidc's clusters and masks, {scans} scans: {theirs_s:.2f}; the same here: {ours_s:.2f}; {ratio:.0f} times"
    )
    theirs_s *= ALL_SCANS / scans
    print(f"pylidc on all {ALL_SCANS} at that pace: {theirs_s:.0f}, {theirs_s / whole:.0f} times the whole command")
    print(
        f"the same clusters in {same_clusters} of {scans} scans; the same voxels in {same_masks} of {masks} readings"
    )


def differing(scan: LidcScan, ours: list[VoxelMask], theirs: list[tuple[Any, Any]]) -> int:
    """How many masks are equal; the others are printed."""
    equal = 0
    for number, (mask, (box, other)) in enumerate(zip(ours, theirs, strict=True)):
        row, column, first = box[:, 0].tolist()
        turned = VoxelMask((first, row, column), np.moveaxis(np.asarray(other), 2, 0))
        same = places(mask) == places(turned)
        equal += same
        if not same:
            print(
                f"  masks differ: {scan.patient_id} reading {scan.readings[number].nodule_id}: "
                f"{int(mask.voxels.sum())} voxels here, {int(turned.voxels.sum())} in pylidc"
            )
    return equal


def places(mask: VoxelMask) -> set[tuple[int, ...]]:
    """Voxels as slice, row and column of the scan."""
    return set(map(tuple, (np.argwhere(mask.voxels) + mask.start_zyx).tolist()))


def import_pylidc() -> Any:
    """pylidc with the names it misses: `pkg_resources` of old setuptools, `np.int` and its like of old NumPy."""
    resources: Any = types.ModuleType("pkg_resources")
    resources.resource_filename = lambda _, name: str(table_path().with_name(name))
    sys.modules.setdefault("pkg_resources", resources)
    for name, kind in {"int": int, "float": float, "bool": bool}.items():
        if name not in vars(np):
            setattr(np, name, kind)
    import pylidc

    return pylidc


if __name__ == "__main__":
    main()
