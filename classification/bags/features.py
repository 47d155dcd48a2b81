"""What is said of a nodule, as numbers of order one."""

from __future__ import annotations

import torch

from classification.bags.interface import BagInputs
from classification.network import LOG_DIAMETER

FEATURES = 4
# About the deviations of the network's logits over LIDC's nodules.
NODULE_SCALE, MALIGNANCY_SCALE = 4.0, 2.0


def features(inputs: BagInputs) -> torch.Tensor:
    """(B, K, 4): nodule logit, malignancy logit, logit of the detector's score, log of the diameter."""
    middle, width = LOG_DIAMETER
    size = (inputs.diameter_mm.clamp_min(1.0).log() - middle) / width
    parts = (inputs.nodule / NODULE_SCALE, inputs.malignancy / MALIGNANCY_SCALE, inputs.believed, size)
    return torch.stack(parts, -1)
