"""Thresholds for use: what each finds and what it spares, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from classification.metrics import tally as counts
from classification.metrics.estimates import MetricSettings
from classification.metrics.tally import Tally
from runs.bootstrap import Array, Estimate, Floats, bootstrap_estimate, clopper_pearson, resample


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold and what calling every probability of at least it positive does.

    Attributes:
        rule: what it was chosen for.
        threshold: on the calibrated probability; inf: nobody is called positive.
        sensitivity: with its interval at this threshold.
        specificity: the same.
    """

    rule: str
    threshold: float
    sensitivity: Estimate
    specificity: Estimate


def operating_points(
    label: Array, probability: Floats, settings: MetricSettings, groups: Array | None = None
) -> tuple[OperatingPoint, ...]:
    """The points of `settings`: the lowest threshold with each specificity, the highest with each sensitivity.

    Intervals are exact binomial ones or, of rows in groups, those of the bootstrap that draws groups; that the
    threshold was chosen on the same patients is not in them.

    Args:
        label: (n,) bool, both classes present.
        probability: (n,).
        settings: targets, level, draws.
        groups: (n,) or None.
    """
    sample = Tally.of(label, probability)
    rules = {f"specificity at least {s:g}": counts.cutoff_for_specificity(sample, s) for s in settings.specificities}
    rules |= {f"sensitivity at least {s:g}": counts.cutoff_for_sensitivity(sample, s) for s in settings.sensitivities}
    drawn = {} if groups is None else _drawn(label, probability, list(rules.values()), settings, groups)
    points = []
    for rule, threshold in rules.items():
        cells = {name: int(count[0]) for name, count in counts.confusion(sample, threshold).items()}
        shares = {"sensitivity": (cells["tp"], int(label.sum())), "specificity": (cells["tn"], int((~label).sum()))}
        known = {
            name: clopper_pearson(hits, of, settings.level)
            if groups is None
            else bootstrap_estimate(hits / of, drawn[f"{name} {threshold}"], of, settings.level)
            for name, (hits, of) in shares.items()
        }
        points.append(OperatingPoint(rule, threshold, **known))
    return tuple(points)


def _drawn(
    label: Array, probability: Floats, thresholds: list[float], settings: MetricSettings, groups: Array
) -> dict[str, Array]:
    def statistic(weights: Array) -> Mapping[str, Array]:
        tally = Tally.of(label, probability, weights)
        found = {}
        for threshold in thresholds:
            cells = counts.confusion(tally, threshold)
            found[f"sensitivity {threshold}"] = counts.ratio(cells["tp"], tally.positives)
            found[f"specificity {threshold}"] = counts.ratio(cells["tn"], tally.negatives)
        return found

    return resample(statistic, len(label), settings.bootstrap, groups, settings.seed)


def line(point: OperatingPoint) -> str:
    """One point in a line."""
    at = "nobody" if math.isinf(point.threshold) else f"{point.threshold:.4f}"
    sensitivity, specificity = (
        f"{e.value:.3f} ({e.low:.3f} to {e.high:.3f})" for e in (point.sensitivity, point.specificity)
    )
    return f"{point.rule:27} {at:>8}  {sensitivity:>26} {specificity:>26}"
