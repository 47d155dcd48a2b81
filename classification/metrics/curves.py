"""Curves of a prediction with their bands: ROC, precision over recall, and net benefit over the threshold to treat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from classification.metrics import tally as counts
from classification.metrics.tally import Tally
from runs.bootstrap import Array, percentiles

# The places at which curves get their band.
GRID = np.linspace(0, 1, 101)
# From 1 the odds are infinite; from .99 on net benefit says nothing.
DECISION_THRESHOLDS = np.round(np.arange(1, 100) / 100, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A curve and its band.

    Attributes:
        x: (T,).
        y: (T,).
        band_x: (G,) where the band is known.
        low: (G,).
        high: (G,).
    """

    x: Array
    y: Array
    band_x: Array
    low: Array
    high: Array


def curve_bands(tally: Tally) -> dict[str, Array]:
    """The curves of B resamples at fixed places, (B, G) by name: what their bands are made of."""
    return {
        "roc": counts.sensitivity_at(tally, 1 - GRID),
        "precision_recall": counts.precision_at(tally, GRID[1:]),
        "decision": counts.net_benefit(tally, DECISION_THRESHOLDS),
    }


def curves(sample: Tally, drawn: Mapping[str, Array], level: float) -> dict[str, Any]:
    """The curves by name, and `treat_all`, as `PatientMetrics` holds them.

    Args:
        sample: one, B = 1.
        drawn: `curve_bands` of all resamples.
        level: of the bands.
    """
    found, alarms = sample.found[0], sample.alarms[0]
    band = partial(percentiles, level=level)
    recall, precision = found[1:] / found[-1], found[1:] / (found[1:] + alarms[1:])
    benefit = counts.net_benefit(sample, DECISION_THRESHOLDS)[0]
    return {
        "roc": Curve(alarms / alarms[-1], found / found[-1], GRID, *band(drawn["roc"])),
        "precision_recall": Curve(recall, precision, GRID[1:], *band(drawn["precision_recall"])),
        "decision": Curve(DECISION_THRESHOLDS, benefit, DECISION_THRESHOLDS, *band(drawn["decision"])),
        "treat_all": counts.net_benefit_of_all(sample, DECISION_THRESHOLDS)[0],
    }
