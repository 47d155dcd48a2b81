"""Leaky noisy-or over a bag of nodules (Liao et al. 2019, DSB2017): P = 1 - (1 - P_leak) * prod(1 - P_i).

Worked in log-survival, where the product is a sum: -log(1 - P) = leak + sum of the contributions. Each nodule's
contribution -log(1 - P_i) is therefore its exact share.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from classification.bags.interface import LOG_SURVIVAL, Bag, BagInputs, BagSettings

SETTINGS = BagSettings
# A probability of exactly one would have an infinite contribution.
MOST_CERTAIN = 1 - 1e-6


class LeakyNoisyOr(Bag):
    """Learns the leak and what turns a network's answers and the detector's score into P_i.

    P_i = P(nodule) * P(cancer | nodule): a gate sigmoid(a * nodule logit + b * logit(score) + c) times
    sigmoid(scale * malignancy logit + bias). A candidate the detector hardly believes in adds hardly anything.
    """

    adds_up_to = LOG_SURVIVAL
    unpenalised: tuple[str, ...] = ("leak",)

    def __init__(self, k: int | None = None) -> None:
        super().__init__(k)
        self.leak = nn.Parameter(torch.tensor(-5.0))
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.bias = nn.Parameter(torch.tensor(-2.0))
        self.gate_nodule = nn.Parameter(torch.tensor(0.5))
        self.gate_score = nn.Parameter(torch.tensor(0.5))
        self.gate_bias = nn.Parameter(torch.tensor(0.0))

    def base(self) -> torch.Tensor:
        """-log(1 - P_leak)."""
        return functional.softplus(self.leak)

    def is_nodule(self, inputs: BagInputs) -> torch.Tensor:
        """(B, K) the gate; both weights are positive, so it rises with network and detector."""
        by_network, by_detector = functional.softplus(self.gate_nodule), functional.softplus(self.gate_score)
        return (by_network * inputs.nodule + by_detector * inputs.believed + self.gate_bias).sigmoid()

    def chances(self, inputs: BagInputs) -> torch.Tensor:
        """(B, K) the P_i."""
        cancer = (functional.softplus(self.scale) * inputs.malignancy + self.bias).sigmoid()
        return self.is_nodule(inputs) * cancer

    def suspicion(self, inputs: BagInputs) -> torch.Tensor:
        """(B, K) the P_i."""
        return self.chances(inputs)

    def shares(self, inputs: BagInputs) -> torch.Tensor:
        """(B, K) -log(1 - P_i)."""
        return -torch.log1p(-self.chances(inputs).clamp_max(MOST_CERTAIN))


def build(settings: BagSettings) -> LeakyNoisyOr:
    """With fresh parameters."""
    return LeakyNoisyOr(settings.k)
