"""The loop: what a cut run becomes, and that a folder knows whose it is."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from runs.seeds import stream
from runs.training.loop import Learner, TrainerSettings, fit, one_cycle
from runs.training.run_folder import claim, finished
from tests.training_settings import short


class Line:
    """y = 3 x + 1 with noise, numbered."""

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng = stream("test.line", number)
        x = torch.tensor(rng.normal(size=4), dtype=torch.float32)
        return x, 3 * x + 1


class Small(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 4))
        self.seen: list[float] = []
        self.stop_at: int | None = None

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        if self.stop_at is not None and self.global_step == self.stop_at:
            raise RuntimeError("the power went")
        self.seen.append(float(batch[0][0, 0]))
        loss = (self.net(batch[0]) - batch[1]).square().mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), 1e-2)


def small(stop_at: int | None = None) -> Small:
    torch.manual_seed(0)
    module = Small()
    module.stop_at = stop_at
    return module


def settings(workers: int = 0) -> TrainerSettings:
    return short(steps=23, workers=workers, checkpoint_steps=5, log_steps=3)


def curve(out: Path) -> list[list[str]]:
    with (out / "curves.csv").open() as file:
        return list(csv.reader(file))


@pytest.mark.parametrize(("workers", "stop_at"), [(0, 13), (1, 13), (0, 15), (0, 3), (1, 22)])
def test_a_run_that_was_cut_ends_as_one_that_was_not(tmp_path: Path, workers: int, stop_at: int) -> None:
    whole, cut = small(), small(stop_at)
    fit(whole, Line(), None, settings(), 0, tmp_path / "whole")
    with pytest.raises(RuntimeError, match="the power went"):
        fit(cut, Line(), None, settings(workers), 0, tmp_path / "cut")
    again = small()
    fit(again, Line(), None, settings(workers), 0, tmp_path / "cut")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert curve(tmp_path / "whole") == curve(tmp_path / "cut")
    assert (tmp_path / "whole" / "curves.png").read_bytes() == (tmp_path / "cut" / "curves.png").read_bytes()
    assert [int(row[0]) for row in curve(tmp_path / "cut")[1:]] == [2, 5, 8, 11, 14, 17, 20]
    assert again.seen[-1] == whole.seen[-1]


def test_a_run_cut_after_its_last_step_ends_as_one_that_was_not(tmp_path: Path) -> None:
    steps = replace(settings(), steps=15)  # the last checkpoint is of the last step
    whole, again = small(), small()
    fit(whole, Line(), None, steps, 0, tmp_path)
    rows = curve(tmp_path)
    fit(again, Line(), None, steps, 0, tmp_path)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())
    assert not again.training
    assert curve(tmp_path) == rows


def test_the_averaged_weights_are_what_remains(tmp_path: Path) -> None:
    fast, slow = small(), small()
    fit(fast, Line(), None, settings(), 0, tmp_path / "a")
    slowly = short(steps=23, ema_decay=0.5, checkpoint_steps=100, log_steps=20)
    fit(slow, Line(), None, slowly, 0, tmp_path / "b")
    assert not torch.equal(fast.net[0].weight, slow.net[0].weight)


def test_a_folder_refuses_another_run_by_the_key_that_differs(tmp_path: Path) -> None:
    claim(tmp_path, {"seed": 1, "optimizer": {"lr": 0.1}}, resume=True)
    claim(tmp_path, {"seed": 1, "optimizer": {"lr": 0.1}}, resume=True)
    with pytest.raises(ValueError, match=r"optimizer\.lr=0\.1, this one has optimizer\.lr=0\.2"):
        claim(tmp_path, {"seed": 1, "optimizer": {"lr": 0.2}}, resume=True)


def test_resume_false_begins_again_and_leaves_other_files_alone(tmp_path: Path) -> None:
    claim(tmp_path, {"seed": 1}, resume=True)
    fit(small(), Line(), None, settings(), 0, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    assert (tmp_path / "checkpoints" / "last.ckpt").is_file()
    claim(tmp_path, {"seed": 2}, resume=False)
    assert not (tmp_path / "checkpoints").exists()
    assert not (tmp_path / "curves.csv").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"
    fit(small(), Line(), None, settings(), 0, tmp_path)
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["last.ckpt"]


def test_checkpoints_of_an_unknown_run_are_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ValueError, match="without"):
        claim(tmp_path, {"seed": 1}, resume=True)
    assert finished(tmp_path) is None


class Sharing(Small):
    """Notes which examples its process was given."""

    def __init__(self, noted: Path) -> None:
        super().__init__()
        self.noted = noted

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], number: int) -> torch.Tensor:
        with (self.noted / str(self.global_rank)).open("a") as file:
            file.writelines(f"{self.global_step} {float(x)!r}\n" for x in batch[0][:, 0])
        return super().training_step(batch, number)


@pytest.mark.slow
def test_several_devices_share_the_examples_of_every_step(tmp_path: Path) -> None:
    module = Sharing(tmp_path)
    before = module.net[0].weight.clone()
    fit(module, Line(), None, short(steps=3, batch=4, devices=2, strategy="ddp_fork"), 0, tmp_path / "out")
    numbered = [[(step, float(Line()[4 * step + n][0][0])) for n in range(4)] for step in range(3)]
    for device in range(2):
        rows = [line.split() for line in (tmp_path / str(device)).read_text().splitlines()]
        expected = [pair for step in numbered for pair in step[device::2]]
        assert [(int(step), float(x)) for step, x in rows] == expected
    assert not torch.equal(module.net[0].weight, before)
    assert [int(row[0]) for row in curve(tmp_path / "out")[1:]] == [0, 1, 2]
    with pytest.raises(ValueError, match=r"trainer\.batch=3 must be a multiple of the 2 devices"):
        fit(small(), Line(), None, short(batch=3, devices=2, strategy="ddp_fork"), 0, tmp_path / "odd")


class Named(Learner):
    """Two terms of its own; the second is the number it is given."""

    def __init__(self, second: float) -> None:
        super().__init__()
        self.net, self.second = torch.nn.Linear(4, 4), second

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        first = (self.net(batch[0]) - batch[1]).square().mean()
        loss = self.summed({"first": first, "second": torch.tensor(self.second)})
        assert float(loss.detach()) == pytest.approx(float(first.detach()) + self.second)
        return loss

    def configure_optimizers(self) -> dict[str, Any]:
        return one_cycle(self.net, 1e-2, 0.0, 4)


def test_losses_are_summed_and_told_and_must_be_finite(tmp_path: Path) -> None:
    four = short(steps=4, workers=0, checkpoint_steps=4, log_steps=1)
    fit(Named(2.5), Line(), None, four, 0, tmp_path / "fine")
    header, *rows = curve(tmp_path / "fine")
    assert set(header) >= {"first", "second"}
    assert {float(row[header.index("second")]) for row in rows} == {2.5}
    with pytest.raises(FloatingPointError, match=r"not finite at step 0: \{'first': .*, 'second': nan\}"):
        fit(Named(float("nan")), Line(), None, four, 0, tmp_path / "wrong")
