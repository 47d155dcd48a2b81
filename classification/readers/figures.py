"""How well a model of readers meets those of nodules that it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from classification.network import RATING_SCALES
from classification.readers.examples import Floats, Rated
from classification.training.figures import auc_figure

Bools = npt.NDArray[np.bool_]


def sides(rated: Rated) -> dict[str, tuple[Bools, Bools]]:
    """Which nodules count, and which of them are suspicious, (N,) each, by what is taken for the readers' answer.

    `voted`: their most frequent rating, the lowest of several, 4-5 against 1-2. `median`: above against below 3.
    `mean`: above 3.5 against below 2.5.
    """
    mean = rated.mean("malignancy")
    median = np.array([np.median(v["malignancy"]) for v in rated.votes])
    return {
        "voted": (rated.voted != 3, rated.voted > 3),
        "median": (median != 3, median > 3),
        "mean": ((mean > 3.5) | (mean < 2.5), mean > 3.5),
    }


def suspicion_figures(rated: Rated, scores: dict[str, Floats], repeats: int) -> dict[str, Any]:
    """AUC of each score for each of `sides`, with 95 % intervals by patient."""
    return {
        name: auc_figure(label[counts], {k: s[counts] for k, s in scores.items()}, rated.patients[counts], repeats)
        for name, (counts, label) in sides(rated).items()
    }


def rating_figures(rated: Rated, ratings: Floats) -> dict[str, dict[str, float]]:
    """Rank correlation of each rating with the readers' mean, beside that of a reader with the others' mean.

    Args:
        rated: N nodules.
        ratings: (N, 8) in the order of `RATING_SCALES`.
    """
    found = {}
    for column, name in enumerate(RATING_SCALES):
        model = spearmanr(ratings[:, column], rated.mean(name)).statistic
        found[name] = {"model": round(float(model), 3), "reader": round(agreement(rated, name), 3)}
    return found


def agreement(rated: Rated, name: str) -> float:
    """Rank correlation of each reader's rating with the mean of the nodule's others, of which there must be two."""
    one, rest = [], []
    for votes in rated.votes:
        said = votes[name]
        for i in range(len(said) if len(said) > 2 else 0):
            one.append(said[i])
            rest.append(float(np.mean([*said[:i], *said[i + 1 :]])))
    return float(spearmanr(one, rest).statistic)
