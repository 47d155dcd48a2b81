"""`python -m benchmarks.context`: real nodules in their own surroundings, found or not, by one or more detectors.

Each cube of `data.context` is searched as a scan of its own. A detector's threshold is the score at which chests that
it was not trained on give so many false positives a scan. Cubes of normal tissue, cut from the same chests, say
whether the cut alone is taken for a nodule. Only the patients of one fold are measured: weights must not have seen
them (`preprocessing.splits`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from benchmarks.held_out.shown import as_shown
from detection.candidate import Candidate
from detection.detector import NoduleDetector, load_detector
from detection.training.sampling import HOST_MARGIN_MM
from phantom.pieces import Piece, load_cubes
from preprocessing.annotations import Nodule, read_annotations
from preprocessing.cohort import every_scan
from preprocessing.geometry import Geometry
from preprocessing.patches import extract_patch
from preprocessing.prepare import PreparedScan, PrepareSettings, default_cache
from preprocessing.splits import SplitSettings, fold_of
from preprocessing.volume import Volume
from runs.bootstrap import clopper_pearson
from runs.seeds import stream

RATES = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
# Chests that no shipped detector was trained on; three are whole, two hold the lungs in part.
CHESTS = ("LIDC-IDRI-0001", "LIDC-IDRI-0003", "CCMD-normal001", "HN-CHUS-052", "Pancreas-CT-CB-001")
TISSUE_PER_CHEST = 20
SIZES = ((0.0, 8.0), (8.0, 15.0), (15.0, 100.0))


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """What every detector is shown.

    Attributes:
        cubes: nodules in their surroundings.
        chests: prepared scans that the thresholds come from.
        marks: for each of them balls that are no false positives: (n, 4) world x, y, z and diameter, mm.
        tissue: cubes of normal tissue of these chests.
    """

    cubes: list[Piece]
    chests: list[PreparedScan]
    marks: list[npt.NDArray[np.float64]]
    tissue: list[npt.NDArray[np.int16]]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one detector said.

    Attributes:
        hits: (cubes,) best score of a candidate whose centre lies in the nodule, 0 without one.
        false: scores of all false positives in the chests, best first.
        tissue: (cubes of tissue,) best score in each.
        chests: how many there were.
    """

    hits: npt.NDArray[np.float64]
    false: npt.NDArray[np.float64]
    tissue: npt.NDArray[np.float64]
    chests: int

    def threshold(self, rate: float) -> float:
        """Scores above it give at most `rate` false positives a chest."""
        allowed = int(rate * self.chests + 1e-9)
        return float(self.false[allowed]) if allowed < len(self.false) else 0.0

    def found(self, rate: float) -> npt.NDArray[np.bool_]:
        """(cubes,) whether a nodule is found at that rate."""
        return np.asarray(self.hits > self.threshold(rate))


def main() -> None:
    """Print a table, and write the figures when asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.context", description=__doc__)
    parser.add_argument("weights", nargs="+", help="names or paths; the first is compared with the others")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the real data")
    parser.add_argument("--fold", type=int, default=0, help="measure this fold of patients; -1: all of them")
    parser.add_argument("--out", type=Path, help="json of all figures")
    args = parser.parse_args()
    bench = load_bench(args.data, args.fold)
    said = {name: ask(load_detector(name), bench) for name in args.weights}
    figures = report(bench, said)
    if args.out:
        args.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def load_bench(data: Path, fold: int) -> Bench:
    """Cubes of one fold (and those that every split holds out), chests, and tissue cut from them."""
    split = SplitSettings(held_out_fold=fold)
    cubes = [c for c in load_cubes(data / "lidc_context") if fold < 0 or split.holds_out(c.patient_id)]
    listed = [
        nodule
        for name in ("annotations.csv", "annotations_excluded.csv")
        for nodule in read_annotations(data / "luna16" / name)
    ]
    chests, marks = [], []
    for scan, prepared in every_scan([data / "lidc_scans", data / "backgrounds"], (), default_cache()):
        if scan.patient_id in CHESTS:
            chests.append(prepared)
            marks.append(_balls([n for n in listed if n.series_uid == scan.series_uid]))
    wide = PrepareSettings(margin_mm=HOST_MARGIN_MM)
    tissue = []
    for index, (scan, prepared) in enumerate(
        every_scan([data / "lidc_scans", data / "backgrounds"], (), default_cache(), wide)
    ):
        if scan.patient_id in CHESTS:
            own = _balls([n for n in listed if n.series_uid == scan.series_uid])
            tissue += normal_tissue(prepared, own, index)
    return Bench(cubes, chests, marks, tissue)


def normal_tissue(prepared: PreparedScan, marks: npt.NDArray[np.float64], index: int) -> list[npt.NDArray[np.int16]]:
    """Cubes of 51 mm around places in the lungs, at least 45 mm from every mark."""
    rng = stream("benchmarks.context.tissue", index)
    places = np.argwhere(prepared.lung_mask)
    cubes: list[npt.NDArray[np.int16]] = []
    for _ in range(40 * TISSUE_PER_CHEST):
        at = places[rng.integers(len(places))]
        inside = np.all((at >= 26) & (at < np.asarray(prepared.lung_mask.shape) - 26))
        away = np.linalg.norm(marks[:, :3] - prepared.volume.geometry.to_world(at), axis=1)
        if inside and np.all(away > 45) and len(cubes) < TISSUE_PER_CHEST:
            cubes.append(extract_patch(prepared.volume.hu, at, (51, 51, 51)))
    return cubes


def ask(detector: NoduleDetector, bench: Bench) -> Answers:
    """One detector on all of the bench."""

    def found(scan: PreparedScan) -> list[Candidate]:
        return detector.detect(as_shown(scan, detector.model.preparation))

    hits = [_best_inside(found(as_scan(c.hu)), c) for c in tqdm(bench.cubes, desc="cubes")]
    false: list[float] = []
    for chest, marks in zip(tqdm(bench.chests, desc="chests"), bench.marks, strict=True):
        false += [c.score for c in found(chest) if not _in_any(c.center_mm, marks)]
    tissue = [max((c.score for c in found(as_scan(hu))), default=0.0) for hu in tqdm(bench.tissue, desc="tissue")]
    return Answers(np.array(hits), np.sort(false)[::-1], np.array(tissue), len(bench.chests))


def as_scan(hu: npt.NDArray[Any]) -> PreparedScan:
    """A cube at 1 mm as a scan whose every voxel is searched."""
    rounded = np.rint(hu).astype(np.int16)
    geometry = Geometry(rounded.shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    return PreparedScan(Volume(rounded, geometry, "cube"), np.ones(rounded.shape, bool), geometry)


def report(bench: Bench, said: dict[str, Answers]) -> dict[str, Any]:
    """Tables on the screen; the same figures as a dictionary."""
    diameters = np.array([c.diameter_mm for c in bench.cubes])
    n, folds = len(diameters), sorted({fold_of(c.patient_id) for c in bench.cubes})
    print(
        f"{n} nodules in their surroundings (folds {folds}), thresholds of {len(bench.chests)} chests, 95 % intervals"
    )
    figures: dict[str, Any] = {"n_nodules": n, "n_chests": len(bench.chests), "n_tissue": len(bench.tissue)}
    for name, answers in said.items():
        rows = {f"{rate:g}": _share(answers.found(rate)) for rate in RATES}
        cpm = float(np.mean([answers.found(rate).mean() for rate in RATES]))
        sizes = {}
        for low, high in SIZES:
            chosen = (diameters >= low) & (diameters < high)
            sizes[f"{low:g}-{high:g} mm"] = {f"{rate:g}": _share(answers.found(rate)[chosen]) for rate in (1, 4)}
        tissue = {f"{rate:g}": int((answers.tissue > answers.threshold(rate)).sum()) for rate in RATES}
        figures[name] = {"sensitivity": rows, "mean_of_seven": round(cpm, 4), "by_size": sizes, "tissue_cubes": tissue}
        print(f"\n{name}: mean of seven {cpm:.3f}")
        for rate, (value, low, high) in rows.items():
            hits = f"{tissue[rate]} of {len(bench.tissue)} tissue cubes above the threshold"
            print(f"  {float(rate):5.3f} FP/scan  {value:.3f} ({low:.3f}-{high:.3f})   {hits}")
        for label, by_rate in sizes.items():
            print("  " + label + "  " + "  ".join(f"{v[0]:.3f} at {rate} FP" for rate, v in by_rate.items()))
    first, *others = said
    for other in others:
        figures[f"{first} - {other}"] = {f"{rate:g}": _difference(said[first], said[other], rate) for rate in (1, 4)}
        for rate, (value, low, high) in figures[f"{first} - {other}"].items():
            print(f"\n{first} - {other} at {rate} FP/scan: {value:+.3f} ({low:+.3f} to {high:+.3f}), paired bootstrap")
    return figures


def _share(found: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """Share and its exact 95 % interval (Clopper and Pearson)."""
    if not len(found):
        return float("nan"), float("nan"), float("nan")
    share = clopper_pearson(int(found.sum()), len(found))
    return round(share.value, 4), round(share.low, 4), round(share.high, 4)


def _difference(one: Answers, other: Answers, rate: float) -> tuple[float, float, float]:
    """Paired difference in sensitivity with its bootstrap interval; the thresholds stay."""
    gain = one.found(rate).astype(float) - other.found(rate)
    draws = stream("benchmarks.context.bootstrap").integers(len(gain), size=(2000, len(gain)))
    low, high = np.quantile(gain[draws].mean(1), (0.025, 0.975))
    return round(float(gain.mean()), 4), round(float(low), 4), round(float(high), 4)


def _best_inside(candidates: Sequence[Candidate], cube: Piece) -> float:
    center = np.asarray(cube.center_zyx)[::-1]
    near = [c.score for c in candidates if np.linalg.norm(np.asarray(c.center_mm) - center) < cube.diameter_mm / 2]
    return max(near, default=0.0)


def _balls(nodules: Sequence[Nodule]) -> npt.NDArray[np.float64]:
    """World centres and diameters; findings of unknown size count 10 mm across, as LUNA16 counts them."""
    rows = [(*n.center_mm, n.diameter_mm if n.diameter_mm > 0 else 10.0) for n in nodules]
    return np.asarray(rows, dtype=np.float64).reshape(-1, 4)


def _in_any(center_mm: tuple[float, float, float], marks: npt.NDArray[np.float64]) -> bool:
    away = np.linalg.norm(marks[:, :3] - np.asarray(center_mm), axis=1)
    return bool(np.any(away < marks[:, 3] / 2))


if __name__ == "__main__":
    main()
