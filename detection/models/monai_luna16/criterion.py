"""How MONAI teaches it: ATSS matching, hard negatives, cross entropy on scores and smooth L1 on box codes.

Settings: `models/lung_nodule_ct_detection/configs/train.json` of Project-MONAI/model-zoo, `detector_ops`; where it is
silent, the defaults of monai's `RetinaNetDetector`. Boxes and anchors are `[x0, y0, z0, x1, y1, z1]` in voxels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.apps.detection.utils.ATSS_matcher import ATSSMatcher
from monai.apps.detection.utils.box_coder import BoxCoder
from monai.apps.detection.utils.hard_negative_sampler import HardNegativeSampler
from monai.data.box_utils import box_iou
from torch.nn import functional

from detection.models.monai_luna16.settings import MonaiSettings

BETA = 1 / 9


class RetinaCriterion:
    """The loss of a batch.

    Args:
        settings: of matching and sampling.
        coder: of boxes.
    """

    def __init__(self, settings: MonaiSettings, coder: BoxCoder) -> None:
        self.matcher = ATSSMatcher(settings.atss_candidates, box_iou, center_in_gt=False)
        self.sampler = HardNegativeSampler(
            settings.sampled, settings.positive_share, settings.least_negatives, settings.hard_pool
        )
        self.coder = coder
        self.per_cell = len(settings.anchor_shapes)

    def matches(self, boxes: torch.Tensor, anchors: torch.Tensor, cells_of_levels: Sequence[int]) -> torch.Tensor:
        """(P,) int64: for each anchor the index of its box among (M, 6), or -1."""
        if len(boxes) == 0:
            return torch.full((len(anchors),), -1, dtype=torch.int64, device=anchors.device)
        found: torch.Tensor = self.matcher(boxes, anchors, cells_of_levels, self.per_cell)[1]
        return found

    def chosen(self, matches: torch.Tensor, taught: torch.Tensor, logits: torch.Tensor, seed: int) -> torch.Tensor:
        """Indices of the anchors of one patch that teach the scores.

        Args:
            matches: (P,).
            taught: (P,) bool; background where it is False teaches nothing.
            logits: (P,).
            seed: monai draws from torch's own generator, which a training that goes on does not find where it was;
                the draw is a function of the seed, and the generator stays as it is.
        """
        labels = (matches + 1).where((matches >= 0) | taught, torch.tensor(-1, device=matches.device)).cpu()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            positive, negative = self.sampler([labels], logits.detach().cpu())
        picked = torch.cat([torch.where(positive[0])[0], torch.where(negative[0])[0]])
        return picked.to(matches.device)

    def loss_score(self, logits: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
        """Mean binary cross entropy of the chosen anchors (P,) of all patches."""
        return functional.binary_cross_entropy_with_logits(logits, positive.to(logits.dtype))

    def loss_box(self, codes: torch.Tensor, boxes: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
        """Mean smooth L1 over the codes (P, 6) of the matched anchors of all patches; 0 where there is none."""
        if len(codes) == 0:
            return codes.sum() * 0.0
        return functional.smooth_l1_loss(codes, self.coder.encode_single(boxes, anchors), beta=BETA)
