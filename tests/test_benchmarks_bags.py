"""Figures over all draws of the labels by hand; the nested folds see no patient that they answer for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import benchmarks.bags as bench
from benchmarks.bags import expected_auc, expected_calibration_error, nested, with_intervals
from classification.bags.interface import BagInputs, settings_of
from classification.bags.leaky_noisy_or import LeakyNoisyOr
from classification.network import NoduleOutputs
from phantom.risk import best_auc
from runs.seeds import stream
from tests.bags import patients
from tests.nodules import balls

ONES = np.ones(3)


def test_expected_auc_by_hand() -> None:
    truth, score = np.array([0.5, 0.2, 0.1]), np.array([3.0, 1.0, 2.0])
    # Ill before well: .5 * .8 + .5 * .9 right, .2 * .5 and .2 * .9 wrong, .1 * .8 right and .1 * .5 wrong.
    right, wrong = 0.4 + 0.45 + 0.08, 0.1 + 0.18 + 0.05
    assert expected_auc(truth, score, ONES) == pytest.approx(right / (right + wrong))
    assert expected_auc(truth, np.zeros(3), ONES) == pytest.approx(0.5)
    assert expected_auc(truth, truth, ONES) == pytest.approx(best_auc(truth))
    # Certain labels: the usual AUC, and a patient of weight 0 is not there.
    assert expected_auc(np.array([1.0, 0, 1]), np.array([3.0, 2, 1]), ONES) == pytest.approx(0.5)
    assert expected_auc(np.array([1.0, 0, 1]), np.array([3.0, 2, 1]), np.array([1.0, 1, 0])) == pytest.approx(1.0)


def test_expected_calibration_error_by_hand() -> None:
    truth, p, edges = np.array([0.1, 0.3, 0.6]), np.array([0.2, 0.3, 0.5]), np.array([0.0, 0.4, 1.0])
    # Bins of two and of one: |.1 + 0| and |-.1| of three patients.
    assert expected_calibration_error(truth, p, edges, ONES) == pytest.approx(0.2 / 3)
    assert expected_calibration_error(truth, p, edges, np.array([1.0, 1, 0])) == pytest.approx(0.1 / 2)


def test_intervals_hold_the_value_of_all() -> None:
    truth = stream("tests.bench", 0).random(60)
    found = with_intervals(lambda w: {"mean": float((w * truth).sum() / w.sum())}, 60, 200)["mean"]
    assert found["value"] == pytest.approx(truth.mean())
    assert found["low"] < found["value"] < found["high"]
    assert found["high"] - found["low"] == pytest.approx(4 * truth.std() / np.sqrt(60), rel=0.3)


def test_diagnosed_patients_keep_their_own_nodules(tmp_path: Any) -> None:
    samples = balls(12)
    names = sorted({*samples.patients[samples.is_nodule].tolist()})
    path = tmp_path / "diagnosis.csv"
    path.write_text(f"patient_id,diagnosis\n{names[0]},1\n{names[2]},2\n{names[1]},0\nnobody,1\n")
    number = torch.arange(12.0)
    inputs, label = bench.diagnosed(samples, NoduleOutputs(number, number, torch.zeros(12, 8)), path)
    assert label.tolist() == [False, True]
    for row, name in enumerate((names[0], names[2])):
        own = np.flatnonzero((samples.patients == name) & samples.is_nodule)
        assert inputs.nodule[row][inputs.present[row]].tolist() == own.tolist()
        assert inputs.diameter_mm[row][inputs.present[row]].tolist() == samples.diameter_mm[own].tolist()


def test_nobody_is_answered_for_by_a_bag_that_saw_them(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = patients(3, b=30)
    label = np.arange(30) % 3 == 0
    number = {value: i for i, value in enumerate(inputs.nodule[:, 0].tolist())}
    seen: list[set[int]] = []
    asked: list[int] = []

    def fit(_: Any, rows: BagInputs, *__: Any) -> tuple[LeakyNoisyOr, float]:
        seen.append({number[v] for v in rows.nodule[:, 0].tolist()})
        return LeakyNoisyOr(), 0.0

    def answer(_: Any, rows: BagInputs) -> Any:
        own = [number[v] for v in rows.nodule[:, 0].tolist()]
        assert not seen[-1] & {*own}
        if len(seen[-1]) + len(own) == 30:
            asked.extend(own)
        return np.full(len(own), 0.5)

    monkeypatch.setattr(bench, "fit_bag", fit)
    monkeypatch.setattr(bench, "chances", answer)
    settings = settings_of({"kind": "leaky_noisy_or", "k": None, "steps": 1, "l2": 0.0})
    assert nested(settings, inputs, label).tolist() == [0.0] * 30
    # Each patient once a repeat; every fit but that one an inner fold's.
    assert sorted(asked) == sorted([*range(30)] * bench.REPEATS)
    fits = bench.REPEATS * bench.OUTER * (1 + bench.INNER * len(bench.CHOICES))
    assert len(seen) == fits
