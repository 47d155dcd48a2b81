"""Answers for patients that a network has not seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from classification.network import NoduleNetwork, NoduleOutputs
from classification.settings import ModelSettings
from classification.training import fit
from classification.training.samples import Samples, folds_of
from classification.training.settings import TrainSettings
from preprocessing.splits import SplitSettings
from tests.nodules import MODEL, balls
from tests.training_settings import classification


def test_each_example_is_answered_by_the_network_that_has_not_seen_its_fold(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    samples = balls(24)  # six patients, four examples each, in folds 1, 2, 3, 1, 2, 3
    asked: list[tuple[int, set[str], int]] = []

    def network(learnt: Samples, _: TrainSettings, fold: int, total: int, out: Path) -> int:
        asked.append((fold, {*learnt.patients.tolist()}, total))
        assert out == tmp_path / "folds" / str(fold)
        return fold

    def said(fold: int, unseen: Samples, _: ModelSettings) -> NoduleOutputs:
        assert not asked[-1][1] & {*unseen.patients.tolist()}
        n = len(unseen)
        diameter = torch.from_numpy(unseen.diameter_mm)
        return NoduleOutputs(torch.full((n,), float(fold)), diameter, torch.zeros(n, 8))

    monkeypatch.setattr(fit, "fold_network", network)
    monkeypatch.setattr(fit, "answers", said)
    settings = replace(classification(), model=MODEL)
    found = fit.out_of_fold(samples, settings, tmp_path)
    folds = folds_of(samples, settings.data.split)
    assert found.nodule.tolist() == folds.tolist()
    assert found.malignancy.tolist() == samples.diameter_mm.tolist()
    assert [(fold, total) for fold, _, total in asked] == [(1, 24), (2, 24), (3, 24)]


def test_nodules_of_one_fold_only_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least two folds"):
        fit.out_of_fold(balls(4), replace(classification(), model=MODEL), tmp_path)


def test_a_fold_makes_its_share_of_the_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[int, int]] = []

    def network(_: Samples, settings: TrainSettings, seed: int, steps: int, out: Path) -> NoduleNetwork:
        asked.append((seed, steps))
        return NoduleNetwork(MODEL.widths, MODEL.hidden)

    monkeypatch.setattr(fit, "fit_network", network)
    settings = replace(classification(), model=MODEL)
    learnt = balls(16)
    first = fit.fold_network(learnt, settings, 1, 24, tmp_path / "1")
    again = fit.fold_network(learnt, settings, 1, 24, tmp_path / "1")  # finished: read, not trained
    fit.fold_network(learnt, settings, 2, 24, tmp_path / "2")
    assert [steps for _, steps in asked] == [533, 533]  # 800 * 16 / 24
    assert asked[0][0] != asked[1][0]
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_pasted_nodules_go_with_the_scan_they_were_pasted_into() -> None:
    samples = balls(16)
    samples.ratings[0] = np.nan  # the first patient's two nodules are now another scan's, with nothing known of them
    samples.ratings[2] = np.nan
    samples.patients[[0, 2]] = samples.patients[5]
    folds = folds_of(samples, SplitSettings())
    assert samples.rated.tolist() == [False, False, False, *[i % 2 == 0 for i in range(3, 16)]]
    assert folds[0] == folds[2] == folds[5]


def test_scans_of_tissue_take_the_folds_in_turn() -> None:
    one = "LIDC-IDRI-0003"
    samples = replace(balls(8), patients=np.array([one, "d", one, "b", one, "c", one, "a"]))
    # sha256("LIDC-IDRI-0003") begins with 93: 4 * 0x93 / 256 = 2.3, so fold 2.
    assert folds_of(samples, SplitSettings()).tolist() == [2, 1, 2, 2, 2, 3, 2, 1]
    assert folds_of(samples, SplitSettings(held_out_fold=None)).tolist() == [2, 0, 2, 1, 2, 2, 2, 3]
    # Tissue of a patient with nodules stays with them.
    samples.patients[1] = one
    assert folds_of(samples, SplitSettings())[1] == 2
    assert np.unique(folds_of(balls(24), SplitSettings())).tolist() == [1, 2, 3]
