"""`python -m benchmarks.hybrid WEIGHTS...`: held-out nodules in held-out chests, from 1 to 8 mm, in and out of breath.

Sixty scans: five real chests that no training sees, with one to four nodules of held-out patients (sizes of LUNA16)
and as much normal tissue blended in alike, then seen by another scanner and prepared by the product. Findings that the
chests came with are neither found nor false.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.held_out.blended import HybridScan, RatedCrop, contrast_hu, hybrid_scan
from benchmarks.held_out.chests import load_chests
from benchmarks.held_out.making import ahead, arguments
from benchmarks.held_out.measured import CONTRAST, Asked, curves, difference, figures, table
from benchmarks.held_out.pictures import Album
from detection.detector import load_detector
from phantom.pieces import load_nodule_crops
from preprocessing.annotations import read_annotations
from preprocessing.lidc.nodule_folder import TABLE
from preprocessing.prepare import PreparedScan, prepare
from preprocessing.splits import SplitSettings
from runs.csv_text import numbers, read_lines
from runs.writing import write_json

# Raised when the same seed begins to give other scans or another way to count.
BENCH_VERSION = 1
SCANS = 60


def main() -> None:
    """Print the tables, and write figures and pictures when asked to."""
    args = arguments("python -m benchmarks.hybrid", __doc__, SCANS)
    detectors = {name: load_detector(name) for name in args.weights}
    asked = {name: Asked() for name in detectors}
    albums = {name: Album(args.pictures) for name in detectors}
    for scan, prepared in tqdm(ahead(made(args.data, args.seed), args.scans), "hybrid scans", args.scans):
        strata = (f"slices {scan.how.thickness_mm:g} mm", scan.how.breath, f"chest {scan.chest}")
        label = f"{scan.volume.series_uid}-{scan.how.thickness_mm:g}mm-{scan.how.breath}"
        for name, detector in detectors.items():
            candidates = detector.detect(prepared)
            asked[name].add(scan.volume.series_uid, scan.nodules, scan.known, candidates, strata)
            albums[name].look(prepared, scan.nodules, scan.known, candidates, label)
    report(asked, albums, args.seed, args.out)


def made(data: Path, seed: int) -> Callable[[int], tuple[HybridScan, PreparedScan]]:
    """What makes and prepares scan number k."""
    chests, crops = load_chests(data), held_out_crops(data / "lidc_nodules")
    sizes = np.array([n.diameter_mm for n in read_annotations(data / "luna16" / "annotations.csv")])

    def make(index: int) -> tuple[HybridScan, PreparedScan]:
        scan = hybrid_scan(index, seed, chests, crops, sizes)
        prepared = prepare(scan.volume)
        shown = [contrast_hu(prepared, n, scan.how.lung_hu) for n in scan.nodules]
        rated = [replace(n, ratings={**n.ratings, CONTRAST: hu}) for n, hu in zip(scan.nodules, shown, strict=True)]
        return replace(scan, nodules=rated), prepared

    return make


def held_out_crops(folder: Path) -> list[RatedCrop]:
    """The nodules of held-out patients with their texture."""
    path = folder / TABLE
    textures = numbers(path, read_lines(path, ("texture",), ()), "texture")
    split = SplitSettings()
    return [
        RatedCrop(crop, texture)
        for crop, texture in zip(load_nodule_crops(folder), textures, strict=True)
        if split.holds_out(crop.slab.patient_id)
    ]


def report(asked: dict[str, Asked], albums: dict[str, Album], seed: int, out: Path | None) -> dict[str, Any]:
    """Tables on the screen; the same figures as a dictionary, and in `out`."""
    found = {name: curves(one) for name, one in asked.items()}
    told: dict[str, Any] = {"bench": "hybrid", "version": BENCH_VERSION, "seed": seed}
    print(f"hybrid-bench version {BENCH_VERSION}, seed {seed}")
    for name, results in found.items():
        print(table(name, results))
        told[name] = figures(results)
        albums[name].write(f"hybrid-{Path(name).name}")
    first, *others = found
    for other in others:
        told[f"{first} - {other}"] = gain = difference(found[first], found[other])
        low, high = gain["interval_95"]
        print(f"\n{first} - {other}: CPM {gain['cpm']:+.3f} ({low:+.3f} to {high:+.3f}), paired bootstrap by scan")
    if out:
        write_json(out, told)
    return told


if __name__ == "__main__":
    main()
