"""How good the answers on slices are: per class, with intervals over groups, beside a nearest neighbour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from classification.slices.files import CLASSES
from runs.bootstrap import bootstrap_estimate, resample

Array = npt.NDArray[Any]


def figures_of(label: Array, predicted: Array, groups: Array | None, repeats: int) -> dict[str, Any]:
    """Accuracy and macro-F1 with 95 % intervals, per-class figures and the confusion matrix.

    Args:
        label: (N,) indices into `CLASSES`.
        predicted: (N,) likewise.
        groups: (N,) which slices are drawn together; None: each is its own.
        repeats: draws of the bootstrap.
    """
    n, k = len(label), len(CLASSES)
    cells = np.zeros((n, k, k))
    cells[np.arange(n), label, predicted] = 1

    def statistic(weights: Array) -> Mapping[str, Array]:
        return _of_confusion(np.einsum("bn,nij->bij", weights.astype(float), cells))

    drawn = resample(statistic, n, repeats, groups)
    confusion = cells.sum(0)
    sample = _of_confusion(confusion[None])
    found: dict[str, Any] = {"n": n}
    for name in ("accuracy", "macro_f1"):
        estimate = bootstrap_estimate(float(sample[name][0]), drawn[name], n)
        found[name] = [round(v, 4) for v in (estimate.value, estimate.low, estimate.high)]
    per_class = per_class_of(confusion)
    return {**found, "per_class": per_class, "confusion": confusion.astype(int).tolist(), "classes": list(CLASSES)}


def per_class_of(confusion: Array) -> dict[str, dict[str, float]]:
    """Precision, recall (sensitivity), specificity and F1 of each class against the others, of (true, said) counts."""
    total, hits = confusion.sum(), np.diag(confusion)
    true, said = confusion.sum(1), confusion.sum(0)
    found = {}
    for i, name in enumerate(CLASSES):
        rest = total - true[i]
        values = {
            "precision": hits[i] / said[i] if said[i] else np.nan,
            "recall": hits[i] / true[i] if true[i] else np.nan,
            "specificity": (rest - said[i] + hits[i]) / rest if rest else np.nan,
            "f1": 2 * hits[i] / (true[i] + said[i]) if true[i] + said[i] else np.nan,
        }
        found[name] = {key: round(float(value), 4) for key, value in values.items()}
    return found


def _of_confusion(confusion: Array) -> dict[str, Array]:
    """Of counts (B, true, said); a class that is neither there nor said counts for no F1."""
    hits = np.einsum("bii->bi", confusion)
    both = confusion.sum(1) + confusion.sum(2)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = np.where(both > 0, 2 * hits / both, np.nan)
        return {"accuracy": hits.sum(1) / confusion.sum((1, 2)), "macro_f1": np.nanmean(f1, 1)}
