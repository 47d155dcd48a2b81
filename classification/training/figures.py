"""What training reports on patients it did not learn from, as a model card holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from classification.bags.interface import Bag, BagInputs
from classification.labels import lidc_diagnosis
from classification.metrics.estimates import auc_bootstrap
from classification.network import RATING_SCALES, NoduleOutputs
from classification.training.samples import Samples
from classification.training.settings import TrainSettings
from runs.bootstrap import Array


def auc_figure(label: Array, scores: dict[str, Array], groups: Array, repeats: int, seed: int = 0) -> dict[str, Any]:
    """AUC of each score with its 95 % interval, on the same bootstrap draws of whole groups (patients).

    Args:
        label: (N,) bool.
        scores: (N,) by name.
        groups: (N,) patient ids: nodules of a patient are drawn together.
        repeats: bootstrap draws.
        seed: of the draws.

    Returns:
        `n`, `positive`, `patients` and for each name `auc`, `low`, `high`; without both classes only the counts.
    """
    figure: dict[str, Any] = {"n": len(label), "positive": int(label.sum()), "patients": len(np.unique(groups))}
    if not 0 < label.sum() < len(label):
        return figure
    for name, estimate in auc_bootstrap(label, scores, repeats, groups, seed=seed).items():
        values = {"auc": estimate.value, "low": estimate.low, "high": estimate.high}
        figure[name] = {key: round(value, 4) for key, value in values.items()}
    return figure


def held_out_figures(kept: Samples, seen: NoduleOutputs, bag: Bag, settings: TrainSettings) -> dict[str, Any]:
    """Nodule, rating and patient figures on held-out patients, each with n and a 95 % interval by patient.

    Args:
        kept: held-out examples.
        seen: the network's answers for them.
        bag: for P_i, at a detector score of .9.
        settings: bootstrap draws, and where the diagnosis is.
    """
    score, present = torch.full_like(seen.nodule, 0.9), torch.ones_like(seen.nodule, dtype=torch.bool)
    alone = BagInputs(seen.nodule, seen.malignancy, score, torch.from_numpy(kept.diameter_mm), present)
    chance = bag.chances(BagInputs(*(value[:, None] for value in alone)))[:, 0].detach().numpy()
    scores = {"network": seen.malignancy.numpy(), "p_i": chance, "diameter_alone": kept.diameter_mm}
    figures: dict[str, Any] = {
        "malignancy_4_5_against_1_2_lidc_held_out": malignancy_figure(kept, scores, settings.bootstrap),
        "nodule_against_tissue_held_out": tissue_figure(kept, seen.nodule.numpy(), settings.bootstrap),
        "rating_mean_absolute_error_held_out": rating_errors(kept, seen),
    }
    if settings.data.diagnosis is not None:
        figures["diagnosis_lidc_held_out"] = diagnosis_figure(
            kept, scores, settings.data.diagnosis, settings.bootstrap
        )
    return figures


def tissue_figure(samples: Samples, logits: Array, repeats: int) -> dict[str, Any]:
    """Nodules in their own scans against the normal tissue of all scans, and against that of each scan by itself.

    `pasted`: nodules blended into a scan against its own tissue, where nothing but the nodule tells them apart.
    """
    rated, is_tissue = samples.rated, ~samples.is_nodule
    counted = rated | is_tissue
    told = auc_figure(rated[counted], {"network": logits[counted]}, samples.patients[counted], repeats)
    scans: dict[str, dict[str, float]] = {}
    for patient in np.unique(samples.patients[is_tissue]).tolist():
        here = samples.patients == patient
        scans[patient] = {
            "n_tissue": int((here & is_tissue).sum()),
            "n_pasted": int((here & ~is_tissue & ~rated).sum()),
        }
        for name, nodules in (("rated", rated), ("pasted", here & ~is_tissue & ~rated)):
            if nodules.any():
                scans[patient][name] = _auc(logits[nodules], logits[here & is_tissue])
    return {**told, "scans": scans}


def _auc(positive: Array, negative: Array) -> float:
    label = np.repeat([True, False], [len(positive), len(negative)])
    return round(float(roc_auc_score(label, np.concatenate([positive, negative]))), 4)


def malignancy_figure(samples: Samples, scores: dict[str, Array], repeats: int) -> dict[str, Any]:
    """Nodules that readers rated 4-5 against those rated 1-2; the middle says nothing either way."""
    clear = samples.rated & (np.abs(np.nan_to_num(samples.malignancy, nan=3.0) - 3) > 0.5)
    chosen = {name: score[clear] for name, score in scores.items()}
    return auc_figure(samples.malignancy[clear] > 3, chosen, samples.patients[clear], repeats)


def diagnosis_figure(kept: Samples, scores: dict[str, Array], diagnosis: Path, repeats: int) -> dict[str, Any]:
    """Patient diagnosis, cancer against benign, by each patient's largest value."""
    table = lidc_diagnosis.read(diagnosis, lidc_diagnosis.LidcSettings(kind="lidc_diagnosis", metastases="cancer"))
    known = {str(p): cancer == "1" for p, cancer in table["cancer"].items()}
    ids = [p for p in np.unique(kept.patients[kept.rated]) if p in known]
    best = {
        name: np.array([score[(kept.patients == p) & kept.rated].max() for p in ids]) for name, score in scores.items()
    }
    return auc_figure(np.array([known[p] for p in ids], dtype=bool), best, np.array(ids), repeats)


def rating_errors(kept: Samples, seen: NoduleOutputs) -> dict[str, Any]:
    """Mean absolute error in rating steps, and of always answering with the median."""
    truth, said = kept.ratings[kept.rated], seen.ratings.numpy()[kept.rated]
    errors: dict[str, Any] = {"n": len(truth)}
    for i, (name, (low, high)) in enumerate(RATING_SCALES.items()):
        network = np.abs(truth[:, i] - said[:, i]).mean()
        median = np.abs(truth[:, i] - np.median(truth[:, i])).mean()
        errors[name] = {
            "network": round(float(network * (high - low)), 3),
            "median_alone": round(float(median * (high - low)), 3),
        }
    return errors
