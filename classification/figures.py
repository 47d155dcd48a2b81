"""What training reports on held-out patients, as a model card holds it."""

from __future__ import annotations

from typing import Any

import numpy as np

from classification.intervals import Array
from classification.metrics import auc_bootstrap


def auc_figure(label: Array, scores: dict[str, Array], groups: Array, repeats: int, seed: int = 0) -> dict[str, Any]:
    """AUC of each score with its 95 % interval, on the same bootstrap draws of whole groups (patients).

    Args:
        label: (N,) bool.
        scores: (N,) by name.
        groups: (N,) patient ids: nodules of a patient are drawn together.
        repeats: bootstrap draws.
        seed: of the draws.

    Returns:
        `n`, `positive`, `patients` and for each name `auc`, `low`, `high`; without both classes only the counts.
    """
    figure: dict[str, Any] = {"n": len(label), "positive": int(label.sum()), "patients": len(np.unique(groups))}
    if not 0 < label.sum() < len(label):
        return figure
    for name, estimate in auc_bootstrap(label, scores, repeats, groups, seed=seed).items():
        values = {"auc": estimate.value, "low": estimate.low, "high": estimate.high}
        figure[name] = {key: round(value, 4) for key, value in values.items()}
    return figure
