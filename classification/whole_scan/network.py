"""A small 3D network, and a scan as it sees it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from preprocessing.patches import normalise
from preprocessing.prepare import PreparedScan

# About the mean grey of a lung box.
MIDDLE = 0.3


def resized(prepared: PreparedScan, size: int) -> npt.NDArray[np.float32]:
    """(size, size, size) in [0, 1]: the lung box, windowed as everywhere, each voxel the mean of what falls into it.

    The box's proportions are lost: that is what this baseline does.
    """
    grey = torch.from_numpy(normalise(prepared.volume.hu))[None, None]
    return np.asarray(functional.adaptive_avg_pool3d(grey, size)[0, 0].numpy(), np.float32)


class WholeScanNetwork(nn.Module):
    """Grids to one logit: a convolution that halves and one that does not for each width, then mean and maximum.

    Args:
        widths: channels after each halving.
        dropout: before the last layer.
    """

    def __init__(self, widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for into, out in itertools.pairwise((1, *widths)):
            for channels, stride in ((into, 2), (out, 1)):
                convolution = nn.Conv3d(channels, out, 3, stride, 1, bias=False)
                layers += [convolution, nn.GroupNorm(1, out), nn.ReLU(inplace=True)]
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * widths[-1], 1))

    def forward(self, grids: torch.Tensor) -> torch.Tensor:
        """(N, 1, S, S, S) grids in [0, 1] to (N,) logits."""
        maps = self.features(grids - MIDDLE)
        # The maximum, since a nodule is small.
        both = torch.cat([maps.mean((2, 3, 4)), maps.amax((2, 3, 4))], 1)
        return cast(torch.Tensor, self.head(both)[:, 0])
