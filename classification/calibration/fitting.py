"""Maps fitted to patients, and what they say of patients they have not seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from classification.calibration.maps import LogitLine, Map, Steps, logits
from runs.bootstrap import Array, Floats
from runs.entry import UsageError
from runs.seeds import seed_of


def temperature(probability: Floats, label: Array) -> LogitLine:
    """logit(p) / T by maximum likelihood."""
    fitted = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-8).fit(logits(probability)[:, None], label)
    return LogitLine(float(fitted.coef_[0, 0]))


def platt(probability: Floats, label: Array) -> LogitLine:
    """Slope and intercept on the logit by maximum likelihood, the labels as they are."""
    fitted = LogisticRegression(C=np.inf, tol=1e-8).fit(logits(probability)[:, None], label)
    return LogitLine(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]))


def isotonic(probability: Floats, label: Array) -> Steps:
    """The rising steps nearest to the labels, none closer to certainty than 1 / (n + 2): n patients show no more."""
    least = 1 / (len(label) + 2)
    fitted = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip").fit(probability, label)
    return Steps(tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist()))


def nothing(probability: Floats, label: Array) -> LogitLine:
    """No map; for a change of the prevalence alone."""
    return LogitLine()


METHODS: dict[str, Callable[[Floats, Array], Map]] = {
    "temperature": temperature,
    "platt": platt,
    "isotonic": isotonic,
    "none": nothing,
}


def fit_map(method: str, probability: Floats, label: Array) -> Map:
    """The map of a method, fitted to all.

    Raises:
        UsageError: the probabilities rank patients the wrong way round.
    """
    found = METHODS[method](probability, label)
    if isinstance(found, LogitLine) and found.slope <= 0:
        raise UsageError(
            f"method={method} needs probabilities that rise with the labels; the slope on the logit is "
            f"{found.slope:.3g}: is it the probability of the other class?"
        )
    return found


def cross_fitted(
    method: str, probability: Floats, label: Array, groups: Array | None, folds: int, seed: int
) -> Floats:
    """(n,) each patient's probability by a map fitted to the other folds, whole groups in one fold.

    Raises:
        UsageError: too few groups of a class.
    """
    member = np.arange(len(label)) if groups is None else np.unique(groups, return_inverse=True)[1]
    counts = [len(np.unique(member[label == value])) for value in (True, False)]
    if min(counts) < folds:
        raise UsageError(
            f"cross-fitting in folds={folds} needs as many patients of each class; there are {counts[0]} with cancer "
            f"and {counts[1]} without"
        )
    split = StratifiedGroupKFold(
        folds, shuffle=True, random_state=seed_of("classification.calibration", seed, bits=32)
    )
    said = np.empty(len(label))
    for others, own in split.split(probability[:, None], label, member):
        said[own] = METHODS[method](probability[others], label[others])(probability[own])
    return said
