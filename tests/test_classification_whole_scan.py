"""The whole-scan baseline: the grid by hand, one batch by heart, a cut training, folds, and the comparison."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from classification.whole_scan.engine import NumberedGrids, disturbed, fit_network, probabilities
from classification.whole_scan.evaluate import WholeScanEvaluateSettings, evaluate
from classification.whole_scan.network import resized
from classification.whole_scan.settings import WholeScanSettings
from classification.whole_scan.train import check_folds, labels_of, train
from phantom.chest import ChestSettings
from phantom.make import make_cohort
from preprocessing.geometry import Geometry
from preprocessing.prepare import PreparedScan
from preprocessing.splits import fold_of
from preprocessing.volume import Volume
from runs.entry import UsageError, compose_settings
from runs.seeds import stream


def settings(out: Path, *more: str) -> WholeScanSettings:
    overrides = [
        "input=scans", "labels=labels.csv", f"out={out}", "network.size=16", "network.widths=[4,8]", "trainer.steps=6",
        "trainer.batch=4", "trainer.checkpoint_steps=2", "trainer.log_steps=2", "trainer.threads=1", *more,
    ]  # fmt: skip
    return compose_settings(WholeScanSettings, "classification_whole_scan_train", overrides)


def grids(n: int = 8) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Noise, in every second grid a bright block; those are the cancers."""
    found = stream("tests.whole_scan", 0).uniform(0, 0.3, (n, 16, 16, 16)).astype(np.float32)
    found[1::2, 6:10, 6:10, 6:10] = 0.9
    return found, np.arange(n) % 2 == 1


@pytest.mark.slow
def test_every_voxel_of_the_grid_is_the_mean_of_what_falls_into_it() -> None:
    hu = np.full((4, 6, 2), -1000, np.int16)
    hu[0, 0, 0] = 400
    hu[2:, 3:, 1] = -300
    grid = Geometry(hu.shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    found = resized(PreparedScan(Volume(hu, grid, "s"), hu < 0, grid), 2)
    # Each holds 2 x 3 x 1 voxels; -1000 to 400 HU are 0 to 1.
    expected = np.zeros((2, 2, 2))
    expected[0, 0, 0], expected[1, 1, 1] = 1 / 6, 0.5
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
def test_examples_are_of_both_classes_and_the_same_each_time(tmp_path: Path) -> None:
    some, labels = grids()
    labels = np.array([True] + [False] * 7)
    learning = settings(tmp_path).learning
    examples = NumberedGrids(some, labels, learning, 3)
    assert 30 < sum(float(examples[k]["label"]) for k in range(100)) < 70
    assert torch.equal(examples[5]["grid"], NumberedGrids(some, labels, learning, 3)[5]["grid"])
    assert not torch.equal(examples[5]["grid"], NumberedGrids(some, labels, learning, 4)[5]["grid"])
    still = replace(learning, shift=0, noise=0.0)
    seen = [disturbed(some[0], still, stream("tests.whole_scan", k)) for k in range(20)]
    for grid in seen:
        assert np.array_equal(grid, some[0]) or np.array_equal(grid, some[0][:, :, ::-1])
    assert len({grid.tobytes() for grid in seen}) == 2


@pytest.mark.slow
def test_one_batch_is_learnt_by_heart_and_a_cut_training_ends_as_one_that_was_not(tmp_path: Path) -> None:
    some, labels = grids()
    wanted = settings(tmp_path, "trainer.steps=60", "learning.lr=0.02", "trainer.ema_decay=0.8", "network.dropout=0.1")
    whole = fit_network(some, labels, wanted, 0, tmp_path / "whole")
    assert ((probabilities(whole, some) > 0.5) == labels).all()

    # Cut after 30 of 60 steps: the schedule is that of 60.
    class CutError(Exception):
        pass

    plain = NumberedGrids.__getitem__

    def breaks(self: NumberedGrids, number: int) -> dict[str, torch.Tensor]:
        if number >= 31 * 4:
            raise CutError
        return plain(self, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NumberedGrids, "__getitem__", breaks)
        with pytest.raises(CutError):
            fit_network(some, labels, wanted, 0, tmp_path / "cut")
    assert (tmp_path / "cut" / "checkpoints" / "last.ckpt").is_file()
    resumed = fit_network(some, labels, wanted, 0, tmp_path / "cut").state_dict()
    other = fit_network(some, labels, wanted, 1, tmp_path / "other").state_dict()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.state_dict().items())
    assert any(not torch.equal(value, other[name]) for name, value in whole.state_dict().items())


@pytest.mark.slow
def test_labels_and_folds_that_cannot_be_learnt_from_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("id,cancer\nb,1\na,0\n")
    assert labels_of(["a", "b"], path).tolist() == [False, True]
    with pytest.raises(UsageError, match="1 of 2 have none"):
        labels_of(["a", "c"], path)
    check_folds(np.array([True, False, True, False]), np.array([0, 0, 1, 1]))
    with pytest.raises(UsageError, match="outside of fold 0 there must be patients with cancer and without"):
        check_folds(np.array([True, True, False, False]), np.array([0, 0, 1, 1]))
    with pytest.raises(UsageError, match=r"network.size must be at least 4, got 2"):
        settings(tmp_path, "network.size=2")


@pytest.mark.slow
def test_from_phantoms_to_answers_out_of_fold(tmp_path: Path) -> None:
    chest = ChestSettings(matrix=64, mean_nodules=1.0, targets_per_lung=20, thickness_mm=5.0)
    cohort = make_cohort(tmp_path / "cohort", 4, 1, chest, workers=1)
    labels = cohort / "labels.csv"
    patients = [f"PHANTOM-{i:04d}" for i in range(1, 5)]
    assert len({fold_of(p) for p in patients}) > 1
    # Whoever shares a fold is of both classes as far as possible.
    order = sorted(patients, key=fold_of)
    labels.write_text("id,cancer\n" + "".join(f"{p},{i % 2}\n" for i, p in enumerate(order)))
    wanted = replace(settings(tmp_path / "out"), input=cohort / "dicom", labels=labels)
    path = train(wanted)
    answers = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert answers["id"].tolist() == patients
    assert answers["fold"].tolist() == [fold_of(p) for p in patients]
    assert answers["cancer"].between(0, 1).all()
    card = path.with_suffix(".json").read_text()
    assert json.loads(card)["figures"]["patients_out_of_fold"]["n"] == 4
    assert str(tmp_path) not in card
    before = path.read_bytes()
    assert train(wanted).read_bytes() == before
    with pytest.raises(UsageError, match="seed"):
        train(replace(wanted, seed=1))


@pytest.mark.slow
def test_the_comparison_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labels.csv").write_text("id,cancer\na,0\nb,0\nc,1\nd,1\n")
    # One of four pairs is in the wrong order; none is.
    (tmp_path / "predictions.csv").write_text("id,cancer\na,0.1\nb,0.6\nc,0.5\nd,0.9\n")
    (tmp_path / "patients.csv").write_text("id,cancer\na,0.1\nb,0.2\nc,0.3\nd,0.4\n")
    out = tmp_path / "found.json"
    evaluate(WholeScanEvaluateSettings(tmp_path, tmp_path / "labels.csv", tmp_path / "patients.csv", out))
    found = json.loads(out.read_text())
    assert (found["n"], found["positive"]) == (4, 2)
    assert found["whole_scan"]["value"] == 0.75
    assert found["two_stages"]["value"] == 1
    assert found["difference"]["value"] == -0.25
    assert "whole scan   +0.750" in capsys.readouterr().out
