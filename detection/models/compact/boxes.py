"""Anchors, matching and box codes of the compact detector; tensors stay on the device they came on.

Boxes are corner boxes `[z0, y0, x0, z1, y1, x1]` in voxels, a voxel's index being its centre, so a nodule of
diameter d at c is the cube `c - d/2 .. c + d/2`. Matching is ATSS (Zhang et al. 2020) for a whole batch at once:
monai's goes image by image, works on the CPU only and prints a line at every start, and its box coder waits for the
device at every call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

MOST_GROWTH = math.log(1000 / 16)


class AnchorGrid:
    """Cubic anchors at every cell of an output grid, with their matching.

    Args:
        sizes_mm: edge lengths of the cubes (the grid is 1 mm).
        stride: voxels between neighbouring cells.
        cell_center: voxel coordinate of the middle of cell 0; `(stride - 1) / 2` is the middle of its voxels.
        atss_candidates: nearest cells considered for each nodule (Zhang 2020, 3.2).
    """

    def __init__(
        self, sizes_mm: Sequence[float], stride: int, cell_center: float | None = None, atss_candidates: int = 4
    ) -> None:
        self.sizes_mm = tuple(float(s) for s in sizes_mm)
        self.stride = stride
        self.cell_center = (stride - 1) / 2 if cell_center is None else cell_center
        self.atss_candidates = atss_candidates

    def centers(self, cells_zyx: Sequence[int], device: torch.device | str = "cpu") -> torch.Tensor:
        """(cells, 3) centres of a grid of cells."""
        axes = [torch.arange(int(n), device=device) * float(self.stride) + self.cell_center for n in cells_zyx]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)

    def anchors(self, cells_zyx: Sequence[int], device: torch.device | str = "cpu") -> torch.Tensor:
        """(cells * A, 6) anchors of a grid of cells, the anchor size running fastest."""
        half = torch.tensor(self.sizes_mm, device=device)[None, :, None] / 2
        centers = self.centers(cells_zyx, device)[:, None]
        return torch.cat([centers - half, centers + half], -1).reshape(-1, 6)

    def match(self, nodules: torch.Tensor, cells_zyx: Sequence[int]) -> torch.Tensor:
        """Which nodule each anchor answers for.

        Every nodule gets at least one anchor; an anchor that two could have goes to the one it overlaps more.

        Args:
            nodules: (N, M, 4) z, y, x, diameter; a diameter of 0 fills up the rows of an image with fewer.
            cells_zyx: the output grid.

        Returns:
            (N, cells * A) int64: index among the M, or -1 for background.
        """
        anchors = self.anchors(cells_zyx, nodules.device)
        n, m, a = nodules.shape[0], nodules.shape[1], len(self.sizes_mm)
        if m == 0:
            return torch.full((n, len(anchors)), -1, dtype=torch.int64, device=nodules.device)
        real = nodules[..., 3] > 0
        overlap = cube_iou(nodules, anchors)
        away = torch.cdist(nodules[..., :3], self.centers(cells_zyx, nodules.device).expand(n, -1, -1))
        near = away.topk(min(self.atss_candidates, away.shape[-1]), largest=False).indices
        near = (near[..., None] * a + torch.arange(a, device=near.device)).flatten(2)
        theirs = overlap.gather(2, near)
        good = (theirs >= theirs.mean(2, keepdim=True) + theirs.std(2, keepdim=True)) & real[..., None]
        wanted = torch.full_like(overlap, -1.0).scatter(2, near, torch.where(good, theirs, -1.0))
        best, which = wanted.max(1)
        found = torch.where(best > 0, which, -1)
        # A small nodule between the cells, or one whose only anchor went to a neighbour.
        for i in range(m):
            lost = real[:, i] & ~(found == i).any(1)
            its_best = overlap[:, i].argmax(1, keepdim=True)
            found = found.scatter(1, its_best, torch.where(lost[:, None], i, found.gather(1, its_best)))
        return found


def encode(boxes: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Codes (..., 6) that turn each anchor into its box: shifts in edges of the anchor, then logs of the growth."""
    edges, anchor_edges = boxes[..., 3:] - boxes[..., :3], anchors[..., 3:] - anchors[..., :3]
    shift = (boxes[..., :3] + boxes[..., 3:] - anchors[..., :3] - anchors[..., 3:]) / 2 / anchor_edges
    return torch.cat([shift, (edges / anchor_edges).log()], -1)


def decode(codes: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Boxes (..., 6) from codes and anchors; nothing grows beyond 62.5 times its anchor (Ren et al. 2015)."""
    anchor_edges = anchors[..., 3:] - anchors[..., :3]
    centers = (anchors[..., :3] + anchors[..., 3:]) / 2 + codes[..., :3] * anchor_edges
    half = codes[..., 3:].clamp_max(MOST_GROWTH).exp() * anchor_edges / 2
    return torch.cat([centers - half, centers + half], -1)


def cube_iou(nodules: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """(N, M, P) overlap over union of the cubes around (N, M, 4) nodules with (P, 6) boxes."""
    half = nodules[..., 3:] / 2
    low = torch.maximum((nodules[..., :3] - half)[:, :, None], boxes[:, :3])
    high = torch.minimum((nodules[..., :3] + half)[:, :, None], boxes[:, 3:])
    shared = (high - low).clamp_min(0).prod(-1)
    volume = (boxes[:, 3:] - boxes[:, :3]).prod(-1)
    return shared / (nodules[..., 3:] ** 3 + volume - shared)


def suppress(boxes: torch.Tensor, scores: torch.Tensor, iou: float, most: int) -> torch.Tensor:
    """Indices of at most `most` boxes that survive non-maximum suppression, best first."""
    from monai.data.box_utils import non_max_suppression  # seconds, and whoever mistypes an option should not wait

    keep = non_max_suppression(boxes, scores, nms_thresh=iou, max_proposals=most)
    return torch.as_tensor(keep, dtype=torch.int64)


def cubes(centers_zyx: torch.Tensor, diameters: torch.Tensor) -> torch.Tensor:
    """(..., 6) cubes around (..., 3) centres with (...) diameters."""
    half = diameters[..., None] / 2
    return torch.cat([centers_zyx - half, centers_zyx + half], -1)
