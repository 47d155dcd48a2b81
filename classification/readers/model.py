"""A linear model of readers: suspicion and ratings out of measurements, each measurement's part in the open.

On LIDC it tells suspicious nodules from unsuspicious ones better than the networks that were tried on their voxels:
readers disagree so much that 400 patients hardly teach more than this.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from classification.network import RATING_SCALES, to_ratings
from runs.entry import UsageError
from runs.training.weights import load_weights, misfit

Measured = Mapping[str, float | str]

SHIPPED = Path(__file__).parent.parent / "weights"
DEFAULT_READERS = "nodule-readers-v1"


def _plainly(name: str) -> Callable[[Measured], float]:
    return lambda measured: float(measured[name])


def _log(name: str) -> Callable[[Measured], float]:
    return lambda measured: math.log(float(measured[name]))


# What the model takes, by name, out of `classification.measurements.measured`.
INPUTS: dict[str, Callable[[Measured], float]] = {
    "log_mean_diameter": _log("mean_diameter_mm"),
    "log_volume": _log("volume_mm3"),
    "log_long_by_short": lambda m: math.log(float(m["long_axis_mm"]) / float(m["short_axis_mm"])),
    "calcified": lambda m: float(m["calcification_pattern"] != "none"),
    **{
        name: _plainly(name)
        for name in (
            *("hu_mean", "hu_sd", "hu_p95", "solid_share", "calcium_share"),
            *("compactness", "convexity", "flatness", "edge_hu_mm", "spicules"),
        )
    },
}


def inputs_of(measured: Measured) -> list[float]:
    """The values of `INPUTS`, in their order."""
    return [take(measured) for take in INPUTS.values()]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What readers would say of one nodule.

    Attributes:
        suspicion: chance in [0, 1] that a reader who takes a side calls it suspicious (4 or 5) and not unlikely (1 or
            2) to be a cancer.
        ratings: mean rating by name, on the scales of `RATING_SCALES`.
    """

    suspicion: float
    ratings: dict[str, float]


class ReaderModel(nn.Module):
    """Standardised inputs, held within `limit` standard deviations, and two linear layers."""

    center: torch.Tensor
    scale: torch.Tensor

    def __init__(self, limit: float) -> None:
        super().__init__()
        n = len(INPUTS)
        self.limit = limit
        self.register_buffer("center", torch.zeros(n))
        self.register_buffer("scale", torch.ones(n))
        self.suspicion = nn.Linear(n, 1)
        self.ratings = nn.Linear(n, len(RATING_SCALES))

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs (N, `INPUTS`) to the logit of suspicion (N,) and ratings (N, 8) in [0, 1]."""
        standard = ((inputs - self.center) / self.scale).clamp(-self.limit, self.limit)
        return self.suspicion(standard)[:, 0], self.ratings(standard).clamp(0, 1)

    @torch.inference_mode()
    def opinions(self, measured: Sequence[Measured]) -> list[Opinion]:
        """Of nodules, each by itself, in fp64."""
        return [self._opinion(m) for m in measured]

    def _opinion(self, measured: Measured) -> Opinion:
        """One by one: in a batch the last digit would depend on who else is in it."""
        logit, rating = self.double()(torch.tensor([inputs_of(measured)], dtype=torch.float64))
        return Opinion(float(logit.sigmoid()), to_ratings(rating)[0])


def load_readers(weights: str | Path = DEFAULT_READERS) -> tuple[ReaderModel, dict[str, Any]]:
    """Model and card of a weights file or of a shipped name.

    Raises:
        FileNotFoundError: no such file or name, or no card beside it.
        UsageError: the file is not what its card says, or is of another kind.
    """
    state, card = load_weights(weights, SHIPPED)
    if card.get("inputs") != list(INPUTS):
        raise UsageError(f"'{Path(weights).name}' must be a model of readers with the inputs {', '.join(INPUTS)}")
    model = ReaderModel(float(card["limit"]))
    wrong = misfit(state, model.state_dict())
    if wrong:
        raise UsageError(f"'{Path(weights).name}' does not hold the model its card describes: {wrong}")
    model.load_state_dict(state)
    return model.double().eval(), card
