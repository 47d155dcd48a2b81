"""`python -m classification.train experiment=...`: nodules in, weights and their model card out."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from classification.bags import draw_bags, nodule_risks
from classification.engine import answers
from classification.figures import auc_figure
from classification.fit import fit_bag, fit_network
from classification.network import RATING_SCALES, NoduleNetwork, NoduleOutputs
from classification.noisy_or import NoisyOrBag
from classification.samples import Samples, held_out, join, read_nodules
from classification.settings import DataSettings, TrainSettings
from detection.weights import save_weights
from runs.entry import run

log = logging.getLogger(__name__)


def train(settings: TrainSettings) -> Path:
    """Both stages; writes `weights.safetensors` and its card under `settings.out` and returns their path."""
    if settings.threads > 0:
        torch.set_num_threads(settings.threads)
    return train_on(*load_samples(settings), settings)


def load_samples(settings: TrainSettings) -> tuple[Samples, Samples]:
    """Training and held-out examples; a quarter of the tissue (every fourth place) is held out.

    Raises:
        FileNotFoundError, ValueError: see `read_nodules` and `read_tissue`.
    """
    data = settings.data
    if data.nodules is None:
        raise ValueError("data.nodules must name a folder with nodules.csv, image/ and mask/")
    nodules = read_nodules(Path(data.nodules))
    parts: list[Samples] = []
    if data.backgrounds or data.phantoms:
        # Imported here: training without backgrounds needs no simulator.
        from classification.backgrounds import read_tissue

        parts = read_tissue(data, nodules.diameter_mm, settings.seed)
    out = np.array([held_out(p, data.held_out_share, data.held_out_patients) for p in nodules.patients.tolist()])
    fourth = [np.arange(len(p)) % 4 == 3 for p in parts]
    learnt = [nodules.at(~out), *(p.at(~f) for p, f in zip(parts, fourth, strict=True))]
    kept = [nodules.at(out), *(p.at(f) for p, f in zip(parts, fourth, strict=True))]
    return join(learnt), join(kept)


def train_on(learnt: Samples, kept: Samples, settings: TrainSettings) -> Path:
    """`train` on examples at hand."""
    out = Path(settings.out)
    log.info("training on %d examples, %d of them nodules", len(learnt), int(learnt.is_nodule.sum()))
    network = fit_network(learnt, settings, out)
    seen = answers(network, learnt, settings.model)
    bags = draw_bags(learnt, seen, settings.bag, settings.inference.top_k, settings.seed)
    bag, loss = fit_bag(bags, settings)
    path = out / "weights.safetensors"
    state = torch.nn.ModuleDict({"network": network, "bag": bag}).state_dict()
    card = card_of(settings, learnt)
    card["figures"] = {"bag_training_loss": round(loss, 5), **held_out_figures(network, bag, kept, settings)}
    save_weights(path, state, card)
    log.info("weights written to %s: %s", path, json.dumps(card["figures"]))
    return path


def held_out_figures(
    network: NoduleNetwork, bag: NoisyOrBag, kept: Samples, settings: TrainSettings
) -> dict[str, Any]:
    """Nodule, rating and patient figures on held-out patients, each with n and a 95 % interval."""
    if not kept.is_nodule.any():
        return {}
    seen = answers(network, kept, settings.model)
    chance = bag.probabilities(seen.nodule, seen.malignancy, torch.full_like(seen.nodule, 0.9)).detach().numpy()
    scores = {"network": seen.malignancy.numpy(), "p_i": chance, "diameter_alone": kept.diameter_mm}
    clear = kept.is_nodule & (np.abs(np.nan_to_num(kept.malignancy, nan=3.0) - 3) > 0.5)
    figures: dict[str, Any] = {
        "malignancy_4_5_against_1_2_lidc_held_out": auc_figure(
            kept.malignancy[clear] > 3, _at(scores, clear), kept.patients[clear], settings.bootstrap
        ),
        "nodule_against_tissue": auc_figure(
            kept.is_nodule, {"network": seen.nodule.numpy()}, np.arange(len(kept)), settings.bootstrap
        ),
        "rating_mean_absolute_error_held_out": rating_errors(kept, seen),
    }
    if settings.data.diagnosis is not None:
        figures["diagnosis_lidc_held_out"] = diagnosis_figure(kept, scores, settings)
    return figures


def diagnosis_figure(kept: Samples, scores: dict[str, Any], settings: TrainSettings) -> dict[str, Any]:
    """Patient diagnosis, cancer against benign, by each patient's largest value."""
    table = pd.read_csv(str(settings.data.diagnosis))
    known = {p: d >= 2 for p, d in zip(table["patient_id"], table["diagnosis"], strict=True) if d >= 1}
    ids = [p for p in np.unique(kept.patients[kept.is_nodule]) if p in known]
    best = {
        name: np.array([score[(kept.patients == p) & kept.is_nodule].max() for p in ids])
        for name, score in scores.items()
    }
    return auc_figure(np.array([known[p] for p in ids], dtype=bool), best, np.array(ids), settings.bootstrap)


def rating_errors(kept: Samples, seen: NoduleOutputs) -> dict[str, Any]:
    """Mean absolute error in rating steps, and of always answering with the median."""
    truth, said = kept.ratings[kept.is_nodule], seen.ratings.numpy()[kept.is_nodule]
    errors: dict[str, Any] = {"n": len(truth)}
    for i, (name, (low, high)) in enumerate(RATING_SCALES.items()):
        network = np.abs(truth[:, i] - said[:, i]).mean()
        median = np.abs(truth[:, i] - np.median(truth[:, i])).mean()
        errors[name] = {
            "network": round(float(network * (high - low)), 3),
            "median_alone": round(float(median * (high - low)), 3),
        }
    return errors


def card_of(settings: TrainSettings, learnt: Samples) -> dict[str, Any]:
    """What a reader must know; paths of the machine stay out of it."""
    return {
        "name": settings.experiment,
        "model": asdict(settings.model),
        "inference": asdict(settings.inference),
        "training": {k: v for k, v in asdict(settings).items() if k not in ("data", "out")},
        "data": {
            "nodules": "LIDC-IDRI (Armato et al. 2011, 10.7937/K9/TCIA.2015.LO9QL9SX), CC BY 3.0",
            "n_nodules": int(learnt.is_nodule.sum()),
            "n_patients": len(np.unique(learnt.patients[learnt.is_nodule])),
            "n_tissue": int((~learnt.is_nodule).sum()),
            "mean_risk_label": round(float(nodule_risks(learnt)[learnt.is_nodule].mean()), 4),
            "phantom_backgrounds": settings.data.phantoms,
        },
        "split": split_rule(settings.data),
        "stage_b": "bag fitted on simulated patients: PanCan model 2b (McWilliams et al. 2013) on readers' ratings",
        "command": f"python -m classification.train experiment={settings.experiment}",
        "versions": {name: version(name) for name in ("lungscreen", "torch", "lightning")},
        "known_failures": [
            "the patient probability follows a published risk law, not outcomes: uncalibrated for any population",
            "the readers' suspicion, not pathology, is what the network learnt for malignancy",
            "trained on true nodules of at least three readers: detector mistakes other than vessels are new to it",
            "masses beyond 30 mm exceed the crop; nodules under 3 mm were never seen",
        ],
        "use": "research only, not a medical device",
    }


def split_rule(data: DataSettings) -> str:
    """In words, as `held_out` does it."""
    return (
        f"held out: {', '.join(data.held_out_patients)} and every patient with "
        f"int(sha256(patient_id)[:8], 16) / 2**32 < {data.held_out_share}; every fourth tissue place"
    )


def _at(scores: dict[str, Any], where: Any) -> dict[str, Any]:
    return {name: score[where] for name, score in scores.items()}


def _task(settings: TrainSettings) -> None:
    train(settings)


def main() -> None:
    """Entry point."""
    run(_task, TrainSettings, "classification_train")


if __name__ == "__main__":
    main()
