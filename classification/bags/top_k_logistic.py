"""Logistic regression on the k most suspicious nodules in their order: logit P = base + sum of w_r . (1, x_r)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from classification.bags.features import FEATURES, features
from classification.bags.interface import Bag, BagInputs, BagSettings, ranks
from runs.entry import UsageError


@dataclass(frozen=True, kw_only=True)
class TopKSettings(BagSettings):
    """Of the regression: k is the number of ranks."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k is None:
            raise UsageError("bag.k must be a number for top_k_logistic, which has weights for each rank; got null")

    @property
    def ranks(self) -> int:
        """How many nodules have weights of their own."""
        assert self.k is not None
        return self.k


SETTINGS = TopKSettings


class TopKLogistic(Bag):
    """Each rank has weights of its own; ranks that a patient does not fill add nothing.

    Args:
        k: ranks.
    """

    unpenalised = ("bias",)

    def __init__(self, k: int) -> None:
        super().__init__(k)
        self.bias = nn.Parameter(torch.tensor(-5.0))
        self.weights = nn.Parameter(torch.zeros(k, FEATURES + 1))

    def base(self) -> torch.Tensor:
        """The logit of a patient without nodules."""
        return self.bias

    def shares(self, inputs: BagInputs) -> torch.Tensor:
        """(B, K) w_r . (1, x_r) of the nodule of rank r."""
        known = torch.where(inputs.present, self.suspicion(inputs), -torch.inf)
        own = self.weights[ranks(known).clamp_max(len(self.weights) - 1)]
        return (own * functional.pad(features(inputs), (0, 1), value=1.0)).sum(-1)


def build(settings: TopKSettings) -> TopKLogistic:
    """With weights of 0."""
    return TopKLogistic(settings.ranks)
