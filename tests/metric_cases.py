"""Cohorts for the metrics: six patients for a pencil, and as many as you like that are calibrated."""

from __future__ import annotations

import numpy as np

from classification.metrics.estimates import (
    MetricSettings,
    metric_points,
)

#                     a    b    c    d    e    f
CANCER = np.array([1, 1, 1, 0, 0, 0], bool)
CHANCE = np.array([0.9, 0.6, 0.3, 0.6, 0.2, 0.1])
FEW = 50


def points(label: np.ndarray, chance: np.ndarray, **choices: object) -> dict[str, float]:
    return metric_points(np.asarray(label, bool), np.asarray(chance, float), MetricSettings(**choices))  # type: ignore[arg-type]


def cohort(n: int, seed: int = 0, grain: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated by construction; with a grain, many ties."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(0.7, 2, n)
    chance = np.round(chance / grain) * grain if grain else chance
    return rng.random(n) < chance, np.clip(chance, 0, 1)
