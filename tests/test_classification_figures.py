"""What a card holds: figures with n and intervals, drawn by patient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from classification.bags.leaky_noisy_or import LeakyNoisyOr
from classification.network import NoduleOutputs
from classification.training.figures import auc_figure, held_out_figures, malignancy_figure, tissue_figure
from tests.nodules import balls
from tests.training_settings import classification


def test_figures_of_perfect_and_useless_scores() -> None:
    label, groups = np.array([0, 0, 1, 1], bool), np.array(["a", "b", "c", "d"])
    figure = auc_figure(label, {"good": np.array([1, 2, 3, 4]), "none": np.zeros(4)}, groups, 50)
    assert figure["good"]["auc"] == 1.0
    assert figure["none"] == {"auc": 0.5, "low": 0.5, "high": 0.5}
    assert "good" not in auc_figure(np.ones(4, bool), {"good": np.arange(4)}, groups, 5)


def test_ratings_of_the_middle_are_left_out() -> None:
    samples = balls(16)
    samples.ratings[0, 0] = 0.5  # one of the four large ones becomes a 3 of 5
    figure = malignancy_figure(samples, {"diameter": samples.diameter_mm}, 10)
    assert (figure["n"], figure["positive"], figure["diameter"]["auc"]) == (7, 3, 1.0)


def test_pasted_nodules_are_told_from_the_tissue_of_their_own_scan_alone() -> None:
    samples = balls(16)  # nodules at even places; each patient's tissue is of a scan of its own
    samples.ratings[[0, 4]] = np.nan
    samples.patients[[0, 4]] = samples.patients[1]
    logits = np.where(samples.is_nodule, 1.0, 0.0)
    logits[4] = -1.0
    figure = tissue_figure(samples, logits, 10)
    assert (figure["n"], figure["positive"]) == (14, 6)
    assert figure["scans"][samples.patients[1]] == {"n_tissue": 2, "n_pasted": 2, "rated": 1.0, "pasted": 0.5}
    assert "pasted" not in figure["scans"][samples.patients[5]]


def test_the_tissue_of_a_scan_is_drawn_together() -> None:
    # Two scans with 50 places each, one seen through at every place and one at none, and 50 patients with a nodule.
    # By patient the draws hold one scan, the other or both, and the AUC goes from 0 to 1; by row it could not.
    kept = balls(4).at(np.resize([0, 1], 150))
    kept.is_nodule[:] = np.arange(150) < 50
    kept.ratings[:] = np.where(kept.is_nodule[:, None], 0.5, np.nan)
    kept.patients[:] = [f"p{i}" if i < 50 else f"scan{i // 100}" for i in range(150)]
    nodule = torch.where(torch.arange(150) < 50, 0.0, torch.where(torch.arange(150) < 100, -1.0, 1.0))
    said = NoduleOutputs(nodule, torch.zeros(150), torch.zeros(150, 8))
    figure = held_out_figures(kept, said, LeakyNoisyOr(), replace(classification(), bootstrap=200))[
        "nodule_against_tissue_held_out"
    ]
    assert (figure["n"], figure["patients"]) == (150, 52)
    assert figure["scans"] == {
        "scan0": {"n_tissue": 50, "n_pasted": 0, "rated": 1.0},
        "scan1": {"n_tissue": 50, "n_pasted": 0, "rated": 0.0},
    }
    assert figure["network"] == {"auc": 0.5, "low": 0.0, "high": 1.0}
