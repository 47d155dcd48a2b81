"""The training of stage 1: it learns, it goes on where it was cut, and jobs of a sweep differ."""

import csv
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from detection import train as train_module
from detection.detector import load_detector
from detection.models.interface import Truth, build_model
from detection.train import train
from detection.training.engine import DetectorTraining
from detection.training.sampling import collate
from detection.training.settings import DataSettings, TrainSettings
from tests.patches import patches
from tests.training_settings import detection, short

TINY = replace(detection().model, widths=(4, 8, 8, 8), head_width=8)
ADAMW = detection().optimizer


def settings(out: Path, **changes: object) -> TrainSettings:
    return replace(detection(), experiment="tiny", out=out, model=TINY, trainer=short(), **changes)


@pytest.fixture
def no_chests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own chest in the place of simulated ones."""
    chest = patches().hosts
    monkeypatch.setattr(train_module, "load_hosts", lambda *_: chest)
    monkeypatch.setattr(train_module, "load_crops", lambda *_: patches().crops)


def test_one_batch_is_learnt_by_heart() -> None:
    torch.manual_seed(0)
    model = build_model(replace(TINY, widths=(8, 16, 16, 16), head_width=16))
    data = patches()
    numbered = [data[n] for n in range(60)]
    images, truth = collate([p for p in numbered if len(p.nodules)][:2])
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    losses = []
    for _ in range(80):
        terms = model.loss(images, truth)
        loss = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.usefixtures("no_chests")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_training_that_was_cut_ends_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    whole = train(settings(tmp_path / "whole"))
    step = DetectorTraining.training_step

    def dying(self: DetectorTraining, *rest: object) -> torch.Tensor:
        if self.global_step == 3:
            raise RuntimeError("the power went")
        return step(self, *rest)

    cut = settings(tmp_path / "cut")
    cut = replace(cut, trainer=replace(cut.trainer, workers=workers))
    with monkeypatch.context() as patched:
        patched.setattr(DetectorTraining, "training_step", dying)
        with pytest.raises(RuntimeError, match="power"):
            train(cut)
    assert whole.read_bytes() == train(cut).read_bytes()
    rows = list(csv.reader((tmp_path / "cut" / "curves.csv").open()))
    assert rows == list(csv.reader((tmp_path / "whole" / "curves.csv").open()))
    assert [row[0] for row in rows] == ["step", "0", "1", "2", "3", "4"]


@pytest.mark.usefixtures("no_chests")
def test_a_finished_training_is_left_as_it_is(tmp_path: Path) -> None:
    path = train(settings(tmp_path))
    before = path.read_bytes(), path.with_suffix(".json").read_bytes(), path.stat().st_mtime_ns
    assert train(settings(tmp_path)) == path
    assert before == (path.read_bytes(), path.with_suffix(".json").read_bytes(), path.stat().st_mtime_ns)


@pytest.mark.usefixtures("no_chests")
def test_another_setting_is_refused_in_the_same_folder(tmp_path: Path) -> None:
    train(settings(tmp_path))
    with pytest.raises(ValueError, match=r"optimizer\.lr=0\.002, this one has optimizer\.lr=0\.001"):
        train(settings(tmp_path, optimizer=replace(ADAMW, lr=1e-3)))
    with pytest.raises(ValueError, match=r"seed=0, this one has seed=2"):
        train(settings(tmp_path, seed=2))
    # How fast it goes is no other training.
    quick = settings(tmp_path)
    train(replace(quick, trainer=replace(quick.trainer, threads=1)))
    other = train(settings(tmp_path, seed=2, resume=False))
    assert json.loads(other.with_suffix(".json").read_text())["training"]["seed"] == 2


@pytest.mark.usefixtures("no_chests")
def test_the_card_says_how_to_make_the_weights_again_and_no_path(tmp_path: Path) -> None:
    path = train(settings(tmp_path, data=DataSettings(nodules=tmp_path / "secret" / "lidc_nodules")))
    card = json.loads(path.with_suffix(".json").read_text())
    assert str(tmp_path) not in path.with_suffix(".json").read_text()
    assert card["data"]["nodules"] == "lidc_nodules"
    assert card["preparation"] == {"spacing_mm": 1.0, "window_hu": [-1000.0, 400.0]}
    assert "fold 0 of 4" in card["split"]
    assert {"commit", "overrides", "versions", "command"} <= set(card)
    detector = load_detector(path)
    assert detector.provenance["detector"] == "tiny"
    assert "tile_candidates" in detector.provenance["detector_inference"]


@pytest.mark.usefixtures("no_chests")
def test_weights_made_for_another_preparation_are_refused(tmp_path: Path) -> None:
    path = train(settings(tmp_path))
    card = json.loads(path.with_suffix(".json").read_text())
    card["preparation"]["spacing_mm"] = 0.7
    path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(ValueError, match=r"spacing_mm.*0\.7"):
        load_detector(path)


def test_a_step_runs_where_the_batch_is() -> None:
    """Anchors and matches stayed on the CPU: the first step failed on a GPU.

    Fake tensors refuse to mix devices as a GPU does; `meta` stands for it, as torch without CUDA cannot index fake
    tensors that claim to be there.
    """
    model = build_model(TINY).to("meta")
    with FakeTensorMode(allow_non_fake_inputs=True):
        truth = Truth(*(torch.empty(s, device="meta") for s in ((2, 3, 4), (2, 1, 4), (2, 8, 8, 8))))
        images = torch.empty(2, 1, 32, 32, 32, device="meta")
        terms = model.loss(images, truth)
        torch.stack(list(terms.values())).sum().backward()
    assert {term.device.type for term in terms.values()} == {"meta"}
    with FakeTensorMode(allow_non_fake_inputs=True), pytest.raises(RuntimeError, match=r"devices"):
        model.loss(images, truth._replace(known=torch.empty(2, 8, 8, 8)))


@pytest.mark.slow
def test_jobs_of_a_sweep_are_trainings_of_their_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "detection.train", "-m", "experiment=detector_smoke", "seed=1,2"]
    subprocess.run([*command, f"out={tmp_path}"], check=True, capture_output=True, cwd=Path(__file__).parents[1])
    weights = sorted(tmp_path.glob("*/weights.safetensors"))
    assert len(weights) == 2
    assert weights[0].read_bytes() != weights[1].read_bytes()
    seeds = [json.loads(w.with_suffix(".json").read_text())["training"]["seed"] for w in weights]
    assert seeds == [1, 2]


@pytest.mark.slow
def test_a_killed_sweep_goes_on_with_the_trial_that_was_cut(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    command = [sys.executable, "-m", "detection.train", "-m", "sweep=optuna", "experiment=detector_smoke"]
    command += [f"out={tmp_path}", "hydra.sweeper.trials=2", "trainer.steps=40", "trainer.checkpoint_steps=1"]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
        while not list(tmp_path.glob("1-*/checkpoints/last.ckpt")):
            assert started.poll() is None
            time.sleep(0.05)
        started.kill()
    (first,) = tmp_path.glob("0-*/weights.safetensors")
    (cut,) = tmp_path.glob("1-*")
    assert not (cut / "weights.safetensors").exists()
    before = first.stat().st_mtime_ns
    subprocess.run(command, check=True, capture_output=True, cwd=root)
    assert first.stat().st_mtime_ns == before
    table = list(csv.DictReader((tmp_path / "trials.csv").open()))
    assert {row["folder"] for row in table} == {first.parent.name, cut.name}
    assert {row["state"] for row in table} == {"complete"}
    steps = [int(row["step"]) for row in csv.DictReader((cut / "curves.csv").open())]
    assert steps == list(range(40))
