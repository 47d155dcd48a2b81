"""`python -m classification.train experiment=...`: nodules in, weights and their model card out."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from classification.bags.fitting import cross_entropy, fit_bag
from classification.training.engine import answers
from classification.training.figures import held_out_figures, malignancy_figure, tissue_figure
from classification.training.fit import fit_network, fold_networks, out_of_fold
from classification.training.samples import Samples, join, read_nodules
from classification.training.settings import TrainSettings, deciding
from classification.training.simulated_patients import draw_bags, nodule_risks
from preprocessing.preparation import Preparation
from runs.entry import run
from runs.lock import held
from runs.seeds import seed_of
from runs.training.card import origin, stated
from runs.training.figures import figures_of
from runs.training.loop import ONLY_SPEED
from runs.training.run_folder import WEIGHTS, claim, finished
from runs.training.tracking import further_loggers, publish
from runs.training.weights import save_weights

log = logging.getLogger(__name__)


def train(settings: TrainSettings) -> Path:
    """Both stages; writes `weights.safetensors` and its card under `settings.out` and returns their path.

    A run that was killed goes on where it stopped; a finished one keeps its weights.

    Raises:
        ValueError: `out` holds another run or is another process's; or see `load_samples`.
    """
    path = finished(settings.out)
    if path is not None and settings.resume:
        claim(settings.out, deciding(settings), resume=True)
        publish(settings.logger, settings.experiment, settings.out)
        log.info("this training is finished: %s stays as it is (resume=false begins again)", path)
        return path
    # Read first: a folder is not claimed for data that are not there.
    learnt, kept = load_samples(settings)
    with held(settings.out):
        claim(settings.out, deciding(settings), settings.resume)
        if not settings.resume:
            shutil.rmtree(settings.out / "folds", ignore_errors=True)
        return train_on(learnt, kept, settings)


def load_samples(settings: TrainSettings) -> tuple[Samples, Samples]:
    """Training and held-out examples: every patient, and every scan of tissue, is on one side.

    Raises:
        FileNotFoundError, ValueError: see `read_nodules` and `read_backgrounds`.
    """
    data = settings.data
    if data.nodules is None:
        raise ValueError("data.nodules must name a folder with nodules.csv, image/ and mask/")
    nodules = read_nodules(data.nodules)
    out = np.array([data.split.holds_out(p) for p in nodules.patients.tolist()], dtype=bool)
    learnt, kept = [nodules.at(~out)], [nodules.at(out)]
    if data.backgrounds or data.phantoms:
        # Imported here: training without backgrounds needs no simulator.
        from classification.training.backgrounds import read_backgrounds
        from phantom.pieces import load_nodule_crops

        patients, crops = {*kept[0].patients.tolist()}, load_nodule_crops(data.nodules) if data.pasted_per_scan else []
        for found, held in read_backgrounds(data, patients, learnt[0].diameter_mm, settings.seed, crops):
            (kept if held else learnt).append(found)
    return join(learnt), join(kept)


def train_on(learnt: Samples, kept: Samples, settings: TrainSettings) -> Path:
    """`train` on examples at hand: the folds, the bag on their answers, and the network that has seen them all."""
    unseen = out_of_fold(learnt, settings, settings.out)
    bags = draw_bags(learnt, unseen, settings.patients, settings.inference.top_k, settings.seed)
    bag, loss = fit_bag(settings.bag, bags.inputs, bags.label, settings.seed)
    fresh_seed = seed_of("classification.bag.fresh", settings.seed)
    fresh = draw_bags(learnt, unseen, settings.patients, settings.inference.top_k, fresh_seed)
    log.info("training on all %d examples, %d of them nodules", len(learnt), int(learnt.is_nodule.sum()))
    parameters = stated(settings, leave_out=("out", "resume", "logger"))
    told = further_loggers(settings.logger, settings.experiment, parameters, settings.out)
    network = fit_network(learnt, settings, settings.seed, settings.trainer.steps, settings.out, told)
    members = torch.nn.ModuleList(fold_networks(settings, settings.out))
    state = torch.nn.ModuleDict({"network": network, "bag": bag, "members": members}).state_dict()
    card = {**card_of(settings, learnt, kept), "members": len(members)}
    scores = {"network": unseen.malignancy.numpy(), "diameter_alone": learnt.diameter_mm}
    card["figures"] = {
        "bag_training_loss": round(loss, 5),
        "bag_fresh_loss": round(float(cross_entropy(bag(fresh.inputs), fresh.label).detach()), 5),
        "malignancy_4_5_against_1_2_out_of_fold": malignancy_figure(learnt, scores, settings.bootstrap),
        "nodule_against_tissue_out_of_fold": tissue_figure(learnt, unseen.nodule.numpy(), settings.bootstrap),
    }
    if kept.rated.any():
        card["figures"] |= held_out_figures(kept, answers(network, kept, settings.model), bag, settings)
    path = settings.out / WEIGHTS
    save_weights(path, state, card)
    publish(settings.logger, settings.experiment, settings.out)
    log.info("weights written to %s: %s", path, json.dumps(card["figures"]))
    return path


def card_of(settings: TrainSettings, learnt: Samples, kept: Samples) -> dict[str, Any]:
    """What is known at the end of training, without any path of a machine."""
    training = stated(settings, leave_out=("data", "out", "resume", "logger"))
    training["trainer"] = {k: v for k, v in training["trainer"].items() if k not in ONLY_SPEED}
    return {
        "name": settings.experiment,
        "model": asdict(settings.model),
        "inference": asdict(settings.inference),
        "preparation": Preparation().stated(),
        "bag": asdict(settings.bag),
        "gate_detector": settings.patients.detector,
        "training": training,
        "data": {
            "nodules": "LIDC-IDRI (Armato et al. 2011, 10.7937/K9/TCIA.2015.LO9QL9SX), CC BY 3.0",
            "n_nodules": int(learnt.rated.sum()),
            "n_patients": len(np.unique(learnt.patients[learnt.rated])),
            "n_pasted": int((learnt.is_nodule & ~learnt.rated).sum()),
            "n_tissue": int((~learnt.is_nodule).sum()),
            "mean_risk_label": round(float(nodule_risks(learnt)[learnt.rated].mean()), 4),
            "tissue_scans": scans_of(learnt),
            "tissue_scans_held_out": scans_of(kept),
            "settings": stated(settings.data),
        },
        "split": settings.data.split.describe(),
        "stage_b": (
            "bag fitted on simulated patients with out-of-fold answers of the network: PanCan model 2b "
            "(McWilliams et al. 2013) on readers' ratings"
        ),
        "known_failures": [
            "the patient probability follows a published risk law, not outcomes: uncalibrated for any population",
            "the readers' suspicion, not pathology, is what the network learnt for malignancy",
            "trained on true nodules of at least three readers: detector mistakes other than vessels are new to it",
            "masses beyond 30 mm exceed the crop; nodules under 3 mm were never seen",
        ],
        **origin(
            f"python -m classification.train experiment={settings.experiment}", ("lungscreen", "torch", "lightning")
        ),
    }


def scans_of(samples: Samples) -> list[str]:
    """Whose normal tissue it is."""
    return [str(p) for p in np.unique(samples.patients[~samples.is_nodule])]


def train_command(settings: TrainSettings) -> dict[str, float]:
    """`train`, for the command line; the figures that a sweep may judge it by, none of them of held-out patients."""
    card = json.loads(train(settings).with_suffix(".json").read_text(encoding="utf-8"))
    figures = card["figures"]
    auc = figures["malignancy_4_5_against_1_2_out_of_fold"].get("network", {})
    fresh = {name: figures[name] for name in ("bag_fresh_loss",) if name in figures}  # runs of before have none
    return {**figures_of(settings.out), **fresh, **({"malignancy_auc_out_of_fold": auc["auc"]} if auc else {})}


def main() -> None:
    """Entry point."""
    run(train_command, TrainSettings, "classification_train")


if __name__ == "__main__":
    main()
