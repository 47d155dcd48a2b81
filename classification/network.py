"""A small 3D network that looks at one crop: is it a nodule, how suspicious, and how would readers rate it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import nn

# LIDC rating scales: first and last value. Calcification 6 means none, texture 1 ground glass to 5 solid.
RATING_SCALES: dict[str, tuple[float, float]] = {
    "malignancy": (1.0, 5.0),
    "spiculation": (1.0, 5.0),
    "texture": (1.0, 5.0),
    "lobulation": (1.0, 5.0),
    "margin": (1.0, 5.0),
    "sphericity": (1.0, 5.0),
    "subtlety": (1.0, 5.0),
    "calcification": (1.0, 6.0),
}
# Centre and width of log(diameter) over the LIDC nodules, so that the input is of order one.
LOG_DIAMETER = (2.0, 0.5)


class NoduleOutputs(NamedTuple):
    """Answers for N crops.

    Attributes:
        nodule: (N,) logit of "this is a nodule and not normal tissue".
        malignancy: (N,) logit of "a cancer, given that it is a nodule".
        ratings: (N, 8) in [0, 1], `RATING_SCALES` mapped linearly.
    """

    nodule: torch.Tensor
    malignancy: torch.Tensor
    ratings: torch.Tensor


class NoduleNetwork(nn.Module):
    """Four strided convolution stages, mean and maximum pooled, with the log-diameter beside them.

    Args:
        widths: channels of the stages at strides 2, 4, 8, 16.
        hidden: width of the shared feature vector.
    """

    def __init__(self, widths: Sequence[int] = (16, 32, 64, 96), hidden: int = 64) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        before = 1
        for index, width in enumerate(widths):
            stages += [nn.Conv3d(before, width, 3, stride=2 if index == 0 else 1, padding=1, bias=False)]
            stages += [nn.BatchNorm3d(width), nn.ReLU(inplace=True)]
            if index > 0:
                stages += [nn.MaxPool3d(2)]
            before = width
        self.stages = nn.Sequential(*stages)
        self.features = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * before + 1, hidden), nn.ReLU(inplace=True))
        self.nodule = nn.Linear(hidden, 1)
        # Beside the features the diameter has a straight way to the answer: alone it reaches an AUC of .9.
        self.malignancy = nn.Linear(hidden + 1, 1)
        self.ratings = nn.Linear(hidden, len(RATING_SCALES))

    def forward(self, crops: torch.Tensor, diameter_mm: torch.Tensor) -> NoduleOutputs:
        """Crops (N, 1, D, H, W) normalised to [0, 1] at 1 mm, edges multiples of 16; diameters (N,) in mm."""
        size = ((diameter_mm.clamp_min(1.0).log() - LOG_DIAMETER[0]) / LOG_DIAMETER[1])[:, None]
        maps = self.stages(crops)
        features = self.features(torch.cat([maps.mean((2, 3, 4)), maps.amax((2, 3, 4)), size], 1))
        malignancy = self.malignancy(torch.cat([features, size], 1))
        return NoduleOutputs(self.nodule(features)[:, 0], malignancy[:, 0], self.ratings(features).sigmoid())


def to_ratings(scaled: torch.Tensor) -> list[dict[str, float]]:
    """(N, 8) in [0, 1] to ratings by name on LIDC's scales."""
    rows = cast(list[list[float]], scaled.double().tolist())
    return [
        {name: low + (high - low) * v for (name, (low, high)), v in zip(RATING_SCALES.items(), row, strict=True)}
        for row in rows
    ]


def from_rating(name: str, value: float) -> float:
    """A reader's rating to [0, 1]."""
    low, high = RATING_SCALES[name]
    return (value - low) / (high - low)
