"""The most suspicious nodule alone, beside the leak: P = 1 - (1 - P_leak) * (1 - max P_i)."""

from __future__ import annotations

import torch

from classification.bags.interface import BagInputs, BagSettings, ranks
from classification.bags.leaky_noisy_or import LeakyNoisyOr

SETTINGS = BagSettings


class Maximum(LeakyNoisyOr):
    """What `leaky_noisy_or` is with k = 1."""

    def shares(self, inputs: BagInputs) -> torch.Tensor:
        """(B, K) -log(1 - P_i) of the highest P_i, else 0; of equal ones the first has it."""
        chances = torch.where(inputs.present, self.chances(inputs), -torch.inf)
        every = super().shares(inputs)
        return torch.where(ranks(chances) == 0, every, torch.zeros_like(every))


def build(settings: BagSettings) -> Maximum:
    """With fresh parameters."""
    return Maximum(settings.k)
