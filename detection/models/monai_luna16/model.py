"""MONAI's detector as the rest of the product holds it: our `[z, y, x]` outside, its `[x, y, z]` inside."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from monai.apps.detection.utils.anchor_utils import AnchorGeneratorWithAnchorShape
from monai.apps.detection.utils.box_coder import BoxCoder
from torch.nn import functional

from detection.models.interface import KNOWN_STEP, DetectorModel, Found, Inference, Truth
from detection.models.monai_luna16.criterion import RetinaCriterion
from detection.models.monai_luna16.network import DIVISIBLE_XYZ, build_network
from detection.models.monai_luna16.settings import MonaiSettings
from runs.entry import typed
from runs.seeds import seed_of

# Corner boxes with their axes the other way round.
REVERSED = [2, 1, 0, 5, 4, 3]


class MonaiLuna16(DetectorModel):
    """A 3D RetinaNet on ResNet-50 with three anchors a cell at three levels."""

    pad_multiple = 16

    def __init__(self, settings: MonaiSettings) -> None:
        super().__init__()
        self.settings = settings
        self.network = build_network(settings)
        self.coder = BoxCoder(weights=(1.0,) * 6)
        self.anchors = AnchorGeneratorWithAnchorShape(settings.level_scales, settings.anchor_shapes)
        self.preparation = settings.preparation
        self.inference = Inference(
            tile_voxels=settings.tile_voxels,
            margin=settings.margin,
            tile_candidates=settings.level_candidates * len(settings.level_scales),
            nms_iou=settings.nms_iou,
            min_score=settings.min_score,
            max_candidates=settings.max_candidates,
        )

    @cached_property
    def criterion(self) -> RetinaCriterion:
        """Made when it is first taught: monai says a line for each of its parts."""
        return RetinaCriterion(self.settings, self.coder)

    def loss(self, images: torch.Tensor, truth: Truth) -> dict[str, torch.Tensor]:
        """`loss_score` and `loss_box`."""
        logits, codes, anchors = self._answers(images)
        levels = [len(level) // len(self.settings.anchor_shapes) for level in anchors]
        flat_logits, flat_codes, all_anchors = torch.cat(logits, 1), torch.cat(codes, 1), torch.cat(anchors)
        taught = self._taught(all_anchors, truth)
        # The bits of a sum that no two batches of a training share.
        (batch,) = struct.unpack("<q", struct.pack("<d", float(images.double().sum())))
        scores, positives, found, wanted, theirs = [], [], [], [], []
        for number, marks in enumerate(truth.nodules):
            boxes = self._boxes(marks[marks[:, 3] > 0])
            matches = self.criterion.matches(boxes, all_anchors, levels)
            seed = seed_of("detection.monai_luna16.negatives", batch, number)
            chosen = self.criterion.chosen(matches, taught[number], flat_logits[number], seed)
            scores.append(flat_logits[number][chosen])
            positives.append(matches[chosen] >= 0)
            matched = torch.nonzero(matches >= 0).flatten()
            found.append(flat_codes[number][matched])
            wanted.append(boxes[matches[matched]])
            theirs.append(all_anchors[matched])
        return {
            "loss_score": self.criterion.loss_score(torch.cat(scores), torch.cat(positives)),
            "loss_box": self.criterion.loss_box(torch.cat(found), torch.cat(wanted), torch.cat(theirs)),
        }

    def find(self, image: torch.Tensor, least_score: float) -> Found:
        """The best boxes of each level with at least this score."""
        boxes, scores, cells = [], [], []
        for logits, codes, anchors in zip(*self._answers(image), strict=True):
            score = logits[0].sigmoid()
            best = torch.nonzero(score >= least_score).flatten()
            best = best[torch.argsort(score[best], descending=True, stable=True)][: self.settings.level_candidates]
            decoded = self.coder.decode_single(codes[0][best], anchors[best])
            boxes.append(decoded[:, REVERSED].cpu())
            scores.append(score[best].cpu())
            cells.append((anchors[best, :3] + anchors[best, 3:])[:, REVERSED[:3]].cpu() / 2)
        return Found(torch.cat(boxes), torch.cat(scores), torch.cat(cells))

    def weights(self) -> dict[str, torch.Tensor]:
        """Of the network alone, by the names of the published file."""
        state: dict[str, torch.Tensor] = self.network.state_dict()
        return state

    def take(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Of the network alone."""
        self.network.load_state_dict(weights)

    def _answers(self, images: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]:
        """Level by level: logits (N, P), box codes (N, P, 6), anchors (P, 6) in x, y, z. Images end in air."""
        turned = images.permute(0, 1, 4, 3, 2)
        missing = [-n % step for n, step in zip(turned.shape[2:], DIVISIBLE_XYZ, strict=True)]
        turned = functional.pad(turned, (0, missing[2], 0, missing[1], 0, missing[0]))
        maps = self.network(turned)
        logits = [self._rows(level)[..., 0] for level in maps["classification"]]
        codes = [self._rows(level) for level in maps["box_regression"]]
        # All images of a batch have the same ones.
        anchors = self.anchors(turned, [level.float() for level in maps["classification"]])[0]
        return logits, codes, list(anchors.split([level.shape[1] for level in logits]))

    def _rows(self, level: torch.Tensor) -> torch.Tensor:
        """A map (N, A C, X, Y, Z) as (N, X Y Z A, C), the anchor running fastest, as the anchors come."""
        n, per_cell = level.shape[0], len(self.settings.anchor_shapes)
        return level.float().reshape(n, per_cell, -1, level.shape[2:].numel()).permute(0, 3, 1, 2).flatten(1, 2)

    def _boxes(self, marks: torch.Tensor) -> torch.Tensor:
        """Boxes (M, 6) in x, y, z voxels around balls (M, 4) z, y, x, diameter of `Truth`."""
        spacing = marks.new_tensor(self.settings.spacing_mm)
        center = (marks[:, [2, 1, 0]] + 0.5) / spacing - 0.5
        half = marks[:, 3:] / 2 / spacing
        return torch.cat([center - half, center + half], 1)

    def _taught(self, anchors: torch.Tensor, truth: Truth) -> torch.Tensor:
        """(N, P) whether the middle of an anchor lies where the patch is known and in none of the ignored balls."""
        spacing = anchors.new_tensor(self.settings.spacing_mm)
        middle = ((anchors[:, :3] + anchors[:, 3:]) / 2 + 0.5) * spacing - 0.5
        middle = middle[:, [2, 1, 0]]
        cells = torch.tensor(truth.known.shape[1:], device=anchors.device)
        at = ((middle + 0.5) / KNOWN_STEP).floor().long()
        inside = ((at >= 0) & (at < cells)).all(1)
        z, y, x = torch.minimum(at.clamp_min(0), cells - 1).T
        away = torch.cdist(middle.expand(len(truth.ignored), -1, -1), truth.ignored[..., :3])
        outside = (away >= truth.ignored[:, None, :, 3] / 2).all(2)
        return inside & outside & (truth.known[:, z, y, x] > 0)


SETTINGS = MonaiSettings


def build(settings: MonaiSettings) -> MonaiLuna16:
    """With fresh weights."""
    return MonaiLuna16(settings)


def settings_of(values: Mapping[str, Any]) -> MonaiSettings:
    """Of a card."""
    return typed(MonaiSettings, values, "model")
