"""Noisy-or without a leak: P = 1 - prod(1 - P_i). Who has no nodules has no risk."""

from __future__ import annotations

import torch

from classification.bags.interface import BagSettings
from classification.bags.leaky_noisy_or import LeakyNoisyOr

SETTINGS = BagSettings


class NoisyOr(LeakyNoisyOr):
    """The leaky one with a leak of nothing."""

    unpenalised = ()

    def __init__(self, k: int | None = None) -> None:
        super().__init__(k)
        del self.leak

    def base(self) -> torch.Tensor:
        """0."""
        return torch.zeros_like(self.bias)


def build(settings: BagSettings) -> NoisyOr:
    """With fresh parameters."""
    return NoisyOr(settings.k)
