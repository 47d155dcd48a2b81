"""Leaky noisy-or over a bag of nodules (Liao et al. 2019, DSB2017): P = 1 - (1 - P_leak) * prod(1 - P_i).

Worked in log-survival, where the product is a sum: -log(1 - P) = leak + sum of the contributions. Each nodule's
contribution -log(1 - P_i) is therefore its exact share, and leaving it out is a subtraction.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import nn
from torch.nn import functional

# A probability of exactly one would have an infinite contribution.
MOST_CERTAIN = 1 - 1e-9


def contribution(probability: float) -> float:
    """-log(1 - P_i) of one probability in [0, 1], finite.

    Raises:
        ValueError: outside [0, 1], or not a number.
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"a probability must lie in [0, 1], got {probability}")
    return -math.log1p(-min(probability, MOST_CERTAIN))


def patient_probability(contributions: Iterable[float], leak: float) -> float:
    """1 - exp(-(leak + sum)); an empty bag answers with the leak. `fsum` makes it independent of the order."""
    return -math.expm1(-math.fsum([leak, *contributions]))


def noisy_or(probabilities: Iterable[float], leak_probability: float = 0.0) -> float:
    """P of a bag of P_i."""
    return patient_probability([contribution(p) for p in probabilities], contribution(leak_probability))


def without(contributions: Sequence[float], leak: float, left_out: int) -> float:
    """The patient's probability if nodule `left_out` were not there."""
    return patient_probability([c for i, c in enumerate(contributions) if i != left_out], leak)


class NoisyOrBag(nn.Module):
    """What turns a network's answers and the detector's score into P_i, and a bag into P.

    P_i = P(nodule) * P(cancer | nodule): a gate sigmoid(a * nodule logit + b * logit(score) + c) times
    sigmoid(scale * malignancy logit + bias). A candidate the detector hardly believes in adds hardly anything.
    """

    def __init__(self) -> None:
        super().__init__()
        self.leak = nn.Parameter(torch.tensor(-5.0))
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.bias = nn.Parameter(torch.tensor(-2.0))
        self.gate_nodule = nn.Parameter(torch.tensor(0.5))
        self.gate_score = nn.Parameter(torch.tensor(0.5))
        self.gate_bias = nn.Parameter(torch.tensor(0.0))

    def gate(self, nodule: torch.Tensor, score: torch.Tensor) -> torch.Tensor:
        """P(nodule) of logits and scores (...) in [0, 1]; both weights are positive, so it rises with both."""
        believed = torch.logit(score.clamp(1e-4, 1 - 1e-4))
        slope_nodule, slope_score = functional.softplus(self.gate_nodule), functional.softplus(self.gate_score)
        return (slope_nodule * nodule + slope_score * believed + self.gate_bias).sigmoid()

    def probabilities(self, nodule: torch.Tensor, malignancy: torch.Tensor, score: torch.Tensor) -> torch.Tensor:
        """P_i of network logits and detector scores, all (...)."""
        cancer = (functional.softplus(self.scale) * malignancy + self.bias).sigmoid()
        return self.gate(nodule, score) * cancer

    def forward(
        self, nodule: torch.Tensor, malignancy: torch.Tensor, score: torch.Tensor, present: torch.Tensor
    ) -> torch.Tensor:
        """Log-survival log(1 - P) (B,) of bags (B, K) whose empty places are not `present`."""
        p = self.probabilities(nodule, malignancy, score).clamp_max(1 - 1e-6)
        each = torch.where(present, torch.log1p(-p), torch.zeros_like(p))
        survival: torch.Tensor = each.sum(1) + functional.logsigmoid(-self.leak)
        return survival
