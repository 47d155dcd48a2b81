"""Made examples for stage 2: balls in noise."""

from __future__ import annotations

import numpy as np

from classification.network import RATING_SCALES
from classification.settings import ModelSettings
from classification.training.samples import STORED, Samples
from preprocessing.splits import fold_of

MODEL = ModelSettings(widths=(4, 4, 4, 4), hidden=8, crop=32, margins_mm=(2.0, 8.0))


def balls(n: int, first_patient: int = 0) -> Samples:
    """Every other one a ball in air (a nodule, malignancy 5 or 1 by size), the others noise.

    Four examples a patient, the patients in folds 1, 2, 3, 1, ... of the split; the noise is of a scan each.
    """
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(STORED) - STORED // 2] * 3, indexing="ij"))
    is_nodule = np.arange(n) % 2 == 0
    diameter = np.where(np.arange(n) % 4 == 0, 20.0, 5.0).astype(np.float32)
    crops = np.stack(
        [np.where((grid**2).sum(0) < (d / 2) ** 2 * k, 40, -850) for d, k in zip(diameter, is_nodule, strict=True)]
    )
    crops = (crops + rng.normal(0, 20, crops.shape)).astype(np.int16)
    ratings = np.full((n, len(RATING_SCALES)), np.nan, np.float32)
    ratings[is_nodule] = 0.5
    ratings[is_nodule, 0] = diameter[is_nodule] > 10
    owners = [_patient(first_patient + i // 4, 1 + i // 4 % 3) for i in range(n)]
    names = [p if k else f"scan-{p}" for p, k in zip(owners, is_nodule, strict=True)]
    return Samples(crops, diameter, is_nodule, ratings, np.array(names))


def _patient(number: int, fold: int) -> str:
    """A name of that fold."""
    return next(name for i in range(1000) if fold_of(name := f"p{number}-{i}") == fold)
