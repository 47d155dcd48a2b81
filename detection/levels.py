"""A scan at lower resolutions, where a mass is as large as a nodule is at full, and what is found there.

A network that sees 64 mm around a place knows nodules. The same network on voxels of 2 mm sees 128 mm and knows masses
of up to 55 mm, on voxels of 4 mm larger ones; that costs an eighth and a sixty-fourth of the first look.
"""

from __future__ import annotations

import math

import edt
import numpy as np
import numpy.typing as npt
import torch

from preprocessing.resample import coarsened_mask

# From so many voxels on a box of a coarse level counts: below, the finer one knows better.
LEAST_COUNTED_VOXELS = 12.0
# From here on a box may have others as its parts.
LEAST_WHOLE_MM = 24.0
# From here on it is a mass, and scored as one.
LEAST_RAISED_MM = 30.0
# Heart and great vessels look like masses that the mask left out: in seven chests without one their scores stay below
# it, before they are raised.
LEAST_OUTSIDE = 0.1
# The mask loses much of a large mass at the wall or the hilum: its centre may lie so many millimetres outside.
COARSE_REACH = 40.0
# A box so much smaller than a better one that holds its centre is a part of the same thing.
PART = 0.7


def coarse_mask(mask: npt.NDArray[np.bool_], step: int, reach: float = COARSE_REACH) -> npt.NDArray[np.bool_]:
    """Blocks that hold any of the mask or lie within `reach` mm of such: where the centre of a mass may lie."""
    if step == 1:
        return mask
    blocks = coarsened_mask(mask, step)
    return np.asarray(edt.edt(~blocks) <= reach / step) & blocks.any()


def coarse_place(zyx: npt.NDArray[np.float64], step: int) -> npt.NDArray[np.float64]:
    """Places (..., 3) of the fine grid in voxels of the coarse one: voxel 0 of it is the middle of a block."""
    return (zyx - (step - 1) / 2) / step


def fine_boxes(boxes: torch.Tensor, step: int) -> torch.Tensor:
    """Boxes (N, 6) of the coarse grid in voxels of the fine one."""
    return boxes * step + (step - 1) / 2


def of_masses(boxes: torch.Tensor, lung_mask: npt.NDArray[np.bool_], step: int) -> torch.Tensor:
    """(N,) which boxes (N, 6) of a coarse level count: of at least 12 of its voxels, and their ball reaches what is
    left of lung.

    Args:
        boxes: in voxels of the prepared scan.
        lung_mask: (Z, Y, X), on the same grid.
        step: edge of the level's voxels in those of the scan.
    """
    centers, edges = (boxes[:, :3] + boxes[:, 3:]) / 2, (boxes[:, 3:] - boxes[:, :3]).mean(1)
    counted = edges >= LEAST_COUNTED_VOXELS * step
    for index in torch.nonzero(counted).flatten().tolist():
        reach = float(edges[index]) / 2
        low = [max(math.floor(c - reach), 0) for c in centers[index].tolist()]
        high = [math.ceil(c + reach) + 1 for c in centers[index].tolist()]
        near = np.argwhere(lung_mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]) + low
        away = np.linalg.norm(near - centers[index].numpy(), axis=1)
        counted[index] = bool((away <= reach).any())
    return counted


def raised(boxes: torch.Tensor, scores: torch.Tensor, by: float) -> torch.Tensor:
    """Scores (N,) in [0, 1] of a coarse level's boxes (N, 6), with so much added to the logits of masses.

    Only from 30 mm on: what is smaller the finer level knows too, and vessels at the hilum look like it.
    """
    edges = (boxes[:, 3:] - boxes[:, :3]).mean(1)
    return torch.where(edges >= LEAST_RAISED_MM, torch.sigmoid(torch.logit(scores, eps=1e-6) + by), scores)


def without_parts(boxes: torch.Tensor) -> torch.Tensor:
    """Indices of those boxes (N, 6), best first, that are no part of a better one.

    The finer level sees lumps of a mass: a much smaller box goes when its centre lies in the ball of a better box of
    at least 24 mm.
    """
    centers, edges = (boxes[:, :3] + boxes[:, 3:]) / 2, (boxes[:, 3:] - boxes[:, :3]).mean(1)
    kept = torch.ones(len(boxes), dtype=torch.bool)
    for index in torch.nonzero(edges >= LEAST_WHOLE_MM).flatten().tolist():
        if kept[index]:
            later = slice(index + 1, None)
            within = (centers[later] - centers[index]).norm(dim=1) < edges[index] / 2
            kept[later] &= ~(within & (edges[later] < PART * edges[index]))
    return torch.nonzero(kept).flatten()
