"""`python -m benchmarks.phantoms DETECTOR`: what a detector finds in simulated patients, and what its scores are.

The cohort is drawn from a seed that no training uses and from outlines of patients that no training saw. The logits of
scores on nodules and on the best other candidates are what stage 2's bag is fitted with (`bag.score_true`,
`bag.score_false`); real scans with LUNA16 annotations join in with `--real`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.special import logit

from detection.candidate import Candidate
from detection.detect import Search, caches
from detection.detector import load_detector
from phantom.make import RECIPE_VERSION, make_cohort
from preprocessing.annotations import Nodule, read_annotations
from preprocessing.intake.find import find_scans
from runs.bootstrap import clopper_pearson
from runs.cache import cache_folder

BEST_OTHERS = 5
SMALLEST_MM = 3.0


def main() -> None:
    """Print what was found, and the means and deviations of the logits."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.phantoms", description=__doc__)
    parser.add_argument("detector", help="name or path of weights")
    parser.add_argument("--patients", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", type=Path, help="folder of scans")
    parser.add_argument("--annotations", type=Path, help="their nodules, as LUNA16 lists them")
    args = parser.parse_args()
    folder = cache_folder("phantoms") / f"v{RECIPE_VERSION}-{args.patients}-patients-seed-{args.seed}"
    cohort = make_cohort(folder, args.patients, args.seed)
    search = Search(load_detector(Path(args.detector)), *caches(True))
    true: list[float] = []
    false: list[float] = []
    for name, scans, listed in (
        ("phantoms", cohort / "dicom", cohort / "annotations.csv"),
        ("real", args.real, args.annotations),
    ):
        if scans is not None:
            found, others = _measure(name, search, scans, listed)
            true += found
            false += others
    for name, logits in (("score_true", true), ("score_false", false)):
        print(f"{name}: [{np.mean(logits):.2f}, {np.std(logits):.2f}]  # logits, n = {len(logits)}")


def _measure(name: str, search: Search, scans: Path, annotations: Path) -> tuple[list[float], list[float]]:
    """Logits of the nodules that were found, and of each scan's five best other candidates."""
    truth = [n for n in read_annotations(annotations) if n.diameter_mm >= SMALLEST_MM]
    ranks: list[int | None] = []
    true: list[float] = []
    false: list[float] = []
    read = [scan for scan in find_scans(scans) if scan.refused is None]
    for scan in read:
        candidates = search.run(scan)[1]
        own = [n for n in truth if n.series_uid == scan.series_uid]
        others = [c for c in candidates if not any(_inside(c, n) for n in own)]
        false += [float(logit(c.score)) for c in others[:BEST_OTHERS]]
        for nodule in own:
            rank = next((k for k, c in enumerate(candidates) if _inside(c, nodule)), None)
            ranks.append(rank)
            if rank is not None:
                true.append(float(logit(candidates[rank].score)))
    for what, hits in (
        ("among the candidates", [r is not None for r in ranks]),
        ("among their scan's ten best", [r is not None and r < 10 for r in ranks]),
        ("among their scan's three best", [r is not None and r < 3 for r in ranks]),
    ):
        share = clopper_pearson(sum(hits), len(hits))
        print(f"{name}: {sum(hits)} of {len(hits)} {what}: {share.value:.3f} ({share.low:.3f}-{share.high:.3f})")
    print(f"{name}: {len(read)} scans")
    return true, false


def _inside(candidate: Candidate, nodule: Nodule) -> bool:
    away = np.asarray(candidate.center_mm) - np.asarray(nodule.center_mm)
    return bool(np.linalg.norm(away) < nodule.diameter_mm / 2)


if __name__ == "__main__":
    main()
