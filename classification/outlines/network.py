"""A small 3D U-Net that mends an outline: it adds to the logits of what it is given."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from classification.outlines.picture import CHANNELS, SURE


class OutlineNetwork(nn.Module):
    """Three resolutions, nothing lost in between; fresh weights leave the outline as it is.

    Args:
        widths: channels at strides 1, 2 and 4.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.fine = _block(CHANNELS, fine)
        self.middle = nn.Sequential(_block(fine, middle, 2), _block(middle, middle))
        self.coarse = nn.Sequential(_block(middle, coarse, 2), _block(coarse, coarse))
        self.up_middle, self.up_fine = _block(coarse + middle, middle), _block(middle + fine, fine)
        self.change = nn.Conv3d(fine, 1, 1)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)  # type: ignore[arg-type]

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (N, 5, 32, 32, 32), see `Picture`, to logits (N, 32, 32, 32) of "nodule"."""
        fine = self.fine(pictures)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        middle = self.up_middle(torch.cat([functional.interpolate(coarse, scale_factor=2), middle], 1))
        fine = self.up_fine(torch.cat([functional.interpolate(middle, scale_factor=2), fine], 1))
        given = torch.logit(pictures[:, 1].clamp(SURE, 1 - SURE))
        change: torch.Tensor = self.change(fine)[:, 0]
        return given + change


def _block(before: int, width: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv3d(before, width, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm3d(width), nn.ReLU(inplace=True))
