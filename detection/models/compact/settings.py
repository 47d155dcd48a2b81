"""The numbers of the compact detector; a network never reads them from a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from preprocessing.preparation import Preparation
from runs.entry import UsageError

LEVELS = ((1,), (1, 2), (1, 2, 4))


@dataclass(frozen=True)
class ModelSettings:
    """What the weights need to be rebuilt; stored in their card.

    Attributes:
        levels: edges of the voxels that the network looks at: 1 the scan as prepared, 2 at half its resolution, for
            masses, 4 at a quarter, for the largest.
        coarse_network: the levels beyond the first have a network of their own, trained apart (`detection.average`).
        coarse_logit: added to the logits of masses found beyond the first level, where false positives have lower
            scores than the first level's: so a mass takes its place before them.
        kind: which detector: the folder under `detection/models`.
        widths: channels at strides 2, 4, 8, 16.
        head_width: channels at the output stride.
        anchor_sizes_mm: edges of the cubic anchors.
        cell_center: voxel coordinate of the middle of output cell 0; 1.5 is the middle of its four voxels.
    """

    widths: tuple[int, ...]
    head_width: int
    anchor_sizes_mm: tuple[float, ...]
    cell_center: float
    levels: tuple[int, ...]
    coarse_logit: float
    coarse_network: bool = False
    kind: str = "compact"
    preparation: ClassVar[Preparation] = Preparation()

    def __post_init__(self) -> None:
        if tuple(self.levels) not in LEVELS:
            allowed = ", ".join(str(list(levels)) for levels in LEVELS)
            raise UsageError(f"model.levels must be one of {allowed}, got {list(self.levels)}")
        if self.coarse_network and len(self.levels) == 1:
            raise UsageError("model.coarse_network needs model.levels beyond the first, got [1]")
