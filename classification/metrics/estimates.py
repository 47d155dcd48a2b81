"""How good are patient probabilities? Discrimination, calibration and use, every figure with its interval.

Pure functions on arrays: `label` (n,) bool, `probability` (n,) in [0, 1]. Points come from scikit-learn where it has
the metric, intervals from DeLong, from the exact binomial law or from one bootstrap that serves all metrics.
`python -m classification.evaluate` is the same on files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, brier_score_loss, confusion_matrix, f1_score, roc_auc_score
from sklearn.metrics import log_loss as log_loss_score

from classification.metrics import tally as counts
from classification.metrics.curves import Curve, curve_bands, curves
from classification.metrics.delong import auc_delong, compare_auc_delong
from classification.metrics.guards import checked_labels, checked_probabilities
from classification.metrics.reliability import (
    ReliabilityBin,
    bin_edges,
    calibration_error,
    error_by_chance,
    observed_frequency,
    reliability_bins,
)
from classification.metrics.tally import Tally
from runs.bootstrap import (
    Array,
    Comparison,
    Estimate,
    bootstrap_comparison,
    bootstrap_estimate,
    clopper_pearson,
    resample,
)
from runs.entry import UsageError


@dataclass(frozen=True)
class MetricSettings:
    """The choices behind the figures; all of them are written beside the figures.

    Attributes:
        threshold: a probability of at least this is called positive.
        specificities: at which the sensitivity is read.
        sensitivities: at which the specificity is read.
        bins: of the calibration error and the reliability plot.
        binning: `equal_width` on [0, 1], or `equal_mass` (equally many patients in each).
        clip: log-loss takes probabilities within [clip, 1 - clip]. 1e-15 is Kaggle's, stated on the page of its first
            Data Science Bowl: p becomes max(min(p, 1 - 1e-15), 1e-15).
        level: of all intervals.
        bootstrap: draws.
        seed: of the draws.
    """

    threshold: float = 0.5
    specificities: tuple[float, ...] = (0.9, 0.95)
    sensitivities: tuple[float, ...] = (0.9, 0.95)
    bins: int = 10
    binning: str = "equal_width"
    clip: float = 1e-15
    level: float = 0.95
    bootstrap: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what would give a figure without a meaning.

        Raises:
            UsageError: naming the setting.
        """
        inside = {"threshold": (self.threshold,), "specificities": self.specificities, "level": (self.level,)}
        for name, values in {**inside, "sensitivities": self.sensitivities}.items():
            if not all(0 < v < 1 or (v == 1 and name != "level") for v in values):
                raise UsageError(f"{name} must lie in (0, 1], the level below 1; got {', '.join(map(str, values))}")
        if not 0 < self.clip < 0.5 or self.bootstrap < 1:
            raise UsageError(f"expected clip in (0, .5) and bootstrap >= 1, got {self.clip} and {self.bootstrap}")


@dataclass(frozen=True, slots=True, eq=False)
class PatientMetrics:
    """All figures of one prediction.

    Attributes:
        n: rows.
        positive: rows with cancer.
        groups: how many groups the bootstrap drew from, or None: from the rows.
        estimates: by name; `roc_auc` has DeLong's interval, `roc_auc_bootstrap` the other.
        confusion: tp, fp, fn, tn at the threshold, as counts out of n.
        cutoffs: the threshold behind each `sensitivity_at...`, `specificity_at...`; inf: nobody is called positive.
        reliability: bins, lowest first.
        roc: sensitivity over 1 - specificity.
        precision_recall: precision over recall.
        decision: net benefit over the threshold of treatment.
        treat_all: (T,) net benefit of treating everyone, at the same thresholds; of treating nobody it is 0.
        settings: that made them.
    """

    n: int
    positive: int
    groups: int | None
    estimates: dict[str, Estimate]
    confusion: dict[str, Estimate]
    cutoffs: dict[str, float]
    reliability: tuple[ReliabilityBin, ...]
    roc: Curve
    precision_recall: Curve
    decision: Curve
    treat_all: Array
    settings: MetricSettings


def patient_metrics(
    label: Array, probability: Array, settings: MetricSettings | None = None, groups: Array | None = None
) -> PatientMetrics:
    """Every figure of one prediction, all bootstrap intervals on the same draws.

    Args:
        label: (n,) 0 or 1.
        probability: (n,) in [0, 1].
        settings: None: the defaults.
        groups: (n,) the same label for rows that belong together (scans of a patient): DeLong's interval is then the
            clustered one, and the bootstrap draws groups and replaces the binomial intervals, which want independent
            rows.

    Raises:
        GuardError: labels or probabilities that are none, or a single class.
        ValueError: not one probability for each label.
    """
    settings = settings or MetricSettings()
    label, probability = _checked(label, probability)
    edges = bin_edges(probability, settings.bins, settings.binning)
    sample = Tally.of(label, probability)

    def statistic(weights: Array) -> Mapping[str, Array]:
        tally = Tally.of(label, probability, weights)
        figures = tally_points(tally, edges, settings) | curve_bands(tally)
        if groups is not None:
            figures |= counts.confusion(tally, settings.threshold) | {"observed": observed_frequency(tally, edges)}
        return figures

    n, level = len(label), settings.level
    drawn = resample(statistic, n, settings.bootstrap, groups, settings.seed)
    points = metric_points(label, probability, settings)
    estimates = {"roc_auc": auc_delong(label, probability, groups, level)}
    estimates |= {name: bootstrap_estimate(value, drawn[name], n, level) for name, value in points.items()}
    estimates["calibration_error_by_chance"] = error_by_chance(
        probability, edges, settings.bootstrap, level, settings.seed
    )
    cells = _cells(label, probability, settings.threshold)
    if groups is None:
        parts = counts.proportions(**cells)
        estimates |= {name: clopper_pearson(hits, of, level) for name, (hits, of) in parts.items()}
        confusion = {name: _count(clopper_pearson(k, n, level)) for name, k in cells.items()}
    else:
        confusion = {name: bootstrap_estimate(k, drawn[name], n, level) for name, k in cells.items()}
    return PatientMetrics(
        n=n,
        positive=int(label.sum()),
        groups=None if groups is None else len(np.unique(groups)),
        estimates=estimates,
        confusion=confusion,
        cutoffs=_cutoffs(sample, settings),
        reliability=reliability_bins(sample, edges, level, None if groups is None else drawn["observed"]),
        **curves(sample, drawn, level),
        settings=settings,
    )


def compare(
    label: Array,
    probability: Array,
    other: Array,
    settings: MetricSettings | None = None,
    groups: Array | None = None,
) -> dict[str, Comparison]:
    """`probability` minus `other` (n,) on the same rows, by metric: `roc_auc` after DeLong, the rest paired bootstrap.

    Args and raises: as `patient_metrics`.
    """
    settings = settings or MetricSettings()
    label, *both = _checked(label, probability, other)
    edges = [bin_edges(p, settings.bins, settings.binning) for p in both]

    def statistic(weights: Array) -> Mapping[str, Array]:
        tallies = [Tally.of(label, p, weights) for p in both]
        first, second = (tally_points(t, e, settings) for t, e in zip(tallies, edges, strict=True))
        return {name: first[name] - second[name] for name in first}

    drawn = resample(statistic, len(label), settings.bootstrap, groups, settings.seed)
    first, second = (metric_points(label, p, settings) for p in both)
    compared = {"roc_auc": compare_auc_delong(label, both[0], both[1], groups, settings.level)}
    for name in first:
        difference = first[name] - second[name]
        compared[name] = bootstrap_comparison(difference, drawn[name], len(label), settings.level)
    return compared


def auc_bootstrap(
    label: Array,
    scores: Mapping[str, Array],
    repeats: int = 2000,
    groups: Array | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Estimate]:
    """ROC AUC of several scores (n,) on any scale, with bootstrap intervals from the same draws.

    Raises:
        GuardError: labels that are none, or a single class.
    """
    label = checked_labels(label)

    def statistic(weights: Array) -> Mapping[str, Array]:
        return {name: counts.roc_auc(Tally.of(label, score, weights)) for name, score in scores.items()}

    drawn = resample(statistic, len(label), repeats, groups, seed)
    return {
        name: bootstrap_estimate(roc_auc_score(label, score), drawn[name], len(label), level)
        for name, score in scores.items()
    }


def metric_points(label: Array, probability: Array, settings: MetricSettings) -> dict[str, float]:
    """The metrics without intervals, by name; NaN where a figure is undefined."""
    sample = Tally.of(label, probability)
    own = tally_points(sample, bin_edges(probability, settings.bins, settings.binning), settings)
    clipped = np.clip(probability, settings.clip, 1 - settings.clip)
    return {name: float(value[0]) for name, value in own.items()} | {
        "roc_auc_bootstrap": float(roc_auc_score(label, probability)),
        "average_precision": float(average_precision_score(label, probability)),
        "log_loss": float(log_loss_score(label, clipped)),
        "brier": float(brier_score_loss(label, probability)),
        "f1": float(f1_score(label, probability >= settings.threshold)),
    }


def tally_points(tally: Tally, edges: Array, settings: MetricSettings) -> dict[str, Array]:
    """`metric_points` of B resamples at once, (B,) by name: the same figures from a tally."""
    cells = counts.confusion(tally, settings.threshold)
    specificities, sensitivities = np.array(settings.specificities), np.array(settings.sensitivities)
    hits = counts.sensitivity_at(tally, specificities)
    passes = counts.specificity_at(tally, sensitivities)
    return {
        "roc_auc_bootstrap": counts.roc_auc(tally),
        "average_precision": counts.average_precision(tally),
        "log_loss": counts.log_loss(tally, settings.clip),
        "brier": counts.brier(tally),
        "expected_calibration_error": calibration_error(tally, edges),
        **{name: counts.ratio(*parts) for name, parts in counts.proportions(**cells).items()},
        "f1": counts.ratio(2 * cells["tp"], 2 * cells["tp"] + cells["fp"] + cells["fn"]),
        **{_at_specificity(s): hits[:, k] for k, s in enumerate(settings.specificities)},
        **{_at_sensitivity(s): passes[:, k] for k, s in enumerate(settings.sensitivities)},
    }


def _checked(label: Array, *probabilities: Array) -> list[Array]:
    checked = [checked_labels(label), *(checked_probabilities(p) for p in probabilities)]
    if len({a.shape for a in checked}) > 1 or checked[0].ndim != 1:
        raise ValueError(f"expected one probability for each label, got shapes {[a.shape for a in checked]}")
    return checked


def _cells(label: Array, probability: Array, threshold: float) -> dict[str, int]:
    tn, fp, fn, tp = confusion_matrix(label, probability >= threshold, labels=[False, True]).ravel().tolist()
    return {"tp": tp, "fp": fp, "fn": fn, "tn": tn}


def _count(share: Estimate) -> Estimate:
    n = share.n
    return Estimate(round(share.value * n), share.low * n, share.high * n, n, f"{share.method}, of the share")


def _cutoffs(sample: Tally, settings: MetricSettings) -> dict[str, float]:
    return {
        **{_at_specificity(s): counts.cutoff_for_specificity(sample, s) for s in settings.specificities},
        **{_at_sensitivity(s): counts.cutoff_for_sensitivity(sample, s) for s in settings.sensitivities},
    }


def _at_specificity(target: float) -> str:
    return f"sensitivity_at_specificity_{target:g}"


def _at_sensitivity(target: float) -> str:
    return f"specificity_at_sensitivity_{target:g}"
