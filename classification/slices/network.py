"""A small residual network for single slices."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

# About the mean of a view.
MIDDLE = 0.3


class Block(nn.Module):
    """Two 3 x 3 convolutions beside the way around them; halves the picture."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(into, out, 3, 2, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)
        )
        self.second = nn.Sequential(nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out))
        self.around = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(into, out, 1, bias=False), nn.BatchNorm2d(out))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, out, H / 2, W / 2)."""
        return torch.relu(self.second(self.first(images)) + self.around(images))


class SliceNetwork(nn.Module):
    """Views to logits of the classes.

    Args:
        widths: channels of the stem and of each halving after it.
        classes: how many.
        dropout: before the last layer.
    """

    def __init__(self, widths: Sequence[int], classes: int, dropout: float) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, widths[0], 5, 2, 2, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)
        )
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in itertools.pairwise(widths)))
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * widths[-1], classes))

    def features(self, views: torch.Tensor) -> torch.Tensor:
        """(N, 1, H, W) views to the last maps (N, C, h, w), which Grad-CAM weighs."""
        return cast(torch.Tensor, self.blocks(self.stem(views - MIDDLE)))

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        """(N, 1, H, W) views in [0, 1] to (N, classes) logits."""
        return self.answer(self.features(views))

    def answer(self, maps: torch.Tensor) -> torch.Tensor:
        """Logits of the last maps: their mean and, since a tumour is small, their maximum."""
        return cast(torch.Tensor, self.head(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)))
