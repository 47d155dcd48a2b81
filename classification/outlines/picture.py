"""What the network of outlines is shown: a nodule's surroundings, turned to one size whatever its diameter.

The cube reaches 2.5 radii from the seed to either side, 32 voxels along each edge: a voxel is .08 of the diameter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from classification.measuring.outline import Outline, outline

Floats = npt.NDArray[np.float64]

VOXELS = 32
RADII = 2.5
CHANNELS = 5
# HU from air to soft tissue, as -1 to 1.
AIR_HU, TISSUE_HU = -1000.0, 200.0
DENSEST = 1.4
TYPICAL_MM = 8.0
# Of an outline's share in logits: what it says is never certain.
SURE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Seed:
    """Where a nodule is sought in a volume at 1 mm.

    Attributes:
        center_zyx: voxel index of about its middle.
        diameter_mm: about how large it is.
    """

    center_zyx: Floats
    diameter_mm: float

    @property
    def voxel_mm(self) -> float:
        """Edge of the picture's voxels."""
        return RADII * self.diameter_mm / VOXELS

    def places(self, turn: Floats | None = None) -> Floats:
        """(32, 32, 32, 3) where the picture's voxels lie in the volume, in voxels z, y, x.

        Args:
            turn: (3, 3) from steps in the picture to steps in the volume; None: as the volume lies.
        """
        along = (np.arange(VOXELS) - (VOXELS - 1) / 2) * self.voxel_mm
        steps = np.stack(np.meshgrid(along, along, along, indexing="ij"), -1)
        return self.center_zyx + (steps if turn is None else steps @ turn.T)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What is shown.

    Attributes:
        channels: (5, 32, 32, 32): HU, share of the outline without a network, nearness to the seed in radii, whether
            it lies in the volume, log of the diameter.
        known: (32, 32, 32) 1 within the volume, else 0.
        more: (C, 32, 32, 32) further volumes in the same place.
    """

    channels: torch.Tensor
    known: torch.Tensor
    more: torch.Tensor


def picture_of(
    hu: npt.NDArray[np.int16], seed: Seed, turn: Floats | None = None, more: npt.NDArray[np.float32] | None = None
) -> tuple[Picture, Outline]:
    """A seed's picture, and the outline without a network.

    Args:
        hu: (Z, Y, X) at 1 mm.
        seed: in it.
        turn: see `Seed.places`.
        more: (C, Z, Y, X) to be shown in the same place.
    """
    first = outline(hu, seed.center_zyx, seed.diameter_mm)
    places = seed.places(turn)
    low = np.clip(np.floor(places.min((0, 1, 2))), 0, np.asarray(hu.shape) - 1).astype(int)
    high = np.clip(np.ceil(places.max((0, 1, 2))) + 1, low + 1, hu.shape).astype(int)
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    volumes = [
        hu[window].astype(np.float32)[None],
        _cut(first, low, high)[None],
        *([] if more is None else [more[:, *window]]),
    ]
    seen = torch.from_numpy(_at(np.concatenate(volumes), places - low))
    inside = ((places >= -0.5) & (places <= np.asarray(hu.shape) - 0.5)).all(-1)
    known = torch.from_numpy(inside.astype(np.float32))
    along = (np.arange(VOXELS) - (VOXELS - 1) / 2) * 2 * RADII / VOXELS
    away = np.sqrt(along[:, None, None] ** 2 + along[:, None] ** 2 + along**2).astype(np.float32)
    level = (2 * (seen[0] - AIR_HU) / (TISSUE_HU - AIR_HU)).clamp(0, 2 + DENSEST) - 1
    size = torch.full_like(known, float(np.log(seed.diameter_mm / TYPICAL_MM)))
    channels = torch.stack([level * known, seen[1], 1 - torch.from_numpy(away), known, size])
    return Picture(channels, known, seen[2:]), first


def spread(share: torch.Tensor, seed: Seed, first: Outline) -> Outline:
    """A picture's shares (32, 32, 32) back in the volume, in the window of the outline without a network."""
    index = [np.arange(n) + start for n, start in zip(first.share.shape, first.start_zyx, strict=True)]
    axes = [(at - c) / seed.voxel_mm + (VOXELS - 1) / 2 for at, c in zip(index, seed.center_zyx, strict=True)]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    return Outline(_at(share.numpy()[None], places, "zeros")[0], first.start_zyx)


def _cut(found: Outline, low: npt.NDArray[np.int64], high: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """The shares of an outline in a box of the volume, 0 beyond its window."""
    out = np.zeros(tuple(high - low), np.float32)
    start = np.asarray(found.start_zyx)
    a, b = np.maximum(low, start), np.minimum(high, start + found.share.shape)
    if np.all(b > a):
        target = tuple(slice(i, j) for i, j in zip(a - low, b - low, strict=True))
        out[target] = found.share[tuple(slice(i, j) for i, j in zip(a - start, b - start, strict=True))]
    return out


def _at(volumes: npt.NDArray[np.float32], places: Floats, beyond: str = "border") -> npt.NDArray[np.float32]:
    """(C, ...) volumes (C, Z, Y, X) between their voxels, at places (..., 3) z, y, x."""
    extent = np.maximum(np.asarray(volumes.shape[1:]) - 1, 1)
    where = torch.from_numpy((2 * places / extent - 1)[..., ::-1].astype(np.float32))
    grid = where.reshape(1, *where.shape) if where.ndim == 4 else where
    return functional.grid_sample(
        torch.from_numpy(volumes)[None], grid, mode="bilinear", padding_mode=beyond, align_corners=True
    )[0].numpy()
