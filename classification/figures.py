"""What training reports on held-out patients: areas under the ROC curve with patient-bootstrap intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

Array = npt.NDArray[Any]


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
    figure: dict[str, Any] = {
        "n": len(label),
        "positive": int(label.sum()),
        "patients": len(np.unique(groups)),
    }
    if not 0 < label.sum() < len(label):
        return figure
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    draws: dict[str, list[float]] = {name: [] for name in scores}
    for _ in range(repeats):
        where = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        if 0 < label[where].sum() < len(where):
            for name, score in scores.items():
                draws[name].append(float(roc_auc_score(label[where], score[where])))
    for name, score in scores.items():
        low, high = np.percentile(draws[name], [2.5, 97.5]) if draws[name] else (np.nan, np.nan)
        values = {"auc": float(roc_auc_score(label, score)), "low": float(low), "high": float(high)}
        figure[name] = {k: round(v, 4) for k, v in values.items()}
    return figure
