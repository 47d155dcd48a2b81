"""ROC areas of correlated predictions and their covariance: DeLong's method in linearithmic time.

DeLong, DeLong & Clarke-Pearson 1988 (Biometrics 44:837), computed from midranks after Sun & Xu 2014 (IEEE Signal
Processing Letters 21:1389). When rows come in groups (several scans of a patient) the rows of a group are not
independent, and the form for clustered data applies: Obuchowski 1997 (Biometrics 53:567). With one row a group the
two are the same.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from runs.bootstrap import Array, Comparison, Estimate

# Share of the single variances below which the variance of a difference is rounding.
ROUNDING = 1e-12


def auc_delong(label: Array, score: Array, groups: Array | None = None, level: float = 0.95) -> Estimate:
    """ROC AUC with its interval, area +- z * standard error within [0, 1].

    At an area of exactly 0 or 1 the estimated variance is 0 and the interval a point, whatever n; when a class has a
    single row (or group) nothing is known of its variance and the interval is [0, 1].

    Args:
        label: (n,) bool, both classes present.
        score: (n,) higher means more suspicious; any scale.
        groups: (n,) labels of rows that belong together, or None.
        level: of confidence.

    Raises:
        ValueError: only one class, or NaN among the scores.
    """
    areas, covariance = delong(label, score[None], groups)
    reach = _reach(float(covariance[0, 0]), level)
    low, high = (0.0, 1.0) if math.isnan(reach) else (max(0.0, areas[0] - reach), min(1.0, areas[0] + reach))
    return Estimate(float(areas[0]), float(low), float(high), len(label), _name(groups))


def compare_auc_delong(
    label: Array, score: Array, other: Array, groups: Array | None = None, level: float = 0.95
) -> Comparison:
    """Difference of two ROC areas on the same rows, its interval, and the two-sided test of no difference.

    Args and raises: as `auc_delong`, with `other` (n,) the scores compared with.
    """
    areas, covariance = delong(label, np.stack([score, other]), groups)
    value = float(areas[0] - areas[1])
    alone = float(covariance[0, 0] + covariance[1, 1])
    variance = alone - 2 * float(covariance[0, 1])
    if variance < ROUNDING * alone:  # two rankings that are the same
        variance = 0.0
    reach = _reach(variance, level)
    p_value = float(2 * stats.norm.sf(abs(value) / math.sqrt(variance))) if variance else _without_variance(value)
    return Comparison(Estimate(value, value - reach, value + reach, len(label), _name(groups)), p_value)


def delong(label: Array, scores: Array, groups: Array | None = None) -> tuple[Array, Array]:
    """Areas (k,) of scores (k, n) and their covariance (k, k), NaN when a class has a single member or group.

    Raises:
        ValueError: only one class, or scores that are no numbers.
    """
    label = np.asarray(label, dtype=bool)
    if np.isnan(scores).any():
        raise ValueError(f"expected scores, got {int(np.isnan(scores).sum())} NaN")
    n_positive, n_negative = int(label.sum()), int((~label).sum())
    if not n_positive or not n_negative:
        raise ValueError(f"an ROC curve needs both classes, got {n_positive} positive and {n_negative} negative rows")
    above, below = placements(label, scores)
    areas = above.mean(axis=1)
    # Each group's sum of placements around what the areas let expect of it (k, groups).
    member = np.arange(len(label)) if groups is None else np.unique(groups, return_inverse=True)[1]
    positive = _group_sums(above - areas[:, None], member[label], int(member.max()) + 1)
    negative = _group_sums(below - areas[:, None], member[~label], int(member.max()) + 1)
    s10 = positive @ positive.T * _correction(member[label]) / n_positive**2
    s01 = negative @ negative.T * _correction(member[~label]) / n_negative**2
    cross = positive @ negative.T * _correction(member) / (n_positive * n_negative)
    return areas, s10 + s01 + cross + cross.T


def placements(label: Array, scores: Array) -> tuple[Array, Array]:
    """Where each row stands in the other class, for scores (k, n); ties count half.

    Returns:
        (k, positives): share of negatives below each positive; (k, negatives): share of positives above each negative.
    """
    ranks, own, others = (stats.rankdata(s, axis=1) for s in (scores, scores[:, label], scores[:, ~label]))
    return (ranks[:, label] - own) / others.shape[1], 1 - (ranks[:, ~label] - others) / own.shape[1]


def _group_sums(values: Array, member: Array, groups: int) -> Array:
    return np.stack([np.bincount(member, row, groups) for row in values])


def _correction(member: Array) -> float:
    """Bessel's, of as many groups as have such rows."""
    groups = len(np.unique(member))
    return groups / (groups - 1) if groups > 1 else math.nan


def _reach(variance: float, level: float) -> float:
    # NaN stays NaN; the clustered form can fall below 0 by rounding.
    return float(stats.norm.ppf((1 + level) / 2) * np.sqrt(np.maximum(0.0, variance)))


def _without_variance(difference: float) -> float:
    return 1.0 if difference == 0 else math.nan


def _name(groups: Array | None) -> str:
    return "DeLong" if groups is None else "DeLong, clustered (Obuchowski)"
