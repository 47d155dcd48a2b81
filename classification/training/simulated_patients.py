"""Simulated patients for stage b: real nodules and real tissue in bags, labelled by a published risk law.

No public CT collection with nodules has one-year outcomes for more than some hundred patients. Until real labels
are used, the bag learns the PanCan law (McWilliams et al., NEJM 2013, model 2b) on the readers' ratings, with the
terms a CT does not show (age, sex, family, emphysema, lobe) at typical values. It is a prior, not an outcome.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from classification.bags.interface import BagInputs
from classification.network import RATING_SCALES, NoduleOutputs
from classification.training.samples import Samples
from classification.training.settings import SimulatedPatients
from phantom.risk import pancan_risk, patient_risk
from runs.seeds import stream


@dataclass(frozen=True, slots=True, eq=False)
class Bags:
    """B patients with K places, and their chance (B,) in [0, 1] of a cancer."""

    inputs: BagInputs
    label: torch.Tensor


def nodule_risks(samples: Samples) -> npt.NDArray[np.float64]:
    """(N,) PanCan risks of rated nodules, 0 for all others."""
    names = list(RATING_SCALES)
    columns = {
        n: RATING_SCALES[n][0] + (RATING_SCALES[n][1] - RATING_SCALES[n][0]) * samples.ratings[:, names.index(n)]
        for n in ("spiculation", "texture", "calcification")
    }
    risks, rated = np.zeros(len(samples)), samples.rated
    for i in np.flatnonzero(rated):
        count = int((samples.patients[rated] == samples.patients[i]).sum())
        spiculation, texture, calcification = (float(columns[n][i]) for n in columns)
        risks[i] = pancan_risk(float(samples.diameter_mm[i]), spiculation, texture, calcification, count)
    return risks


def draw_bags(samples: Samples, answers: NoduleOutputs, settings: SimulatedPatients, top_k: int, seed: int) -> Bags:
    """Patients with the nodules of one LIDC patient (a third with none) and false candidates beside them.

    Args:
        samples: nodules and tissue.
        answers: the network's, for the same examples.
        settings: how many, and what a detector says of them.
        top_k: places in a bag, filled by score.
        seed: of the draw.

    Raises:
        ValueError: there are no rated nodules.
    """
    rng = stream("classification.bag", seed)
    risks, rated = nodule_risks(samples), samples.rated
    ids = np.unique(samples.patients[rated])
    if not len(ids):
        raise ValueError("bags need nodules, got none")
    groups = [np.flatnonzero((samples.patients == p) & rated) for p in ids]
    false = np.flatnonzero(~samples.is_nodule)
    shape = (settings.bags, top_k)
    index, score, present = np.zeros(shape, int), np.full(shape, 0.5), np.zeros(shape, bool)
    label = np.zeros(settings.bags)
    for b in range(settings.bags):
        true = groups[int(rng.integers(len(groups)))] if rng.random() > 1 / 3 else np.zeros(0, int)
        wrong = rng.choice(false, min(int(rng.integers(settings.max_false + 1)), len(false)), replace=False)
        logits = np.concatenate(
            [rng.normal(*settings.score_true, len(true)), rng.normal(*settings.score_false, len(wrong))]
        )
        members = np.concatenate([true, wrong]).astype(int)
        best = np.argsort(-logits, kind="stable")[:top_k]
        n = len(best)
        index[b, :n], score[b, :n], present[b, :n] = members[best], 1 / (1 + np.exp(-logits[best])), True
        label[b] = patient_risk(risks[true])
    where = torch.from_numpy(index)
    return Bags(
        BagInputs(
            answers.nodule[where].clone(),
            answers.malignancy[where].clone(),
            torch.from_numpy(score).float(),
            torch.from_numpy(samples.diameter_mm)[where],
            torch.from_numpy(present),
        ),
        torch.from_numpy(label).float(),
    )
