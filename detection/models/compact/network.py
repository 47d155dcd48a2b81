"""The compact detector: a U-Net-shaped 3D RetinaNet with one output level at stride 4.

Encoder to stride 16, decoder back to stride 4, where a 3 mm nodule is still one cell and a 30 mm one is seen
whole. Batch normalisation, so that a tile's answer does not depend on the tile's size.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from detection.models.compact.settings import ModelSettings

STRIDE = 4
# The encoder halves four times; inputs are padded to a multiple of this.
PAD_MULTIPLE = 16


class Residual(nn.Module):
    """Two 3x3x3 convolutions and a skip; the first may halve the grid and change the width."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm3d(outputs)
        self.conv2 = nn.Conv3d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm3d(outputs)
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.skip = nn.Sequential(
                nn.AvgPool3d(stride) if stride != 1 else nn.Identity(),
                nn.Conv3d(inputs, outputs, 1, bias=False),
                nn.BatchNorm3d(outputs),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, D, H, W) to (N, outputs, D / stride, H / stride, W / stride)."""
        y = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        return functional.relu(self.norm2(self.conv2(y)) + self.skip(x), inplace=True)


class CompactRetinaNet(nn.Module):
    """U-Net-shaped RetinaNet.

    Args:
        widths: channels at strides 2, 4, 8, 16.
        head_width: channels of the stride-4 output features.
        n_anchors: anchor sizes per cell.
    """

    def __init__(self, widths: Sequence[int], head_width: int, n_anchors: int) -> None:
        super().__init__()
        w2, w4, w8, w16 = widths
        self.stem = nn.Sequential(nn.Conv3d(1, w2, 5, 2, 2, bias=False), nn.BatchNorm3d(w2), nn.ReLU(True))
        self.enc2 = Residual(w2, w2)
        self.enc4 = nn.Sequential(Residual(w2, w4, 2), Residual(w4, w4))
        self.enc8 = nn.Sequential(Residual(w4, w8, 2), Residual(w8, w8))
        self.enc16 = nn.Sequential(Residual(w8, w16, 2), Residual(w16, w16))
        self.dec8 = Residual(w16 + w8, w8)
        self.dec4 = Residual(w8 + w4, head_width)
        self.scores = nn.Sequential(
            nn.Conv3d(head_width, head_width, 3, 1, 1, bias=False),
            nn.BatchNorm3d(head_width),
            nn.ReLU(True),
            nn.Conv3d(head_width, n_anchors, 1),
        )
        self.codes = nn.Sequential(
            nn.Conv3d(head_width, head_width, 3, 1, 1, bias=False),
            nn.BatchNorm3d(head_width),
            nn.ReLU(True),
            nn.Conv3d(head_width, 6 * n_anchors, 1),
        )
        # RetinaNet's prior (Lin 2017, 3.3): at the start every anchor says 1 %.
        nn.init.constant_(cast(torch.Tensor, self.scores[-1].bias), -4.6)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalised patches to head maps.

        Args:
            x: (N, 1, D, H, W) float in [0, 1], sides multiples of 16.

        Returns:
            logits (N, A, D/4, H/4, W/4) and box codes (N, 6 A, D/4, H/4, W/4).
        """
        e2 = self.enc2(self.stem(x))
        e4 = self.enc4(e2)
        e8 = self.enc8(e4)
        e16 = self.enc16(e8)
        d8 = self.dec8(torch.cat([_doubled(e16), e8], 1))
        d4 = self.dec4(torch.cat([_doubled(d8), e4], 1))
        return self.scores(d4), self.codes(d4)


def build_network(settings: ModelSettings) -> CompactRetinaNet:
    """The network those settings describe, with fresh weights."""
    return CompactRetinaNet(settings.widths, settings.head_width, len(settings.anchor_sizes_mm))


def fused(network: CompactRetinaNet) -> CompactRetinaNet:
    """A copy for inference: every batch normalisation folded into the convolution before it."""
    network = copy.deepcopy(network).eval()
    for block in network.modules():
        if isinstance(block, Residual):
            for i in ("1", "2"):
                folded = fuse_conv_bn_eval(getattr(block, "conv" + i), getattr(block, "norm" + i))
                setattr(block, "conv" + i, folded)
                setattr(block, "norm" + i, nn.Identity())
            if isinstance(block.skip, nn.Sequential):
                block.skip = _averaging(*block.skip)
        if isinstance(block, nn.Sequential):
            for index in range(len(block) - 1):
                conv, norm = block[index], block[index + 1]
                if isinstance(conv, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d):
                    block[index], block[index + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return network


def _averaging(pool: nn.Module, conv: nn.Conv3d, norm: nn.BatchNorm3d) -> nn.Conv3d:
    """Mean over blocks, 1x1x1 convolution and normalisation as one strided convolution."""
    folded = fuse_conv_bn_eval(conv, norm)
    stride = int(pool.kernel_size) if isinstance(pool, nn.AvgPool3d) else 1  # type: ignore[arg-type]
    joined = nn.Conv3d(conv.in_channels, conv.out_channels, stride, stride)
    joined.weight = nn.Parameter(folded.weight.detach().expand(joined.weight.shape) / stride**3)
    joined.bias = folded.bias
    return joined


def _doubled(x: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
