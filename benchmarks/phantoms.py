"""`python -m benchmarks.phantoms WEIGHTS...`: what detectors find in simulated patients, and what their scores are.

The cohort is drawn from a seed that no training uses and from outlines of patients that no training saw. The logits of
scores on nodules and on the best other candidates are what stage 2's bag is fitted with (`bag.score_true`,
`bag.score_false`); real scans with LUNA16 annotations join in with `--real`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logit

from benchmarks.held_out.measured import Asked, curves, difference, figures, table
from benchmarks.held_out.pictures import Album, lies_in
from detection.candidate import Candidate
from detection.detect import Search, caches
from detection.detector import load_detector
from phantom.make import RECIPE_VERSION, make_cohort
from preprocessing.annotations import Nodule, read_annotations
from preprocessing.intake.find import find_scans
from runs.bootstrap import clopper_pearson
from runs.cache import cache_folder
from runs.writing import write_json

# Raised when there is another way to count; the phantoms have a version of their own.
BENCH_VERSION = 1
BEST_OTHERS = 5
SMALLEST_MM = 3.0
PATIENTS = 60


def main() -> None:
    """Print the tables and the means and deviations of the logits; write figures and pictures when asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.phantoms", description=__doc__)
    parser.add_argument("weights", nargs="+", help="names or paths; the first is compared with the others")
    parser.add_argument("--patients", type=int, default=PATIENTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", type=Path, help="folder of scans")
    parser.add_argument("--annotations", type=Path, help="their nodules, as LUNA16 lists them")
    parser.add_argument("--out", type=Path, help="json of all figures")
    parser.add_argument("--pictures", type=Path, help="folder for the worst misses and false positives")
    args = parser.parse_args()
    if (args.real is None) != (args.annotations is None):
        parser.error("--real and --annotations go together, got one of them")
    folder = cache_folder("phantoms") / f"v{RECIPE_VERSION}-{args.patients}-patients-seed-{args.seed}"
    cohort = make_cohort(folder, args.patients, args.seed)
    told: dict[str, Any] = {"bench": "phantoms", "version": BENCH_VERSION, "recipe": RECIPE_VERSION, "seed": args.seed}
    found = {}
    for name in args.weights:
        search = Search(load_detector(name), *caches(True))
        album = Album(args.pictures)
        asked, measured = measure("phantoms", search, cohort / "dicom", cohort / "annotations.csv", album)
        album.write(f"phantoms-{Path(name).name}")
        found[name] = curves(asked)
        print(table(name, found[name]))
        if args.real is not None:
            measured += measure("real", search, args.real, args.annotations, Album(None))[1]
        told[name] = {"froc": figures(found[name]), "logits": logits(measured)}
    first, *others = found
    for other in others:
        told[f"{first} - {other}"] = gain = difference(found[first], found[other])
        low, high = gain["interval_95"]
        print(f"\n{first} - {other}: CPM {gain['cpm']:+.3f} ({low:+.3f} to {high:+.3f}), paired bootstrap by scan")
    if args.out:
        write_json(args.out, told)


def measure(
    name: str, search: Search, scans: Path, annotations: Path, album: Album
) -> tuple[Asked, list[tuple[bool, float]]]:
    """What is asked and answered, and logits: of the nodules that were found (True), of each scan's best others."""
    listed = read_annotations(annotations)
    asked = Asked()
    ranks: list[int | None] = []
    scores: list[tuple[bool, float]] = []
    for scan in find_scans(scans):
        if scan.refused is not None:
            continue
        prepared, candidates = search.run(scan)
        own = [n for n in listed if n.series_uid == scan.series_uid and n.diameter_mm >= SMALLEST_MM]
        small = [n for n in listed if n.series_uid == scan.series_uid and not n.diameter_mm >= SMALLEST_MM]
        asked.add(scan.series_uid, own, small, candidates, ())
        album.look(prepared, own, small, candidates, name)
        ranks += [next((k for k, c in enumerate(candidates) if lies_in(c, n)), None) for n in own]
        scores += _scores(candidates, own)
    for what, hits in (
        ("among the candidates", [r is not None for r in ranks]),
        ("among their scan's ten best", [r is not None and r < 10 for r in ranks]),
        ("among their scan's three best", [r is not None and r < 3 for r in ranks]),
    ):
        share = clopper_pearson(sum(hits), len(hits))
        print(f"{name}: {sum(hits)} of {len(hits)} {what}: {share.value:.3f} ({share.low:.3f}-{share.high:.3f})")
    print(f"{name}: {len(asked.uids)} scans")
    return asked, scores


def _scores(candidates: Sequence[Candidate], nodules: Sequence[Nodule]) -> list[tuple[bool, float]]:
    """Logits of each nodule's best candidate, and of the five best that lie in none."""
    best = [max((c.score for c in candidates if lies_in(c, n)), default=0.0) for n in nodules]
    others = [c.score for c in candidates if not any(lies_in(c, n) for n in nodules)]
    return [(True, float(logit(s))) for s in best if s > 0] + [(False, float(logit(s))) for s in others[:BEST_OTHERS]]


def logits(measured: Sequence[tuple[bool, float]]) -> dict[str, Any]:
    """Mean and deviation of both kinds, on the screen too."""
    told = {}
    for key, kind in (("score_true", True), ("score_false", False)):
        values = [value for is_nodule, value in measured if is_nodule == kind]
        mean, deviation = (float(np.mean(values)), float(np.std(values))) if values else (float("nan"),) * 2
        told[key] = {"mean": round(mean, 3), "deviation": round(deviation, 3), "n": len(values)}
        print(f"{key}: [{mean:.2f}, {deviation:.2f}]  # logits, n = {len(values)}")
    return told


if __name__ == "__main__":
    main()
