"""The winners' 3D residual U-Net with anchors at stride 4 (Liao et al. 2019, doi 10.1109/TNNLS.2019.2892409, fig. 3).

Two things differ. Their network also sees where in the lung a patch lies; patches here are cut from turned chests and
lie nowhere. And their pictures are grey outside of the lung; here the detector's candidates are masked instead.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from detection.models.grt123.settings import Grt123Settings

STRIDE = 4
PAD_MULTIPLE = 16


class Residual(nn.Module):
    """Two 3x3x3 convolutions with normalisation, and a skip that changes the width where it must."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(inputs, outputs, 3, padding=1), nn.BatchNorm3d(outputs), nn.ReLU(True),
            nn.Conv3d(outputs, outputs, 3, padding=1), nn.BatchNorm3d(outputs),
        )  # fmt: skip
        self.skip: nn.Module = nn.Identity()
        if inputs != outputs:
            self.skip = nn.Sequential(nn.Conv3d(inputs, outputs, 1), nn.BatchNorm3d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, D, H, W) to (N, outputs, D, H, W)."""
        return functional.relu(self.body(x) + self.skip(x), inplace=True)


class Grt123Network(nn.Module):
    """Patches to five numbers for each anchor of a cell: logit, shift z, y, x, and log growth."""

    def __init__(self, settings: Grt123Settings) -> None:
        super().__init__()
        first, *widths = settings.widths
        self.stem = nn.Sequential(_convolved(1, first), _convolved(first, first))
        self.stages = nn.ModuleList()
        inputs = first
        for width, blocks in zip(widths, settings.blocks, strict=True):
            self.stages.append(_blocks(inputs, width, blocks))
            inputs = width
        _, w4, w8, w16 = widths
        self.up8, self.up4 = _doubling(w16), _doubling(w8)
        self.back8 = _blocks(w16 + w8, w8, settings.back_blocks[0])
        self.back4 = _blocks(w8 + w4, settings.back_width, settings.back_blocks[1])
        self.dropout = nn.Dropout3d(settings.dropout)
        self.output = nn.Sequential(
            nn.Conv3d(settings.back_width, 64, 1), nn.ReLU(True), nn.Conv3d(64, 5 * len(settings.anchor_sizes_mm), 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 1, D, H, W), sides multiples of 16, to (N, A, 5, D/4, H/4, W/4)."""
        x = self.stem(x)
        seen = []
        for stage in self.stages:
            x = stage(functional.max_pool3d(x, 2))
            seen.append(x)
        _, e4, e8, e16 = seen
        d8 = self.back8(torch.cat([self.up8(e16), e8], 1))
        d4 = self.back4(torch.cat([self.up4(d8), e4], 1))
        out: torch.Tensor = self.output(self.dropout(d4))
        return out.reshape(len(out), -1, 5, *out.shape[2:])


def _convolved(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(inputs, outputs, 3, padding=1), nn.BatchNorm3d(outputs), nn.ReLU(True))


def _doubling(width: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose3d(width, width, 2, 2), nn.BatchNorm3d(width), nn.ReLU(True))


def _blocks(inputs: int, outputs: int, number: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(inputs if k == 0 else outputs, outputs) for k in range(number)))
