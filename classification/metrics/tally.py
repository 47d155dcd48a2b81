"""Every metric of a list of scores from one tally, for one sample or for thousands of resamples at once.

A tally counts the positives and the negatives at each distinct score; nothing else enters any metric here. Rows that
share a score are always called positive together, so ties need no rule of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from runs.bootstrap import Array, Floats

# Of a count, so that 0.95 * 20 = 19.000000000000004 does not ask for 20.
ROUNDING = 1e-6

Count = TypeVar("Count", int, Floats)
Integers = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Counts at K distinct scores in B resamples.

    Attributes:
        score: (K,) descending.
        positive: (B, K) positives with that score.
        negative: (B, K) negatives with that score.
        found: (B, K + 1) positives among the k highest scores; begins with 0.
        alarms: (B, K + 1) negatives among the k highest scores; begins with 0.
    """

    score: Floats
    positive: Floats
    negative: Floats
    found: Floats
    alarms: Floats

    @staticmethod
    def of(label: Array, score: Floats, weights: Floats | None = None) -> Tally:
        """The tally of `label` (n,) bool and `score` (n,); weights (B, n) count the rows, None: each once (B = 1)."""
        distinct, place = np.unique(-score, return_inverse=True)
        order = np.argsort(place, kind="stable")
        starts = np.searchsorted(place[order], np.arange(len(distinct)))
        counts = np.ones((1, len(label))) if weights is None else weights
        counts = counts[:, order]
        positive, negative = (np.add.reduceat(counts * of, starts, axis=1) for of in (label[order], ~label[order]))
        found, alarms = (np.pad(c.cumsum(axis=1), ((0, 0), (1, 0))) for c in (positive, negative))
        return Tally(-distinct, positive, negative, found, alarms)

    @property
    def positives(self) -> Floats:
        """(B,)"""
        return self.found[:, -1]

    @property
    def negatives(self) -> Floats:
        """(B,)"""
        return self.alarms[:, -1]

    def called(self, thresholds: Floats | float) -> Integers:
        """How many of the K scores reach each threshold: the column of `found` and `alarms` that belongs to it."""
        return np.searchsorted(-self.score, -np.atleast_1d(thresholds), side="right")


def ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole, NaN where the whole is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    share: Floats = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return share


def roc_auc(tally: Tally) -> Floats:
    """(B,) share of pairs, one positive and one negative, in which the positive scores higher; ties count half."""
    pairs = (tally.negative * (tally.found[:, :-1] + tally.positive / 2)).sum(axis=1)
    return ratio(pairs, tally.positives * tally.negatives)


def average_precision(tally: Tally) -> Floats:
    """(B,) mean over the positives of the precision at their score, without interpolation (as scikit-learn)."""
    precision = ratio(tally.found[:, 1:], tally.found[:, 1:] + tally.alarms[:, 1:])
    return ratio((tally.positive * np.nan_to_num(precision)).sum(axis=1), tally.positives)


def log_loss(tally: Tally, clip: float) -> Floats:
    """(B,) mean of -log of the probability given to what happened; scores are clipped to [clip, 1 - clip]."""
    p = np.clip(tally.score, clip, 1 - clip)
    return -(tally.positive @ np.log(p) + tally.negative @ np.log1p(-p)) / (tally.positives + tally.negatives)


def brier(tally: Tally) -> Floats:
    """(B,) mean squared difference of probability and label."""
    squares = tally.positive @ (1 - tally.score) ** 2 + tally.negative @ tally.score**2
    return squares / (tally.positives + tally.negatives)


def confusion(tally: Tally, threshold: float) -> dict[str, Floats]:
    """tp, fp, fn, tn (B,) of calling every score of at least `threshold` positive."""
    column = int(tally.called(threshold)[0])
    tp, fp = tally.found[:, column], tally.alarms[:, column]
    return {"tp": tp, "fp": fp, "fn": tally.positives - tp, "tn": tally.negatives - fp}


def proportions(tp: Count, fp: Count, fn: Count, tn: Count) -> dict[str, tuple[Count, Count]]:
    """Each proportion of the confusion matrix as its numerator and denominator; numbers or arrays."""
    return {
        "accuracy": (tp + tn, tp + fp + fn + tn),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "negative_predictive_value": (tn, tn + fn),
    }


def sensitivity_at(tally: Tally, specificities: Floats) -> Floats:
    """(B, T) the highest sensitivity among thresholds whose specificity is at least each of T; not interpolated."""
    allowed = (1 - specificities) * tally.negatives[:, None] + ROUNDING
    return ratio(_at(tally.found, _count_rows(tally.alarms, allowed, "right") - 1), tally.positives[:, None])


def specificity_at(tally: Tally, sensitivities: Floats) -> Floats:
    """(B, T) the highest specificity among thresholds whose sensitivity is at least each of T; not interpolated."""
    needed = sensitivities * tally.positives[:, None] - ROUNDING
    specificity = 1 - ratio(_at(tally.alarms, _count_rows(tally.found, needed, "left")), tally.negatives[:, None])
    return np.where(tally.positives[:, None] > 0, specificity, np.nan)


def cutoff_for_specificity(tally: Tally, specificity: float) -> float:
    """The threshold behind `sensitivity_at` of a single sample; inf: nobody may be called positive."""
    allowed = (1 - specificity) * tally.negatives[:, None] + ROUNDING
    return _score_before(tally, int(_count_rows(tally.alarms, allowed, "right")[0, 0]) - 1)


def cutoff_for_sensitivity(tally: Tally, sensitivity: float) -> float:
    """The threshold behind `specificity_at` of a single sample."""
    needed = sensitivity * tally.positives[:, None] - ROUNDING
    return _score_before(tally, int(_count_rows(tally.found, needed, "left")[0, 0]))


def precision_at(tally: Tally, sensitivities: Floats) -> Floats:
    """(B, T) precision at the highest threshold whose sensitivity is at least each of T (above 0)."""
    needed = sensitivities * tally.positives[:, None] - ROUNDING
    column = _count_rows(tally.found, needed, "left")
    found = _at(tally.found, column)
    return ratio(found, found + _at(tally.alarms, column))


def net_benefit(tally: Tally, thresholds: Floats) -> Floats:
    """(B, T) TP / n - FP / n * t / (1 - t): true positives, each false one charged at the odds of the threshold.

    Vickers & Elkin 2006 (Med Decis Making 26:565); scores of at least t are treated; t in [0, 1).
    """
    column = tally.called(thresholds)
    n = (tally.positives + tally.negatives)[:, None]
    return (tally.found[:, column] - tally.alarms[:, column] * thresholds / (1 - thresholds)) / n


def net_benefit_of_all(tally: Tally, thresholds: Floats) -> Floats:
    """(B, T) the net benefit of treating everyone; treating nobody has 0."""
    n = (tally.positives + tally.negatives)[:, None]
    return (tally.positives[:, None] - tally.negatives[:, None] * thresholds / (1 - thresholds)) / n


def _score_before(tally: Tally, column: int) -> float:
    return float(tally.score[column - 1]) if column else math.inf


def _count_rows(rising: Floats, limits: Floats, side: Literal["left", "right"]) -> Integers:
    """`np.searchsorted` in each row of (B, K), whose rows rise from 0, for limits (B, T)."""
    # One search over all rows laid end to end, each lifted above the one before.
    row = np.arange(len(rising))[:, None]
    lift = row * (rising.max() + 2)
    flat = np.searchsorted((rising + lift).ravel(), (np.clip(limits, 0, None) + lift).ravel(), side=side)
    columns: Integers = flat.reshape(limits.shape) - row * rising.shape[1]
    return columns


def _at(values: Floats, columns: Integers) -> Floats:
    return np.take_along_axis(values, columns, axis=1)
