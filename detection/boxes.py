"""Anchors, matching and box codes of the compact detector: monai's parts, put together in one place.

Boxes are corner boxes `[z0, y0, x0, z1, y1, x1]` in voxels, a voxel's index being its centre, so a nodule of
diameter d at c is the cube `c - d/2 .. c + d/2`. monai's boxes are axis-order agnostic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from monai.apps.detection.utils.anchor_utils import AnchorGeneratorWithAnchorShape
from monai.apps.detection.utils.ATSS_matcher import ATSSMatcher
from monai.apps.detection.utils.box_coder import BoxCoder
from monai.data.box_utils import box_iou, non_max_suppression


class AnchorGrid:
    """Cubic anchors at every cell of the stride-4 output, with ATSS matching and box coding.

    Args:
        sizes_mm: edge lengths of the cubes (the grid is 1 mm).
        stride: voxels between neighbouring cells; monai centres cell i at `stride * (i + 1/2)`.
        atss_candidates: nearest cells considered for each nodule (Zhang 2020, 3.2).
    """

    def __init__(self, sizes_mm: Sequence[float], stride: int, atss_candidates: int = 4) -> None:
        self.sizes_mm = tuple(float(s) for s in sizes_mm)
        self.stride = stride
        self._generator = AnchorGeneratorWithAnchorShape(
            feature_map_scales=(1,), base_anchor_shapes=tuple((s, s, s) for s in self.sizes_mm)
        )
        self._matcher = ATSSMatcher(atss_candidates, box_iou, center_in_gt=False)
        self._coder = BoxCoder(weights=(1.0,) * 6)

    def anchors(self, cells_zyx: Sequence[int]) -> torch.Tensor:
        """(cells * A, 6) anchors of one grid of cells, the anchor size running fastest."""
        shape = tuple(int(n) for n in cells_zyx)
        image = torch.empty((1, 1, *(n * self.stride for n in shape)), device="meta")
        return cast(torch.Tensor, self._generator(_Sized(image.shape), [torch.empty((1, 1, *shape))])[0])

    def match(self, boxes: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
        """(cells * A,) index of the box each anchor answers for, or -1 for background."""
        if len(boxes) == 0:
            return torch.full((len(anchors),), -1, dtype=torch.int64)
        overlaps, found = self._matcher.compute_matches(boxes, anchors, [len(anchors)], len(self.sizes_mm))
        matches = cast(torch.Tensor, found).clamp_min(-1)
        # ATSS can leave a small nodule without an anchor, or hand its only one to a neighbour.
        missed = [i for i in range(len(boxes)) if not bool((matches == i).any())]
        for i in missed:
            matches[int(overlaps[i].argmax())] = i
        return matches

    def encode(self, boxes: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
        """Codes (N, 6) that turn each anchor into its box."""
        return cast(torch.Tensor, self._coder.encode_single(boxes, anchors))

    def decode(self, codes: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
        """Boxes (N, 6) from codes and anchors."""
        return cast(torch.Tensor, self._coder.decode_single(codes, anchors))


class _Sized:
    """What monai's generator asks of an image batch: its shape, and where to put the anchors."""

    def __init__(self, shape: torch.Size) -> None:
        self.shape = shape
        self.dtype = torch.float32
        self.device = torch.device("cpu")


def suppress(boxes: torch.Tensor, scores: torch.Tensor, iou: float, most: int) -> torch.Tensor:
    """Indices of at most `most` boxes that survive non-maximum suppression, best first."""
    keep = non_max_suppression(boxes, scores, nms_thresh=iou, max_proposals=most)
    return torch.as_tensor(keep, dtype=torch.int64)


def cubes(centers_zyx: torch.Tensor, diameters: torch.Tensor) -> torch.Tensor:
    """(N, 6) cubes around (N, 3) centres."""
    half = diameters[:, None] / 2
    return torch.cat([centers_zyx - half, centers_zyx + half], 1)
