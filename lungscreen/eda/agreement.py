"""How far readers agree who rated the same nodules.

Krippendorff's alpha takes any number of readers and any gaps: 1 - observed over expected disagreement, 1 perfect,
0 what chance gives (Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runs.bootstrap import Array, Estimate, bootstrap_estimate, resample

# Ratings that are kinds, not grades.
NOMINAL = ("internalStructure", "calcification")


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of one rating.

    Attributes:
        name: of the rating.
        alpha: Krippendorff's, ordinal for grades and nominal for kinds; its n counts nodules with two readers or more.
        scale: ordinal or nominal.
        same: share of pairs of readers that gave the same.
        near: share of pairs within one step; NaN for kinds.
        pairs: how many pairs of readers.
    """

    name: str
    alpha: Estimate
    scale: str
    same: float
    near: float
    pairs: int


def agreement(
    name: str, units: Sequence[Sequence[float]], patients: Sequence[str], draws: int, level: float
) -> Agreement | None:
    """Agreement on one rating; None where no nodule has two readers.

    Args:
        name: of the rating.
        units: for each nodule what its readers gave.
        patients: whose nodule each is; the bootstrap draws patients.
        draws: of the bootstrap.
        level: of the interval.
    """
    kept = [k for k, unit in enumerate(units) if len(unit) > 1]
    if not kept:
        return None
    values = sorted({value for k in kept for value in units[k]})
    scale = "nominal" if name in NOMINAL else "ordinal"
    tables = np.stack([coincidences(units[k], values) for k in kept])
    groups = np.array([patients[k] for k in kept])

    def drawn(weights: Array) -> dict[str, Array]:
        summed = np.tensordot(np.asarray(weights, dtype=np.float64), tables, axes=1)
        return {"alpha": np.array([alpha(table, scale) for table in summed])}

    value = alpha(tables.sum(axis=0), scale)
    found = resample(drawn, len(kept), draws, groups, seed=0)["alpha"]
    pairs = [abs(a - b) for k in kept for i, a in enumerate(units[k]) for b in units[k][i + 1 :]]
    same, near = float(np.mean([d == 0 for d in pairs])), float(np.mean([d <= 1 for d in pairs]))
    estimate = bootstrap_estimate(value, found, len(kept), level)
    return Agreement(name, estimate, scale, same, math.nan if scale == "nominal" else near, len(pairs))


def coincidences(unit: Sequence[float], values: Sequence[float]) -> Array:
    """(k, k) ordered pairs of different readers of one unit, over the number of its readers less one."""
    counts = np.array([sum(v == value for v in unit) for value in values], dtype=np.float64)
    return np.asarray((np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1))


def alpha(table: Array, scale: str) -> float:
    """Of summed coincidences (k, k); NaN where all values are the same, for chance then agrees as well.

    Args:
        table: symmetric, values in ascending order.
        scale: nominal, ordinal or interval (whole steps).
    """
    totals = table.sum(axis=1)
    n = totals.sum()
    distance = squared_distances(totals, scale)
    expected = (np.outer(totals, totals) * distance).sum() / (n - 1) if n > 1 else 0.0
    observed = (table * distance).sum()
    return float(1 - observed / expected) if expected > 0 else math.nan


def squared_distances(totals: Array, scale: str) -> Array:
    """(k, k) squared differences; the ordinal ones count the values that lie between, half of the two themselves."""
    k = len(totals)
    if scale == "nominal":
        return 1.0 - np.eye(k)
    if scale == "interval":
        return np.asarray(np.subtract.outer(np.arange(k), np.arange(k)) ** 2.0)
    if scale != "ordinal":
        raise ValueError(f"scale must be nominal, ordinal or interval; got {scale}")
    # Sum from a to b less half of both ends, as a difference of running sums.
    middle = np.cumsum(totals) - totals / 2
    return np.asarray(np.subtract.outer(middle, middle) ** 2)
