"""Does 30 % mean 30 %? Predicted against observed frequency in bins, and the expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from classification.metrics.tally import Tally, ratio
from runs.bootstrap import Estimate, Floats, bootstrap_estimate, clopper_pearson, percentiles
from runs.entry import UsageError
from runs.seeds import stream

BINNINGS = ("equal_width", "equal_mass")


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The rows whose probability lies in (low, high]; the first bin holds `low` too.

    Attributes:
        low: edge.
        high: edge.
        predicted: mean probability of the rows; NaN in an empty bin.
        observed: share of positives with its interval.
    """

    low: float
    high: float
    predicted: float
    observed: Estimate


def bin_edges(probability: Floats, bins: int = 10, binning: str = "equal_width") -> Floats:
    """Edges (at most bins + 1,) in rising order: bins of equal width on [0, 1], or with equally many rows each.

    Equal probabilities are never parted: ties make the bins of `equal_mass` fewer and less equal.

    Raises:
        UsageError: no such binning, or no bin.
    """
    if binning not in BINNINGS or bins < 1:
        raise UsageError(f"expected binning out of {BINNINGS} and at least one bin, got {binning!r} and {bins}")
    steps = np.linspace(0, 1, bins + 1)
    if binning == "equal_width":
        return steps
    lowest, *inner, highest = np.quantile(probability, steps)
    return np.array([lowest, *np.unique([edge for edge in inner if edge < highest]), highest])


def calibration_error(tally: Tally, edges: Floats) -> Floats:
    """(B,) mean over the rows of |predicted - observed| of their bin (Naeini 2015, Guo 2017), in [0, 1].

    It is biased upwards: chance alone parts predicted from observed in a small bin (see `error_by_chance`).
    """
    rows, positives, predicted = _bin_counts(tally, edges)
    error: Floats = np.abs(predicted - positives).sum(axis=1) / rows.sum(axis=1)
    return error


def observed_frequency(tally: Tally, edges: Floats) -> Floats:
    """(B, bins) share of positives in each bin; NaN where it is empty."""
    rows, positives, _ = _bin_counts(tally, edges)
    return ratio(positives, rows)


def error_by_chance(probability: Floats, edges: Floats, repeats: int, level: float = 0.95, seed: int = 0) -> Estimate:
    """What a perfectly calibrated predictor would get: the mean calibration error, with its central range.

    Labels are drawn anew from the probabilities (n,); an error inside the range is no evidence of miscalibration
    (consistency resampling, Broecker & Smith 2007, Weather and Forecasting 22:651).
    """
    rng = stream("classification.metrics.estimates.reliability", seed)
    inside = _membership(probability, edges)
    predicted = probability @ inside
    # Row by row, so that memory does not grow with the number of draws.
    drawn = (np.abs((rng.random(len(probability)) < probability) @ inside - predicted).sum() for _ in range(repeats))
    errors = np.fromiter(drawn, float, repeats) / len(probability)
    low, high = percentiles(errors, level)
    method = f"{repeats} draws of labels from the probabilities"
    return Estimate(float(errors.mean()), float(low), float(high), len(probability), method)


def reliability_bins(
    tally: Tally, edges: Floats, level: float = 0.95, drawn: Floats | None = None
) -> tuple[ReliabilityBin, ...]:
    """The table behind the reliability plot, of a single sample (B = 1).

    Args:
        tally: of the sample.
        edges: from `bin_edges`.
        level: of confidence.
        drawn: (B, bins) bootstrapped `observed_frequency`, for rows in groups; None: exact binomial intervals.
    """
    rows, positives, predicted = (counts[0] for counts in _bin_counts(tally, edges))
    means = ratio(predicted, rows)
    table = []
    for k, (n, hits) in enumerate(zip(rows.astype(int).tolist(), positives.astype(int).tolist(), strict=True)):
        if drawn is None or not n:
            observed = clopper_pearson(hits, n, level)
        else:
            observed = bootstrap_estimate(hits / n, drawn[:, k], n, level)
        table.append(ReliabilityBin(float(edges[k]), float(edges[k + 1]), float(means[k]), observed))
    return tuple(table)


def _bin_counts(tally: Tally, edges: Floats) -> tuple[Floats, Floats, Floats]:
    """Rows, positives and the sum of probabilities (B, bins)."""
    inside = _membership(tally.score, edges)
    rows = tally.positive + tally.negative
    return rows @ inside, tally.positive @ inside, (rows * tally.score) @ inside


def _membership(probability: Floats, edges: Floats) -> Floats:
    """(n, bins) 1 where a probability lies in a bin, else 0."""
    inner = edges[1:-1]
    place = np.searchsorted(inner, probability, side="left")
    return np.eye(len(inner) + 1)[place]
