"""Stage a of the training: the nodule network, and what networks say of patients they have not seen."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.loggers import Logger

from classification.network import NoduleNetwork, NoduleOutputs
from classification.training.engine import NoduleTraining, NumberedCrops, answers
from classification.training.samples import Samples, folds_of
from classification.training.settings import TrainSettings, deciding
from runs.seeds import seed_of
from runs.training import loop
from runs.training.card import USE
from runs.training.run_folder import WEIGHTS, claim, finished
from runs.training.weights import load_weights, save_weights

log = logging.getLogger(__name__)


def fit_network(
    samples: Samples, settings: TrainSettings, seed: int, steps: int, out: Path, further: Sequence[Logger] = ()
) -> NoduleNetwork:
    """Stage a: the network as its weights are stored; goes on from what a killed run left in `out`."""
    torch.manual_seed(seed_of("classification.weights", seed))
    training = NoduleTraining(settings.model, settings.optimizer, steps)
    examples = NumberedCrops(samples, settings.model, seed)
    loop.fit(training, examples, None, replace(settings.trainer, steps=steps), seed, out, further)
    # fp16, so that figures and the bag belong to what is shipped.
    return training.network.half().float().eval()


def out_of_fold(samples: Samples, settings: TrainSettings, out: Path) -> NoduleOutputs:
    """Answers for all examples, each from a network that has not seen its patient's fold.

    One network a fold, in `out/folds/<fold>`; a fold that is finished is not trained again.

    Raises:
        ValueError: the nodules lie in fewer than two folds.
    """
    folds = folds_of(samples, settings.data.split)
    present = np.unique(folds)
    if len(np.unique(folds[samples.rated])) < 2:
        raise ValueError("out-of-fold answers need nodules in at least two folds: more patients, or another split")
    parts, order = [], []
    for fold in present.tolist():
        learnt = folds != fold
        log.info("fold %d: training on %d examples, answering for %d", fold, learnt.sum(), (~learnt).sum())
        network = fold_network(samples.at(learnt), settings, fold, len(samples), out / "folds" / str(fold))
        parts.append(answers(network, samples.at(~learnt), settings.model))
        order.append(np.flatnonzero(~learnt))
    back = torch.from_numpy(np.argsort(np.concatenate(order)))
    return NoduleOutputs(*(torch.cat(column)[back] for column in zip(*parts, strict=True)))


def fold_network(learnt: Samples, settings: TrainSettings, fold: int, total: int, out: Path) -> NoduleNetwork:
    """The network of one fold: as many passes over its examples as the last network makes over all `total`."""
    claim(out, {**deciding(settings), "fold": fold}, resume=True)
    if finished(out) is None:
        steps = max(1, round(settings.trainer.steps * len(learnt) / total))
        made = fit_network(learnt, settings, seed_of("classification.fold", settings.seed, fold), steps, out)
        save_weights(out / WEIGHTS, made.state_dict(), {"name": f"fold {fold}", "use": USE})
    return _stored(out, settings)


def fold_networks(settings: TrainSettings, out: Path) -> list[NoduleNetwork]:
    """The networks that `out_of_fold` left, each of which has not seen the patients of a fold."""
    return [_stored(folder, settings) for folder in sorted((out / "folds").iterdir()) if finished(folder)]


def _stored(folder: Path, settings: TrainSettings) -> NoduleNetwork:
    state, _ = load_weights(folder / WEIGHTS, folder)
    network = NoduleNetwork(settings.model.widths, settings.model.hidden)
    network.load_state_dict(state)
    return network.eval()
