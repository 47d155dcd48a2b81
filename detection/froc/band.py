"""The organisers' bootstrap of a FROC curve: whole scans drawn with replacement, all draws in one matrix product.

A draw is a vector of multiplicities, and a curve is counts by scan and threshold. Equal seeds give equal draws, which
pairs two submissions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from detection.froc.matching import FloatArray, IntArray
from runs.bootstrap import multiplicities
from runs.seeds import stream

# Where bands are kept: sixteen steps an octave from 1/8 to 8, so that every sixteenth is one of the seven rates.
STEPS = 16
GRID = 2.0 ** np.linspace(-3, 3, 6 * STEPS + 1)
CONFIDENCE = 0.95
# Draws computed at once: bounds the memory.
CHUNK = 250


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """What the bootstrap says; pointwise 95 % order statistics, as in the organisers' script.

    Attributes:
        rates: (97,) false positives a scan, 1/8 to 8; every sixteenth is one of the seven rates.
        mean: (97,) mean sensitivity of the draws.
        low: (97,) lower bound.
        high: (97,) upper bound.
        cpm_draws: (B,) CPM of each draw; NaN where no nodule was drawn.
        seed: of the draws.
    """

    rates: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    cpm_draws: FloatArray
    seed: int

    @property
    def at_rates(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bound at the seven rates, (7,) each."""
        return self.low[::STEPS], self.high[::STEPS]

    @property
    def cpm_band(self) -> tuple[float, float]:
        """Means of the seven lower and of the seven upper bounds: the band quoted around published CPMs."""
        low, high = self.at_rates
        return float(low.mean()), float(high.mean())

    @property
    def cpm_interval(self) -> tuple[float, float]:
        """95 % of the draws' CPMs; narrower than `cpm_band`, as the seven rates do not fail all at once."""
        low, high = interval(self.cpm_draws)
        return float(low), float(high)


def interval(draws: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The organisers' 95 % bounds of draws (B, ...) along the first axis; draws that are NaN are left out.

    With n draws in order, counted from 0: number floor(.025 n) and number floor(.975 n).
    """
    finite = np.isfinite(draws.reshape(len(draws), -1)[:, 0])
    ordered = np.sort(draws[finite], axis=0)
    if not len(ordered):
        return np.full(draws.shape[1:], np.nan), np.full(draws.shape[1:], np.nan)
    tail = (1 - CONFIDENCE) / 2
    return ordered[int(tail * len(ordered))], ordered[int((1 - tail) * len(ordered))]


def curves(weights: FloatArray, counts: sparse.csr_array) -> FloatArray:
    """(B, K): marks at or above each threshold when scan s is there `weights[b, s]` times.

    Args:
        weights: (B, n_scans).
        counts: (n_scans, K), how many of the marks of a scan each threshold adds.
    """
    return np.cumsum(weights @ counts, axis=1)


def bands(
    false: sparse.csr_array,
    found: Mapping[str, sparse.csr_array],
    nodules: Mapping[str, IntArray],
    bootstraps: int,
    seed: int,
) -> dict[str, Band]:
    """The band of each group of nodules, all on the same draws.

    Args:
        false: (n_scans, K) false positives each threshold adds.
        found: by group, (n_scans, K) nodules each threshold adds.
        nodules: by group, (n_scans,) nodules there are.
        bootstraps: draws.
        seed: of the draws.
    """
    n_scans = false.shape[0]
    rng = stream("detection.froc.curve.bootstrap", seed)
    draws: dict[str, list[FloatArray]] = {name: [] for name in found}
    for weights in multiplicities(rng, n_scans, bootstraps, CHUNK):
        fps = curves(weights, false) / n_scans
        for name, of_group in found.items():
            rows = zip(fps, curves(weights, of_group), weights @ nodules[name], strict=True)
            draws[name] += [np.interp(GRID, x, y / n) if n else np.full(len(GRID), np.nan) for x, y, n in rows]
    return {name: _band(np.array(of_group), seed) for name, of_group in draws.items()}


def _band(draws: FloatArray, seed: int) -> Band:
    low, high = interval(draws)
    finite = draws[np.isfinite(draws[:, 0])]
    mean = finite.mean(axis=0) if len(finite) else low
    return Band(GRID, mean, low, high, draws[:, ::STEPS].mean(axis=1), seed)
