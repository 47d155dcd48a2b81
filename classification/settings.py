"""What stage 2 needs to run: the shape of its network and how candidates become a bag; stored in model cards."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSettings:
    """What the weights need to be rebuilt; stored in their card.

    Attributes:
        widths: channels at strides 2, 4, 8 and 16.
        hidden: width of the shared feature vector.
        crop: voxels (1 mm) along each edge of the crop, a multiple of 16.
        margins_mm: kept beyond the nodule's radius along z and in plane (see `classification.crops`).
    """

    widths: tuple[int, ...]
    hidden: int
    crop: int
    margins_mm: tuple[float, float]


@dataclass(frozen=True)
class InferenceSettings:
    """How candidates become a bag.

    Attributes:
        top_k: candidates of highest score that enter the bag.
    """

    top_k: int = 5
