"""The figures of a training that has ended, by which a sweep may judge it."""

from __future__ import annotations

from pathlib import Path

from runs.training.curve_plot import read_curve, smoothed
from runs.training.run_folder import CURVES

# What a validation logs is no noisy loss: its best value is that of the weights that were kept.
VALIDATION = "validation_"


def figures_of(out: Path) -> dict[str, float]:
    """The end of every loss's smoothed curve, their sum as `loss`, and the best of every `validation_...`.

    Args:
        out: of the training.
    """
    columns = read_curve(out / CURVES)[1] if (out / CURVES).is_file() else {}
    known = {name: [value for value in values if value == value] for name, values in columns.items()}
    losses = {n: smoothed(values)[-1] for n, values in known.items() if values and not n.startswith(VALIDATION)}
    best = {n: max(values) for n, values in known.items() if values and n.startswith(VALIDATION)}
    return {**losses, **({"loss": sum(losses.values())} if losses else {}), **best}
