"""Values with their uncertainty: exact binomial intervals, and a bootstrap that takes thousands of draws at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from runs.seeds import stream

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

# Elements of one block of resamples: 8 MB of counts, which stays in a processor's cache.
BLOCK = 1_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its interval.

    Attributes:
        value: of the sample at hand; NaN when undefined (a precision when nothing was called positive).
        low: of the interval; NaN when there is none.
        high: of the interval.
        n: how many rows the value rests on: all of them, or the denominator of a proportion.
        method: how the interval was made, in words.
    """

    value: float
    low: float
    high: float
    n: int
    method: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One prediction against another on the same patients.

    Attributes:
        difference: first minus second.
        p_value: two-sided, of no difference, in [0, 1]; NaN when the test cannot tell (no variance).
    """

    difference: Estimate
    p_value: float


def clopper_pearson(hits: int, n: int, level: float = 0.95) -> Estimate:
    """A proportion with its exact binomial interval (Clopper & Pearson 1934, Biometrika 26:404).

    Args:
        hits: in [0, n].
        n: independent trials; 0 gives the value NaN and the interval [0, 1].
        level: of confidence, in (0, 1).

    Raises:
        ValueError: hits outside [0, n].
    """
    if not 0 <= hits <= n:
        raise ValueError(f"expected 0 <= hits <= n, got {hits} of {n}")
    if n == 0:
        return Estimate(math.nan, 0.0, 1.0, 0, "Clopper-Pearson")
    interval = stats.binomtest(hits, n).proportion_ci(level, method="exact")
    return Estimate(hits / n, float(interval.low), float(interval.high), n, "Clopper-Pearson")


def resample(
    statistic: Callable[[Array], Mapping[str, Array]],
    rows: int,
    repeats: int,
    groups: Array | None = None,
    seed: int = 0,
) -> dict[str, Array]:
    """The bootstrap distribution of a statistic, or of several on the same draws.

    Rows, or whole groups of rows, are drawn with replacement and not by class: the prevalence varies as it would in
    a new sample. The same rows, groups, repeats and seed give the same draws, so that two calls can be paired.

    Args:
        statistic: takes weights (B, rows), how often each row was drawn, and returns arrays (B, ...) by name.
        rows: of the sample.
        repeats: draws in all.
        groups: (rows,) a label each, the same for rows drawn together (the scans of a patient); None: every row
            is its own.
        seed: of the draws.

    Returns:
        Arrays (repeats, ...) by name.
    """
    parts = [statistic(weights) for weights in _draws(rows, repeats, groups, seed)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def percentiles(values: Array, level: float) -> tuple[Array, Array]:
    """Percentile interval over the first axis of (B, ...); draws in which the value is undefined (NaN) are left out.

    Returns:
        Low and high (...), NaN where no draw gave a value.
    """
    tail = (1 - level) / 2
    flat = values.reshape(len(values), -1)
    limits = np.full((2, flat.shape[1]), np.nan)
    for column, drawn in enumerate(flat.T):
        defined = drawn[~np.isnan(drawn)]
        if len(defined):
            limits[:, column] = np.quantile(defined, [tail, 1 - tail])
    low, high = limits.reshape(2, *values.shape[1:])
    return low, high


def bootstrap_estimate(value: float, drawn: Array, n: int, level: float = 0.95) -> Estimate:
    """A value with the percentile interval of its bootstrap distribution (B,)."""
    low, high = percentiles(drawn, level)
    return Estimate(float(value), float(low), float(high), n, f"bootstrap, {len(drawn)} draws, percentiles")


def bootstrap_comparison(value: float, drawn: Array, n: int, level: float = 0.95) -> Comparison:
    """A difference with its percentile interval and its `p_value`."""
    return Comparison(bootstrap_estimate(value, drawn, n, level), p_value(drawn))


def p_value(drawn: Array) -> float:
    """Of no difference, two-sided: twice the share of drawn differences (B,) on the rarer side of zero, at most 1.

    Observed and draws are counted together, so that p is never 0 (Davison & Hinkley 1997, section 4.2). Draws that
    are NaN are left out.
    """
    defined = drawn[~np.isnan(drawn)]
    rarer = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (rarer + 1) / (len(defined) + 1))


def multiplicities(rng: np.random.Generator, units: int, repeats: int, at_once: int) -> Iterator[Floats]:
    """How often each unit is drawn, `units` times with replacement: (B, units) in blocks, `repeats` draws in all.

    Args:
        rng: seeded; equal seeds give equal draws, whatever the blocks.
        units: drawn from.
        repeats: draws in all.
        at_once: B is at most that, which bounds the memory.
    """
    for start in range(0, repeats, at_once):
        size = min(at_once, repeats - start)
        drawn = rng.integers(0, units, (size, units))
        drawn += np.arange(size)[:, None] * units
        yield np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units).astype(np.float64)


def _draws(rows: int, repeats: int, groups: Array | None, seed: int) -> Iterator[Array]:
    """Weights (B, rows) in blocks."""
    rng = stream("classification.metrics.estimates.bootstrap", seed)
    member = np.arange(rows) if groups is None else np.unique(groups, return_inverse=True)[1]
    for counts in multiplicities(rng, int(member.max()) + 1, repeats, max(1, BLOCK // rows)):
        yield counts if groups is None else counts[:, member]
