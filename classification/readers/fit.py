"""Fits the model of readers: convex, so that neither seed nor order plays a part."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from classification.network import RATING_SCALES
from classification.readers.examples import Floats, Rated
from classification.readers.model import ReaderModel
from classification.readers.settings import FitSettings
from runs.entry import UsageError

# Ridge errors count in steps of a scale from 1 to 5, the model's ratings lie in [0, 1].
STEPS = 4.0


def fit(rated: Rated, settings: FitSettings) -> ReaderModel:
    """The model as its weights are stored, in fp32.

    A nodule counts for suspicion by the readers who take a side: as suspicious by the share that gave 4 or 5, and as
    unlikely by the share that gave 1 or 2.

    Raises:
        UsageError: no reader takes one of the two sides.
    """
    inputs = rated.inputs
    center, scale = inputs.mean(0), inputs.std(0)
    scale = np.where(scale > 0, scale, 1.0)
    standard = np.clip((inputs - center) / scale, -settings.limit, settings.limit)
    model = ReaderModel(settings.limit)
    with torch.no_grad():
        _copy(model.center, center)
        _copy(model.scale, scale)
        _copy_linear(model.suspicion, *_suspicion(standard, rated, settings))
        targets = Ridge(alpha=settings.rating_l2).fit(standard, STEPS * rated.targets())
        _copy_linear(model.ratings, targets.coef_ / STEPS, targets.intercept_ / STEPS)
    return model.eval()


def out_of_fold(rated: Rated, folds: npt.NDArray[np.int64], settings: FitSettings) -> tuple[Floats, Floats]:
    """Logits of suspicion (N,) and ratings (N, 8) in [0, 1], each of a model that has not seen the nodule's fold."""
    logits, ratings = np.zeros(len(rated)), np.zeros((len(rated), len(RATING_SCALES)))
    for fold in np.unique(folds):
        held = folds == fold
        logits[held], ratings[held] = answers(fit(rated.at(~held), settings), rated.at(held))
    return logits, ratings


@torch.inference_mode()
def answers(model: ReaderModel, rated: Rated) -> tuple[Floats, Floats]:
    """Logits of suspicion (N,) and ratings (N, 8) in [0, 1]."""
    logits, ratings = model.double()(torch.from_numpy(rated.inputs))
    return logits.numpy(), ratings.numpy()


def _suspicion(standard: Floats, rated: Rated, settings: FitSettings) -> tuple[Floats, Floats]:
    suspicious, unlikely = rated.shares()
    if not suspicious.any() or not unlikely.any():
        raise UsageError("the readers' votes must have both sides: suspicious (4, 5) and unlikely (1, 2) nodules")
    label = np.repeat([1, 0], len(standard))
    weight = np.concatenate([suspicious, unlikely])
    line = LogisticRegression(C=1 / settings.suspicion_l2, max_iter=2000, tol=1e-8)
    line.fit(np.concatenate([standard, standard])[weight > 0], label[weight > 0], weight[weight > 0])
    return line.coef_, line.intercept_


def _copy_linear(layer: torch.nn.Linear, weight: Floats, bias: Floats) -> None:
    _copy(layer.weight, weight)
    _copy(layer.bias, bias)


def _copy(tensor: torch.Tensor, values: Floats) -> None:
    tensor.copy_(torch.from_numpy(np.asarray(values, dtype=np.float64)))
