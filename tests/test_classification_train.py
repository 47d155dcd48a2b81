"""Stage 2's training: cut anywhere and ended alike, every patient on one side, and a card that says how it was."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from classification.classifier import load_classifier
from classification.train import load_samples, train, train_command
from classification.training.engine import NoduleTraining
from classification.training.samples import Samples
from classification.training.settings import DataSettings, TrainSettings
from preprocessing.splits import SplitSettings
from runs.entry import compose_settings
from runs.training.weights import load_weights
from tests.nodules import MODEL, balls
from tests.training_settings import classification, short

Batch = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def _balls(monkeypatch: pytest.MonkeyPatch) -> None:
    _give_balls(monkeypatch)


def _give_balls(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("classification.train.load_samples", lambda _: (balls(24), balls(8, first_patient=50)))


def settings(out: Path, workers: int = 0, **more: Any) -> TrainSettings:
    return replace(
        classification(),
        out=out,
        model=MODEL,
        bag=replace(classification().bag, steps=5),
        patients=replace(classification().patients, bags=50, detector="some-detector"),
        bootstrap=20,
        trainer=short(steps=6, batch=4, ema_decay=0.99, workers=workers, log_steps=2),
        **more,
    )


def left_in(out: Path) -> dict[str, bytes]:
    """Weights, cards and curves; checkpoints hold times."""
    kinds = (".safetensors", ".json", ".csv")
    found = {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.suffix in kinds}
    return {name: content for name, content in found.items() if not name.endswith("settings.json")}


def fail_at(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """The power goes before that training step, counted over folds and all."""
    calls = [0]
    step = NoduleTraining.training_step

    def failing(self: NoduleTraining, batch: Batch, index: int) -> torch.Tensor:
        calls[0] += 1
        if calls[0] == call:
            raise RuntimeError("the power went")
        return step(self, batch, index)

    monkeypatch.setattr(NoduleTraining, "training_step", failing)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        _give_balls(patch)
        train(settings(out))
    return out


def test_it_leaves_weights_that_load_and_a_card_that_says_how(whole: Path) -> None:
    path = whole / "weights.safetensors"
    text = path.with_suffix(".json").read_text()
    card = json.loads(text)
    assert card["figures"]["malignancy_4_5_against_1_2_lidc_held_out"]["n"] == 4
    assert card["figures"]["malignancy_4_5_against_1_2_out_of_fold"]["n"] == 12
    assert card["preparation"] == {"spacing_mm": 1.0, "window_hu": [-1000.0, 400.0]}
    assert card["split"] == SplitSettings().describe()
    assert card["data"]["settings"]["split"]["held_out_fold"] == 0
    assert card["training"]["trainer"]["steps"] == 6
    assert card["bag"] == {"kind": "leaky_noisy_or", "k": None, "steps": 5, "l2": 1e-4}
    assert {"overrides", "commit", "versions", "use"} <= card.keys()
    assert str(whole) not in text
    provenance = load_classifier(path).provenance
    assert provenance["classifier_sha256"] == card["sha256"][:16]
    assert provenance["gate_detector"] == card["gate_detector"] == "some-detector"
    # The networks of the folds go along, and answer as they did.
    members = load_classifier(path).members
    assert (len(members), card["members"]) == (3, 3)
    for fold, member in zip((1, 2, 3), members, strict=True):
        stored, _ = load_weights(whole / "folds" / str(fold) / "weights.safetensors", whole)
        assert torch.equal(member.malignancy.weight, stored["malignancy.weight"])


def test_a_sweep_judges_it_by_figures_of_nobody_who_is_held_out(whole: Path) -> None:
    figures = train_command(settings(whole))
    card = json.loads((whole / "weights.json").read_text())["figures"]
    losses = {"malignancy_loss", "nodule_loss", "rating_loss"}
    assert figures.keys() == {*losses, "loss", "malignancy_auc_out_of_fold", "bag_fresh_loss"}
    assert figures["loss"] == pytest.approx(sum(figures[name] for name in losses))
    # Other draws of the same law: near what was fitted, and not the same.
    assert figures["bag_fresh_loss"] == card["bag_fresh_loss"] != card["bag_training_loss"]
    assert figures["bag_fresh_loss"] == pytest.approx(card["bag_training_loss"], abs=0.2)
    assert figures["malignancy_auc_out_of_fold"] == card["malignancy_4_5_against_1_2_out_of_fold"]["network"]["auc"]


def test_every_fold_that_is_learnt_from_has_a_network_of_its_own(whole: Path) -> None:
    assert sorted(p.name for p in (whole / "folds").iterdir()) == ["1", "2", "3"]
    learnt = [json.loads((p / "settings.json").read_text())["fold"] for p in sorted((whole / "folds").iterdir())]
    assert learnt == [1, 2, 3]
    with (whole / "curves.csv").open() as file:
        rows = list(csv.reader(file))
    assert [int(row[0]) for row in rows[1:]] == [1, 3, 5]


# Of 24 examples 8 lie in each fold: 4 steps for each of the three folds, then 6 for the last network.
@pytest.mark.parametrize(("workers", "call"), [(0, 4), (1, 5), (0, 14), (1, 17)])
def test_a_run_that_was_killed_ends_as_one_that_was_not(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, call: int
) -> None:
    with monkeypatch.context() as patch:
        fail_at(patch, call)
        with pytest.raises(RuntimeError, match="the power went"):
            train(settings(tmp_path, workers))
    train(settings(tmp_path, workers))
    cut, uncut = left_in(tmp_path), left_in(whole)
    assert cut.keys() == uncut.keys()
    assert [name for name in cut if cut[name] != uncut[name]] == []


def test_a_run_that_was_killed_before_its_weights_were_written(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("classification.train.save_weights", lambda *_: (_ for _ in ()).throw(RuntimeError("the power")))
        with pytest.raises(RuntimeError, match="the power"):
            train(settings(tmp_path))
    train(settings(tmp_path))
    cut, uncut = left_in(tmp_path), left_in(whole)
    assert [name for name in uncut if cut.get(name) != uncut[name]] == []


def test_without_anybody_held_out_there_are_no_held_out_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everyone = balls(24)
    monkeypatch.setattr("classification.train.load_samples", lambda _: (everyone, everyone.at(np.zeros(24, bool))))
    card = json.loads(train(settings(tmp_path)).with_suffix(".json").read_text())
    out_of_fold = {f"{name}_out_of_fold" for name in ("malignancy_4_5_against_1_2", "nodule_against_tissue")}
    assert set(card["figures"]) == {"bag_training_loss", "bag_fresh_loss", *out_of_fold}


def test_a_finished_run_keeps_its_weights(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = left_in(whole)
    monkeypatch.setattr("classification.train.load_samples", lambda _: pytest.fail("read again"))
    assert train(replace(settings(whole), experiment="renamed")) == whole / "weights.safetensors"
    assert left_in(whole) == before


def test_another_run_is_refused_by_the_key(whole: Path) -> None:
    with pytest.raises(ValueError, match=r"seed=0, this one has seed=1"):
        train(settings(whole, seed=1))
    with pytest.raises(ValueError, match=r"data\.split\.held_out_fold=0, this one has data\.split\.held_out_fold=1"):
        train(settings(whole, data=replace(classification().data, split=SplitSettings(held_out_fold=1))))


def test_a_folder_is_not_claimed_for_data_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classification.train.load_samples", load_samples)
    with pytest.raises(FileNotFoundError):
        train(settings(tmp_path / "out", data=DataSettings(nodules=tmp_path / "mistyped")))
    assert not (tmp_path / "out").exists()


def test_resume_false_begins_again_with_the_folds_too(tmp_path: Path) -> None:
    short = settings(tmp_path)
    train(short)
    old = (tmp_path / "folds/1/weights.safetensors").read_bytes()
    train(replace(short, seed=1, resume=False))
    assert (tmp_path / "folds/1/weights.safetensors").read_bytes() != old


def test_shipped_experiment_composes() -> None:
    made = compose_settings(TrainSettings, "classification_train", ["experiment=nodule_mil"])
    assert made.experiment == "nodule_mil"
    assert (made.bag.kind, made.patients.detector) == ("leaky_noisy_or", "compact-v6")
    assert made.trainer.steps == 1200
    assert tuple(made.model.widths) == (16, 32, 64, 96)
    assert tuple(made.data.held_out_scans) == ("CCMD-normal001", "TCGA-DE-A4MA")
    assert all(isinstance(folder, Path) for folder in made.data.backgrounds)


def test_no_nodules_is_a_clear_error() -> None:
    with pytest.raises(ValueError, match=r"data\.nodules"):
        load_samples(replace(classification(), data=DataSettings()))


def test_patients_and_scans_of_tissue_are_on_one_side(monkeypatch: pytest.MonkeyPatch) -> None:
    split = SplitSettings(held_out_fold=None, held_out_patients=("A",))
    named = replace(balls(12), patients=np.array(["A", "a", "A", "b", "B", "c", "B", "d", "C", "e", "C", "f"]))
    given: dict[str, Any] = {}

    def tissue(
        _: DataSettings, held_out: set[str], diameters_mm: Any, seed: int, crops: list[Any]
    ) -> list[tuple[Samples, bool]]:
        given.update(held_out=held_out, diameters_mm=diameters_mm.tolist(), seed=seed, crops=crops)
        return [(balls(2).at(~balls(2).is_nodule), True), (balls(4).at(~balls(4).is_nodule), False)]

    monkeypatch.setattr("classification.train.read_nodules", lambda _: named.at(named.is_nodule))
    monkeypatch.setattr("classification.training.backgrounds.read_backgrounds", tissue)
    data = DataSettings(nodules=Path("somewhere"), backgrounds=(Path("there"),), split=split)
    learnt, kept = load_samples(replace(classification(), data=data, seed=7))
    assert set(kept.patients[kept.is_nodule]) == {"A"}
    assert set(learnt.patients[learnt.is_nodule]) == {"B", "C"}
    assert (int((~kept.is_nodule).sum()), int((~learnt.is_nodule).sum())) == (1, 2)
    # Sizes of tissue are drawn from those of the nodules that are learnt from: 20 and 5 mm in turn, A had 20 and 5.
    assert given == {"held_out": {"A"}, "diameters_mm": [20.0, 5.0, 20.0, 5.0], "seed": 7, "crops": []}
