"""The numbers of the compact detector; a network never reads them from a configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSettings:
    """What the weights need to be rebuilt; stored in their card.

    Attributes:
        kind: which detector: the folder under `detection/models`.
        widths: channels at strides 2, 4, 8, 16.
        head_width: channels at the output stride.
        anchor_sizes_mm: edges of the cubic anchors.
        cell_center: voxel coordinate of the middle of output cell 0; 1.5 is the middle of its four voxels.
    """

    kind: str = "compact"
    widths: tuple[int, ...] = (16, 32, 64, 96)
    head_width: int = 48
    anchor_sizes_mm: tuple[float, ...] = (4.0, 8.0, 14.0, 24.0)
    cell_center: float = 1.5
