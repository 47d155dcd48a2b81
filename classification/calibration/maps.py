"""What a calibration does to a probability. Every map rises, or stays level, with its argument."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import expit, logit

from runs.bootstrap import Floats

# Probabilities of exactly 0 and 1 have no logit; `patients.csv` tells none from what is nearer than half a digit.
CLIP = 5e-7


class Map(Protocol):
    """One probability to another."""

    def __call__(self, probability: Floats) -> Floats:
        """(n,) in [0, 1] to (n,) in [0, 1]."""


@dataclass(frozen=True, slots=True)
class LogitLine:
    """A straight line on the logit: temperature (Guo et al. 2017), Platt (1999), or nothing at all.

    Attributes:
        slope: 1 over the temperature.
        intercept: 0 of a temperature.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, probability: Floats) -> Floats:
        """See `Map`."""
        if (self.slope, self.intercept) == (1.0, 0.0):
            return np.asarray(probability, dtype=np.float64)
        return np.asarray(expit(self.slope * logits(probability) + self.intercept))


@dataclass(frozen=True, slots=True)
class Steps:
    """Between points on straight lines, level beyond them: isotonic regression (Zadrozny & Elkan 2002).

    Attributes:
        x: rising.
        y: not falling.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]

    def __call__(self, probability: Floats) -> Floats:
        """See `Map`."""
        return np.interp(probability, self.x, self.y)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A map, and then another prevalence.

    Attributes:
        curve: fitted to a site's patients.
        log_odds: added to the logit, 0 for the prevalence of those patients (Saerens et al. 2002).
        words: what it is, for reports.
        classifier: checksum of the weights whose answers it was fitted to; empty: not stated.
        sha256: of its file, the beginning; empty where it comes from none.
    """

    curve: Map
    log_odds: float = 0.0
    words: str = ""
    classifier: str = ""
    sha256: str = ""

    def __call__(self, probability: Floats) -> Floats:
        """See `Map`."""
        mapped = self.curve(probability)
        return shifted(mapped, self.log_odds) if self.log_odds else mapped

    def of(self, probability: float) -> float:
        """One patient's."""
        return float(self(np.array([probability]))[0])


def shifted(probability: Floats, log_odds: float) -> Floats:
    """Odds multiplied by exp(log_odds)."""
    return np.asarray(expit(logits(probability) + log_odds))


def log_odds_between(prevalence: float, target: float) -> float:
    """What changes a prevalence to another where people with and without the disease stay as they are.

    Args:
        prevalence: in (0, 1), where the probabilities are calibrated.
        target: in (0, 1), where they should be.
    """
    return math.log(target / (1 - target)) - math.log(prevalence / (1 - prevalence))


def logits(probability: Floats) -> Floats:
    """Finite logits."""
    return np.asarray(logit(np.clip(probability, CLIP, 1 - CLIP)))
