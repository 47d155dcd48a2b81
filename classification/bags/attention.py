"""Gated attention (Ilse, Tomczak & Welling 2018, ICML): logit P = base + c . sum of a_i h_i.

The weights a_i add up to 1, so a nodule's part a_i (c . h_i) is exact; without it the others' weights grow, so the
risk without it is more than a subtraction.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from classification.bags.features import FEATURES, features
from classification.bags.interface import Bag, BagInputs, BagSettings
from runs.checks import at_least


@dataclass(frozen=True, kw_only=True)
class AttentionSettings(BagSettings):
    """Of the attention.

    Attributes:
        hidden: width of the embedding h and of the gate.
    """

    hidden: int

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("bag.hidden", self.hidden, 1)


SETTINGS = AttentionSettings
# exp of it is 0 beside any weight that can be learnt.
ABSENT = -1e4


class GatedAttention(Bag):
    """Embeds what is said of each nodule, weighs the embeddings against each other and adds them up.

    Args:
        k: see `Bag`.
        hidden: width of embedding and gate.
    """

    unpenalised = ("bias",)

    def __init__(self, k: int | None, hidden: int) -> None:
        super().__init__(k)
        self.bias = nn.Parameter(torch.tensor(-5.0))
        self.embed = nn.Linear(FEATURES, hidden)
        self.tanh, self.gate = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.weigh, self.risk = nn.Linear(hidden, 1, bias=False), nn.Linear(hidden, 1, bias=False)

    def base(self) -> torch.Tensor:
        """The logit of a patient without nodules."""
        return self.bias

    def shares(self, inputs: BagInputs) -> torch.Tensor:
        """(B, K) a_i (c . h_i); the weights are a softmax over the nodules that are present."""
        h = self.embed(features(inputs)).tanh()
        said = self.weigh(self.tanh(h).tanh() * self.gate(h).sigmoid())[..., 0]
        # A finite number, not -inf: a patient without nodules would have a softmax of nothing.
        weights = torch.where(inputs.present, said, ABSENT).softmax(1) * inputs.present
        shares: torch.Tensor = weights * self.risk(h)[..., 0]
        return shares


def build(settings: AttentionSettings) -> GatedAttention:
    """With fresh parameters, drawn from torch's generator."""
    return GatedAttention(settings.k, settings.hidden)
