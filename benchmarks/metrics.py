"""`python -m benchmarks.metrics`: patient metrics against the plain way of computing the same intervals.

Bootstrap: a loop over `sklearn.metrics.roc_auc_score` on drawn rows. DeLong: every positive against every negative.
Imports are not counted. Data: the published DSB2017 predictions when `../shared/data` is there, else a random cohort
of the same size. One thread of numpy is enough to see the ratios; run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from classification.evaluate import EvaluateSettings, evaluate
from classification.metrics import plots  # noqa: F401  (its import is start-up, too)
from classification.metrics.delong import delong
from classification.metrics.estimates import auc_bootstrap, patient_metrics
from classification.metrics.predictions import read_matched

DSB = Path("../shared/data/dsb2017")


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="the median of so many runs is shown")
    parser.add_argument("--bootstrap", type=int, default=2000, help="draws")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        predictions, labels = files(Path(folder))
        rows = read_matched(predictions, labels)
        settings = EvaluateSettings(
            predictions=Path(predictions), labels=Path(labels), out=Path(folder) / "out", bootstrap=args.bootstrap
        )

        def timed(work: Callable[[], Any]) -> tuple[float, Any]:
            return median_seconds(work, args.repeats)

        print(f"{len(rows.label)} patients, {args.bootstrap} bootstrap draws; median of {args.repeats} runs")
        print(f"{'AUC with a bootstrap interval':44} {'ours':>9} {'plain':>9} {'ratio':>7}")
        ours = timed(lambda: auc_bootstrap(rows.label, {"auc": rows.probability}, args.bootstrap)["auc"])
        plain = timed(lambda: sklearn_loop(rows.label, rows.probability, args.bootstrap))
        show("  roc_auc_score in a loop", ours[0], plain[0])
        got, expected = (ours[1].low, ours[1].high), plain[1]
        assert np.allclose(got, expected, atol=0.004), f"the intervals differ: {got} and {expected}"
        print("DeLong covariance of two predictions")
        for n in (len(rows.label), 10_000):
            label, scores = cohort(n)
            ours, plain = timed(lambda: delong(label, scores)), timed(lambda: every_pair(label, scores))  # noqa: B023
            show(f"  every pair, {n} patients", ours[0], plain[0])
            assert all(np.allclose(a, b) for a, b in zip(ours[1], plain[1], strict=True)), "the covariances differ"
        seconds, _ = timed(lambda: patient_metrics(rows.label, rows.probability, settings))
        print(f"{'all metrics with all intervals':44} {seconds:8.3f}s")
        with contextlib.redirect_stdout(io.StringIO()):
            seconds, _ = timed(lambda: evaluate(settings))
        print(f"{'the whole command after import, plots too':44} {seconds:8.3f}s")


def files(folder: Path) -> tuple[Path, Path]:
    """Predictions and labels on disk."""
    if DSB.is_dir():
        return DSB / "submission_ens2_stage1.csv", DSB / "stage1_labels.csv"
    label, scores = cohort(1595)
    paths = folder / "predictions.csv", folder / "labels.csv"
    for path, values in zip(paths, (1 / (1 + np.exp(-scores[0])), label.astype(int)), strict=True):
        path.write_text("id,cancer\n" + "".join(f"p{i},{v}\n" for i, v in enumerate(values)))
    return paths


def cohort(n: int) -> tuple[np.ndarray, np.ndarray]:
    """A quarter with cancer, two correlated scores (2, n)."""
    rng = np.random.default_rng(0)
    label = rng.random(n) < 0.26
    return label, 1.5 * label + rng.normal(size=n) + 0.5 * rng.normal(size=(2, n))


def sklearn_loop(label: np.ndarray, score: np.ndarray, repeats: int) -> tuple[float, float]:
    """The usual ten lines."""
    rng = np.random.default_rng(0)
    areas = []
    for _ in range(repeats):
        drawn = rng.integers(0, len(label), len(label))
        if 0 < label[drawn].sum() < len(label):
            areas.append(roc_auc_score(label[drawn], score[drawn]))
    low, high = np.percentile(areas, [2.5, 97.5])
    return float(low), float(high)


def every_pair(label: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DeLong et al. 1988 as printed, in numpy: positives times negatives."""
    wins = [
        (s[label][:, None] > s[~label]) + 0.5 * (s[label][:, None] == s[~label]) for s in scores
    ]  # fmt: skip
    above, below = [w.mean(axis=1) for w in wins], [w.mean(axis=0) for w in wins]
    return np.mean(above, axis=1), np.cov(above) / label.sum() + np.cov(below) / (~label).sum()


def median_seconds(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Seconds and the last answer."""
    seconds, answer = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        answer = work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), answer


def show(name: str, ours: float, plain: float) -> None:
    """One row of the table."""
    print(f"{name:44} {ours:8.4f}s {plain:8.3f}s {plain / ours:6.0f}x")


if __name__ == "__main__":
    main()
