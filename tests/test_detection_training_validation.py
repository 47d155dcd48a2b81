"""The FROC that the best weights are chosen by: what it counts, on whom, and that it chooses."""

import csv
from dataclasses import replace
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch

from detection import train as train_module
from detection.detector import load_detector
from detection.models.interface import DetectorModel, Found, Truth
from detection.train import load_selection, train
from detection.training import chests
from detection.training.settings import TrainSettings, ValidationSettings
from detection.training.validation import SCAN_MM3, ValidationFroc
from preprocessing.splits import SplitSettings, fold_of
from runs.entry import UsageError
from tests.patches import SMALL, crop, host, patches
from tests.training_settings import detection, short

TINY = replace(detection().model, widths=(4, 8, 8, 8), head_width=8)
FOUR = ValidationSettings(every_steps=2, patience=0, patches=4)


class Oracle(DetectorModel):
    """Says what it is told to of each patch, in the order in which it is asked."""

    def __init__(self, said: list[list[tuple[float, float, float, float, float]]]) -> None:
        super().__init__()
        self.said = iter(said)

    def loss(self, images: torch.Tensor, truth: Truth) -> dict[str, torch.Tensor]:
        raise NotImplementedError

    def find(self, image: torch.Tensor, least_score: float) -> Found:
        rows = torch.tensor([r for r in next(self.said) if r[4] >= least_score], dtype=torch.float32).reshape(-1, 5)
        half = rows[:, 3:4] / 2
        boxes = torch.cat([rows[:, :3] - half, rows[:, :3] + half], 1)
        return Found(boxes, rows[:, 4], rows[:, :3])


class Holding(L.LightningModule):
    def __init__(self, said: list[list[tuple[float, float, float, float, float]]]) -> None:
        super().__init__()
        self.model = Oracle(said)


def validation(count: int) -> ValidationFroc:
    return ValidationFroc(patches(replace(SMALL, nodules=2.0, cubes=0.5)), count, seed=3)


def perfect(of: ValidationFroc) -> list[list[tuple[float, float, float, float, float]]]:
    return [[(z, y, x, d, 0.9) for z, y, x, d in p.nodules.tolist()] for p in of.patches]


def test_who_finds_all_and_nothing_else_has_one_and_who_says_nothing_has_none() -> None:
    of = validation(6)
    assert of.score(Holding(perfect(of))) == 1.0
    assert of.score(Holding([[] for _ in of.patches])) == 0.0


def test_false_positives_are_counted_a_scan_and_not_a_patch() -> None:
    of = validation(60)
    said = perfect(of)
    # One false positive, better than all hits, far from every mark of an empty place.
    number = next(n for n, p in enumerate(of.patches) if not len(p.nodules) and not len(p.ignored))
    said[number].append((16.0, 16.0, 16.0, 6.0, 0.99))
    # Sixty patches of 32 mm hold .30 scans. One false positive is 3.3 a scan: all is found at 4 and 8, nothing below.
    assert 3 < SCAN_MM3 / (60 * 32**3) < 4
    assert of.score(Holding(said)) == pytest.approx(2 / 7)
    said[number] = [(16.0, 16.0, 16.0, 6.0, 0.5)]
    assert of.score(Holding(said)) == 1.0


def test_what_is_found_on_an_ignored_place_counts_for_nothing() -> None:
    of = validation(6)
    said = perfect(of)
    number, marks = next((n, p.ignored) for n, p in enumerate(of.patches) if len(p.ignored))
    said[number].append((*marks[0, :3].tolist(), 6.0, 0.99))
    assert of.score(Holding(said)) == 1.0


def test_the_patches_stay_the_same_and_are_not_those_of_the_training() -> None:
    one, other = validation(3), validation(3)
    for a, b in zip(one.patches, other.patches, strict=True):
        assert torch.equal(a.image, b.image)
    own = patches(replace(SMALL, nodules=2.0, cubes=0.5), seed=3)
    assert not any(torch.equal(own[n].image, p.image) for n in range(3) for p in one.patches)


def test_patches_without_a_nodule_measure_nothing() -> None:
    with pytest.raises(UsageError, match="there is none in 2"):
        ValidationFroc(patches(replace(SMALL, nodules=0.0, cubes=0.0), cubes=False), 2, seed=0)


def settings(out: Path, **changes: object) -> TrainSettings:
    changes = {"validation": FOUR, **changes}
    return replace(detection(), experiment="tiny", out=out, model=TINY, trainer=short(), **changes)


def test_training_and_validation_never_share_a_patient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = [f"LIDC-IDRI-{n:04d}" for n in range(1, 41)]
    listed = [replace(crop(6), slab=replace(crop(6).slab, patient_id=name)) for name in names]
    monkeypatch.setattr(chests, "load_nodule_crops", lambda _: listed)
    split = SplitSettings(held_out_fold=0, validation_fold=2)
    data = replace(detection().data, nodules=tmp_path, split=split)
    learnt = {c.slab.patient_id for c in chests.load_crops(data)}
    chosen_by = {c.slab.patient_id for c in chests.load_crops(data, validation=True)}
    held = {name for name in names if fold_of(name) == 0} | {"LIDC-IDRI-0001", "LIDC-IDRI-0003"}
    assert chosen_by == {name for name in names if fold_of(name) == 2} - held
    assert learnt == set(names) - held - chosen_by
    assert "weights chosen by fold 2" in split.describe()


def test_the_fold_that_measures_cannot_choose() -> None:
    with pytest.raises(UsageError, match=r"validation_fold must be another than data\.split\.held_out_fold"):
        SplitSettings(held_out_fold=1, validation_fold=1)
    with pytest.raises(UsageError, match=r"data\.split\.validation_fold must be between 0 and 3, got 4"):
        SplitSettings(validation_fold=4)


def test_nothing_to_choose_by_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"data\.split\.validation_fold"):
        load_selection(settings(tmp_path), patches())
    bare = patches()
    bare.crops, bare.cubes = [], []
    wanted = settings(tmp_path)
    with pytest.raises(UsageError, match="nodules to blend in or phantoms"):
        load_selection(replace(wanted, data=replace(wanted.data, phantoms=0)), bare)


def test_own_nodules_of_the_chests_are_ignored_when_others_are_chosen_by(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(train_module, "load_crops", lambda *_, **__: patches().crops)
    monkeypatch.setattr(train_module, "load_context", lambda *_, **__: [])
    seen: list[list[object]] = []
    monkeypatch.setattr(train_module, "ValidationFroc", lambda fixed, *_: seen.append(fixed.hosts))
    load_selection(settings(tmp_path), patches())
    (chest,) = seen[0]
    assert len(chest.nodules) == 0
    assert np.array_equal(chest.ignored, host([(40, 40, 40, 8)], [(90, 90, 90, 12)]).marked)


def test_a_training_keeps_the_weights_of_the_best_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chest = patches().hosts
    monkeypatch.setattr(train_module, "load_hosts", lambda *_: chest)
    monkeypatch.setattr(train_module, "load_crops", lambda *_, **__: patches().crops)
    last = train(settings(tmp_path / "last", validation=replace(FOUR, every_steps=0)))
    for name, figures in (("rising", [0.3, 0.4, 0.5]), ("falling", [0.5, 0.4, 0.3])):
        said = iter(figures)
        monkeypatch.setattr(ValidationFroc, "score", lambda *_, said=said: next(said))
        path = train(settings(tmp_path / name))
        rows = list(csv.DictReader((tmp_path / name / "curves.csv").open()))
        measured = {int(row["step"]) + 1: float(row["validation_cpm"]) for row in rows if row["validation_cpm"]}
        assert measured == dict(zip((2, 4, 5), figures, strict=True))
        assert (path.read_bytes() == last.read_bytes()) == (name == "rising")
    assert load_detector(path).provenance["detector"] == "tiny"


@pytest.mark.slow
def test_phantoms_alone_are_chosen_by_further_phantoms(tmp_path: Path) -> None:
    wanted = settings(tmp_path, sampling=SMALL)
    wanted = replace(wanted, data=replace(wanted.data, phantoms=1), validation=replace(FOUR, patches=12))
    of = load_selection(wanted, train_module.load_patches(wanted, (1,))[0])
    assert of is not None
    assert sum(len(p.nodules) for p in of.validation.patches) > 0
