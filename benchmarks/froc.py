"""`python -m benchmarks.froc`: the LUNA16 evaluation against a plain reimplementation of the organisers' loops.

The plain version does what the published script does, the way it does it: for each scan it goes through all rows of
all files, then holds each finding against each candidate of the scan, and each bootstrap draw joins the marks of the
drawn scans and computes a new curve with scikit-learn. It is written here in our own words, from the protocol. It
draws the same scans as ours, so that every draw's CPM can be compared, not only the figures of the whole.

Times are wall seconds after imports, from files on disk: for the plain version to its figures, for ours to its figures
and the three files it writes. The plain bootstrap is timed on a few draws and extrapolated to 1,000.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_curve

from detection.evaluate import EvaluateSettings, evaluate, write
from detection.froc.curve import RATES
from detection.froc.report import Report

Row = list[str]
DRAWS = 1000


@dataclass
class Plain:
    """Marks of one scan: 1 for a nodule, 0 for a false positive; its score, None for a missed nodule."""

    labels: list[int]
    scores: list[float | None]
    excluded: int = 0
    doubles: int = 0


def main() -> None:
    """Print counts, digits and times side by side."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.froc", description=__doc__)
    luna16 = Path("../shared/data/luna16")
    parser.add_argument("--candidates", type=Path, default=luna16 / "submission_deeplung_dpn26.csv")
    parser.add_argument("--annotations", type=Path, default=luna16 / "annotations.csv")
    parser.add_argument("--excluded", type=Path, default=luna16 / "annotations_excluded.csv")
    parser.add_argument("--seriesuids", type=Path, default=luna16 / "seriesuids.csv")
    parser.add_argument("--draws", type=int, default=20, help="bootstrap draws of the plain version")
    parser.add_argument("--repeats", type=int, default=5, help="ours: the median of so many runs is shown")
    args = parser.parse_args()

    begin = time.perf_counter()
    scans = plain_marks(args.candidates, args.annotations, args.excluded, args.seriesuids)
    sensitivity = plain_sensitivity(scans)
    once = time.perf_counter() - begin
    begin = time.perf_counter()
    cpms = plain_bootstrap(scans, args.draws)
    a_draw = (time.perf_counter() - begin) / args.draws

    paths = {name: Path(getattr(args, name)) for name in ("candidates", "annotations", "excluded", "seriesuids")}
    report, seconds = timed(EvaluateSettings(**paths, bootstraps=DRAWS), args.repeats)
    _, seconds_without = timed(EvaluateSettings(**paths, bootstraps=0), args.repeats)

    print_digits(scans, sensitivity, cpms, report)
    full = once + DRAWS * a_draw
    print(f"\n{'seconds':24}{'plain':>9}{'ours':>9}{'ratio':>9}")
    print(f"{'without bootstrap':24}{once:9.2f}{seconds_without:9.2f}{once / seconds_without:9.1f}")
    print(f"{f'{DRAWS} draws':24}{full:9.1f}{seconds:9.2f}{full / seconds:9.1f}")
    print(f"plain: {args.draws} draws timed, {DRAWS} extrapolated; ours: all of {DRAWS}, with json, csv and png")


def timed(settings: EvaluateSettings, repeats: int) -> tuple[Report, float]:
    """The last report and the median of the seconds to compute and write it."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repeats):
            begin = time.perf_counter()
            report = evaluate(settings)
            write(report, Path(folder))
            seconds.append(time.perf_counter() - begin)
    return report, statistics.median(seconds)


def print_digits(scans: list[Plain], sensitivity: npt.NDArray[np.float64], cpms: list[float], report: Report) -> None:
    """Counts and sensitivities of both, and their largest differences."""
    ours, matched = report.scored.all, report.scored.matched
    labels = [(label, score) for scan in scans for label, score in zip(scan.labels, scan.scores, strict=True)]
    counts = {
        "true positives": (sum(la == 1 and s is not None for la, s in labels), int(matched.found.sum())),
        "false positives": (sum(la == 0 for la, _ in labels), len(matched.false_scan)),
        "false negatives": (sum(s is None for _, s in labels), int((~matched.found).sum())),
        "on excluded findings": (sum(scan.excluded for scan in scans), matched.on_excluded),
        "doubles": (sum(scan.doubles for scan in scans), matched.doubles),
    }
    print(f"{matched.n_scans} scans, {ours.n_nodules} nodules, {report.scored.n_candidates} candidates")
    print(f"{'':24}{'plain':>9}{'ours':>9}")
    for name, (a, b) in counts.items():
        print(f"{name:24}{a:9}{b:9}")
    for rate, a, b in zip(RATES, sensitivity, ours.at(), strict=True):
        print(f"{f'sensitivity at {rate:g}':24}{a:9.4f}{b:9.4f}")
    print(f"{'CPM':24}{sensitivity.mean():9.4f}{ours.cpm:9.4f}")
    assert ours.band is not None
    worst = np.abs(np.array(cpms) - ours.band.cpm_draws[: len(cpms)]).max()
    print(f"largest difference: {np.abs(sensitivity - ours.at()).max():.1e} at the seven rates, ", end="")
    print(f"{worst:.1e} in the CPMs of {len(cpms)} draws")
    print(f"band of ours, {DRAWS} draws: {ours.band.cpm_band[0]:.4f}-{ours.band.cpm_band[1]:.4f}")


def plain_marks(candidates: Path, annotations: Path, excluded: Path, seriesuids: Path, most: int = 100) -> list[Plain]:
    """Each scan's marks, one scan after another, each file gone through from the top for each scan."""
    tables = {name: rows_of(path) for name, path in (("c", candidates), ("a", annotations), ("e", excluded))}
    scans = []
    for uid in (row[0] for row in rows_of(seriesuids)):
        found = [row for row in tables["c"] if row[0] == uid]
        if len(found) > most:
            bar = sorted((float(row[4]) for row in found), reverse=True)[most]
            found = [row for row in found if float(row[4]) > bar]
        nodules = [row for row in tables["a"] if row[0] == uid]
        others = [row for row in tables["e"] if row[0] == uid]
        scans.append(plain_scan(found, nodules, others))
    return scans


def plain_scan(candidates: list[Row], nodules: list[Row], others: list[Row]) -> Plain:
    """Every finding against every candidate."""
    scan = Plain([], [])
    left = set(range(len(candidates)))
    for nodule in nodules:
        hits = [k for k, candidate in enumerate(candidates) if within(nodule, candidate)]
        left -= set(hits)
        scan.labels.append(1)
        scan.scores.append(max((float(candidates[k][4]) for k in hits), default=None))
        scan.doubles += max(len(hits) - 1, 0)
    for other in others:
        for k, candidate in enumerate(candidates):
            if within(other, candidate) and k in left:
                left.remove(k)
                scan.excluded += 1
    scan.labels += [0] * len(left)
    scan.scores += [float(candidates[k][4]) for k in sorted(left)]
    return scan


def within(finding: Row, candidate: Row) -> bool:
    """Whether the candidate's centre is closer than the finding's radius; an unknown diameter is 10 mm."""
    diameter = float(finding[4])
    radius = (10.0 if diameter < 0 else diameter) / 2
    x, y, z = (float(finding[i]) - float(candidate[i]) for i in (1, 2, 3))
    return x * x + y * y + z * z < radius * radius


def plain_sensitivity(scans: list[Plain]) -> npt.NDArray[np.float64]:
    """Sensitivity at the seven rates, from the marks of all scans joined."""
    marks = [(label, score) for scan in scans for label, score in zip(scan.labels, scan.scores, strict=True)]
    nodules = sum(label for label, _ in marks)
    labels, scores = zip(*[mark for mark in marks if mark[1] is not None], strict=True)
    false_share, true_share, _ = roc_curve(labels, scores)
    found = sum(labels)
    # Whole again: the share times the number may miss it by a rounding, and at a rate where the curve steps up, such
    # as 444 false positives in 888 scans, that decides which end of the step is read.
    false = np.rint(false_share * (len(labels) - found))
    return np.interp(RATES, false / len(scans), true_share * found / nodules)


def plain_bootstrap(scans: list[Plain], draws: int, seed: int = 0) -> list[float]:
    """CPM of each draw of as many scans as there are, with replacement."""
    rng = np.random.default_rng(seed)
    return [
        float(plain_sensitivity([scans[k] for k in rng.integers(0, len(scans), len(scans))]).mean())
        for _ in range(draws)
    ]


def rows_of(path: Path) -> list[Row]:
    """The lines of a csv without its heading, if it has one."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    return rows[1:] if rows[0][0] == "seriesuid" else rows


if __name__ == "__main__":
    main()
