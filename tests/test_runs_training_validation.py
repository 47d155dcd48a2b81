"""The best weights of a training: which they are, when it ends, and that a cut changes neither."""

from pathlib import Path

import lightning as L
import pytest
import torch

from runs.training.loop import fit
from runs.training.run_folder import last_checkpoint
from runs.training.validation import Selection, StoppingSettings
from tests.test_runs_loop import Line, curve, small
from tests.training_settings import short

SETTINGS = short(steps=24, checkpoint_steps=5, log_steps=6)


class Listed:
    """Figures in a fixed order by the step they are asked at; notes the weights that it was shown."""

    name = "figure"

    def __init__(self, figures: dict[int, float]) -> None:
        self.figures = figures
        self.shown: dict[int, torch.Tensor] = {}

    def score(self, module: L.LightningModule) -> float:
        assert not module.training
        self.shown[module.global_step] = module.net[0].weight.detach().clone()
        return self.figures[module.global_step]


RISING_THEN_FALLING = {4: 0.1, 8: 0.3, 12: 0.2, 16: 0.3, 20: 0.25, 24: 0.1}


def selection(patience: int = 0) -> tuple[Selection, Listed]:
    listed = Listed(RISING_THEN_FALLING)
    return Selection(listed, StoppingSettings(4, patience)), listed


def test_the_first_of_the_best_measured_weights_are_what_remains(tmp_path: Path) -> None:
    module, (chosen, listed) = small(), selection()
    fit(module, Line(), None, SETTINGS, 0, tmp_path, selection=chosen)
    assert list(listed.shown) == [4, 8, 12, 16, 20, 24]
    assert torch.equal(module.net[0].weight, listed.shown[8])
    assert not module.training


def test_measuring_changes_nothing_in_the_training(tmp_path: Path) -> None:
    measured, alone, (chosen, listed) = small(), small(), selection()
    fit(measured, Line(), None, SETTINGS, 0, tmp_path / "measured", selection=chosen)
    fit(alone, Line(), None, SETTINGS, 0, tmp_path / "alone")
    # After the last step the averaged weights were shown, which a training without a choice leaves.
    assert torch.equal(alone.net[0].weight, listed.shown[24])
    assert measured.seen == alone.seen


def test_a_training_ends_after_so_many_measurements_without_a_gain(tmp_path: Path) -> None:
    module, (chosen, listed) = small(), selection(patience=2)
    fit(module, Line(), None, SETTINGS, 0, tmp_path, selection=chosen)
    assert list(listed.shown) == [4, 8, 12, 16]
    assert len(module.seen) == 16
    assert torch.equal(module.net[0].weight, listed.shown[8])


def test_the_figures_stand_in_the_curve(tmp_path: Path) -> None:
    chosen, _ = selection()
    fit(small(), Line(), None, SETTINGS, 0, tmp_path, selection=chosen)
    header, *rows = curve(tmp_path)
    assert header == ["step", "figure", "loss"]
    assert {int(r[0]) + 1: float(r[1]) for r in rows if r[1]} == RISING_THEN_FALLING
    assert [int(r[0]) for r in rows if r[2]] == [5, 11, 17, 23]


@pytest.mark.parametrize("patience", [0, 2])
@pytest.mark.parametrize("stop_at", [3, 11, 13, 15])
def test_a_run_that_was_cut_chooses_as_one_that_was_not(tmp_path: Path, stop_at: int, patience: int) -> None:
    whole, cut, again = small(), small(stop_at), small()
    fit(whole, Line(), None, SETTINGS, 0, tmp_path / "whole", selection=selection(patience)[0])
    with pytest.raises(RuntimeError, match="the power went"):
        fit(cut, Line(), None, SETTINGS, 0, tmp_path / "cut", selection=selection(patience)[0])
    fit(again, Line(), None, SETTINGS, 0, tmp_path / "cut", selection=selection(patience)[0])
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert curve(tmp_path / "whole") == curve(tmp_path / "cut")


@pytest.mark.parametrize(("patience", "steps"), [(2, 24), (0, 16)])
def test_a_run_cut_between_its_end_and_its_weights_leaves_the_same(tmp_path: Path, patience: int, steps: int) -> None:
    settings = short(steps=steps, checkpoint_steps=4, log_steps=6)
    whole, again, (chosen, listed) = small(), small(), selection(patience)
    fit(whole, Line(), None, settings, 0, tmp_path, selection=chosen)
    assert int(torch.load(last_checkpoint(tmp_path), weights_only=True)["global_step"]) == 16
    fit(again, Line(), None, settings, 0, tmp_path, selection=selection(patience)[0])
    assert again.seen == []
    assert torch.equal(again.net[0].weight, listed.shown[8])


def test_a_figure_that_is_no_number_stops_the_training(tmp_path: Path) -> None:
    chosen = Selection(Listed({4: float("nan")}), StoppingSettings(4, 0))
    with pytest.raises(FloatingPointError, match="figure is not finite at step 4"):
        fit(small(), Line(), None, SETTINGS, 0, tmp_path, selection=chosen)


def test_wrong_settings_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"validation\.patience"):
        StoppingSettings(4, -1)


class ByDevice:
    """Every device rounds in its own way: the first one's figures decide for all."""

    name = "figure"

    def score(self, module: L.LightningModule) -> float:
        step = module.global_step
        return step if module.global_rank else RISING_THEN_FALLING[step]


@pytest.mark.slow
def test_several_devices_choose_the_same_weights(tmp_path: Path) -> None:
    settings = short(steps=24, batch=4, devices=2, strategy="ddp_fork", checkpoint_steps=5, log_steps=6)
    chosen = Selection(ByDevice(), StoppingSettings(4, 2))
    fit(small(), Line(), None, settings, 0, tmp_path, selection=chosen)
    assert [int(row[0]) for row in curve(tmp_path)[1:] if row[1]] == [3, 7, 11, 15]
