"""Made outcomes of a site."""

from __future__ import annotations

from scipy.special import expit, logit

from runs.bootstrap import Array, Floats
from runs.seeds import stream


def site(n: int = 4000, slope: float = 0.5, intercept: float = -1.0) -> tuple[Floats, Array]:
    """Probabilities, and labels whose true logit is slope * logit(p) + intercept."""
    rng = stream("tests.calibration", n)
    p = expit(rng.normal(0, 2, n))
    return p, rng.random(n) < expit(slope * logit(p) + intercept)
