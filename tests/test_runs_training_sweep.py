"""A sweep by Optuna: trials are judged, remembered and ranked, and one that was cut ends as one that was not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from hydra.core.config_store import ConfigStore

from runs.csv_text import read_csv
from runs.entry import STOPPED, run
from runs.training.sweep_settings import SweepSettings

optuna = pytest.importorskip("optuna")
Task = Callable[["Small"], "dict[str, float] | None"]
SEARCH = ("lr=interval(0.0,4.0)", "hydra.sweeper.startup=2")


@dataclass(frozen=True)
class Small:
    out: Path = Path("outputs")
    lr: float = 1.0
    kind: str = "a"
    fixed: int = 0
    whole: int = 0
    resume: bool = True


@pytest.fixture(autouse=True)
def small_config() -> None:
    defaults = [
        "small_sweep_schema", "plain", "_self_", {"override hydra/job_logging": "stdout"},
        {"override hydra/sweeper": "optuna"},
    ]  # fmt: skip
    ConfigStore.instance().store(name="small_sweep", node={"defaults": defaults})


class Sweeps:
    """Starts a sweep as the command line does, and keeps the settings of every job."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.jobs: list[Small] = []

    def __call__(self, task: Task, out: Path, trials: int, *arguments: str) -> pd.DataFrame:
        words = [f"out={out}", f"hydra.sweeper.trials={trials}", *arguments]
        self.monkeypatch.setattr(sys, "argv", ["prog", "-m", *words])

        def kept(settings: Small) -> dict[str, float] | None:
            self.jobs.append(settings)
            settings.out.mkdir(parents=True, exist_ok=True)
            return task(settings)

        run(kept, Small, "small_sweep")
        return read_csv(out / "trials.csv", keep_default_na=False)


@pytest.fixture
def sweeps(monkeypatch: pytest.MonkeyPatch) -> Sweeps:
    return Sweeps(monkeypatch)


def parabola(settings: Small) -> dict[str, float]:
    return {"loss": (settings.lr - 1) ** 2}


def test_trials_are_ranked_by_the_objective(sweeps: Sweeps, tmp_path: Path) -> None:
    table = sweeps(parabola, tmp_path, 6, *SEARCH)
    assert list(table.columns) == ["trial", "state", "loss", "lr", "folder"]
    assert sorted(table["trial"]) == [0, 1, 2, 3, 4, 5]
    assert table["loss"].tolist() == sorted((job.lr - 1) ** 2 for job in sweeps.jobs)
    assert table["loss"].tolist() == pytest.approx(((table["lr"] - 1) ** 2).tolist())
    assert set(table["state"]) == {"complete"}
    # A folder for every trial, and the one that the table names.
    assert len({job.out for job in sweeps.jobs}) == 6
    for row in table.itertuples():
        assert sweeps.jobs[row.trial].out == tmp_path / row.folder
        assert row.folder == f"{row.trial}-lr={sweeps.jobs[row.trial].lr}"


def test_the_largest_is_first_when_it_is_maximised(sweeps: Sweeps, tmp_path: Path) -> None:
    table = sweeps(parabola, tmp_path, 4, *SEARCH, "hydra.sweeper.direction=maximize")
    assert table["loss"].tolist() == sorted(table["loss"], reverse=True)


def test_figures_are_no_exit_status(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["prog", f"out={tmp_path}"])
    run(parabola, Small, "small_sweep")


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 2])
def test_a_sweep_that_was_cut_ends_as_one_that_was_not(sweeps: Sweeps, tmp_path: Path, at_once: int) -> None:
    search = (*SEARCH, f"hydra.sweeper.at_once={at_once}")
    whole = sweeps(parabola, tmp_path / "whole", 6, *search)
    wanted = [job.lr for job in sweeps.jobs]
    sweeps.jobs.clear()

    def dying(settings: Small) -> dict[str, float]:
        if len(sweeps.jobs) == 5:
            raise KeyboardInterrupt
        return parabola(settings)

    with pytest.raises(SystemExit) as ended:
        sweeps(dying, tmp_path / "cut", 6, *search)
    assert ended.value.code == STOPPED
    sweeps.jobs.pop()
    if at_once == 2:  # the launcher had not answered yet: trials 4 and 5 begin again
        assert len(sweeps.jobs) == 4
    again = sweeps(parabola, tmp_path / "cut", 6, *search)
    assert [job.lr for job in sweeps.jobs] == wanted
    assert [job.out.name for job in sweeps.jobs] == [f"{n}-lr={lr}" for n, lr in enumerate(wanted)]
    assert again.equals(whole)


@pytest.mark.slow
def test_a_finished_sweep_goes_on_when_more_trials_are_asked_for(sweeps: Sweeps, tmp_path: Path) -> None:
    first = sweeps(parabola, tmp_path, 3, *SEARCH)
    assert sweeps(parabola, tmp_path, 3, *SEARCH).equals(first)
    assert len(sweeps.jobs) == 3
    more = sweeps(parabola, tmp_path, 5, *SEARCH)
    assert len(sweeps.jobs) == 5
    assert set(first["folder"]) < set(more["folder"])


@pytest.mark.slow
def test_resume_false_begins_again(sweeps: Sweeps, tmp_path: Path) -> None:
    first = sweeps(parabola, tmp_path, 2, *SEARCH)
    assert sweeps(parabola, tmp_path, 2, *SEARCH, "resume=false").equals(first)
    assert [job.resume for job in sweeps.jobs] == [True, True, False, False]


def test_a_trial_cut_while_it_was_proposed_has_failed(sweeps: Sweeps, tmp_path: Path) -> None:
    sweeps(parabola, tmp_path, 1, *SEARCH)
    optuna.load_study(study_name="sweep", storage=f"sqlite:///{tmp_path}/study.db").ask()
    table = sweeps(parabola, tmp_path, 3, *SEARCH)
    assert dict(zip(table["trial"], table["state"], strict=True)) == {0: "complete", 1: "fail", 2: "complete"}
    assert table["folder"].tolist()[-1] == ""


def test_values_that_break_a_training_fail_their_trial_alone(sweeps: Sweeps, tmp_path: Path) -> None:
    def breaking(settings: Small) -> dict[str, float]:
        if len(sweeps.jobs) == 1:
            raise FloatingPointError("the loss is not finite at step 3")
        return {"loss": float("nan")} if len(sweeps.jobs) == 2 else parabola(settings)

    table = sweeps(breaking, tmp_path, 4, *SEARCH, "hydra.sweeper.failures=2")
    assert table["state"].tolist() == ["complete", "complete", "fail", "fail"]
    assert sorted(table["trial"][2:]) == [0, 1]


def test_too_many_failures_end_the_sweep_with_the_last(sweeps: Sweeps, tmp_path: Path) -> None:
    def broken(_: Small) -> dict[str, float]:
        raise ZeroDivisionError(f"job {len(sweeps.jobs)}")

    with pytest.raises(ZeroDivisionError, match="job 2"):
        sweeps(broken, tmp_path, 9, *SEARCH, "hydra.sweeper.failures=1")


@pytest.mark.slow
def test_choices_arrive_as_they_were_typed(sweeps: Sweeps, tmp_path: Path) -> None:
    sweeps(
        parabola, tmp_path, 8, "kind='x y',z", "whole=int(interval(3,4))", "fixed=7", "lr=tag(log,interval(.001,.1))"
    )
    assert {job.kind for job in sweeps.jobs} == {"x y", "z"}
    assert {job.whole for job in sweeps.jobs} == {3, 4}
    assert {job.fixed for job in sweeps.jobs} == {7}
    assert all(1e-3 <= job.lr <= 1e-1 for job in sweeps.jobs)
    assert all(job.out.name.startswith(f"{k}-kind=") for k, job in enumerate(sweeps.jobs))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*SEARCH, "hydra.sweeper.objective=cpm"], "objective=cpm is no figure of this command; it has loss"),
        (["fixed=3"], "nothing to search"),
        ([*SEARCH, "hydra.sweeper.direction=up"], "must be minimize or maximize, got 'up'"),
        ([*SEARCH, "hydra.sweeper.trials=0"], "hydra.sweeper.trials must be at least 1, got 0"),
        ([*SEARCH, "hydra.sweeper.trials=many"], "many"),
        (["lr=interval(2,1)"], "expected the lower bound first"),
        (["lr=tag(log,interval(0,1))"], "above 0"),
        (["learning=interval(0.0,1.0)"], "learning"),
        (["fixed=interval(0.0,1.0)"], "fixed"),
    ],
)  # fmt: skip
def test_what_the_user_can_mend_is_one_line(
    sweeps: Sweeps, tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        sweeps(parabola, tmp_path, 2, *arguments)
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("error: ")
    assert said in lines[-1]


def test_another_sweep_is_refused_in_the_same_folder(
    sweeps: Sweeps, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweeps(parabola, tmp_path, 1, *SEARCH)
    for argument, key in (
        ("fixed=3", "fixed=0"),
        ("lr=interval(0.0,5.0)", "hydra.sweeper.params.lr=interval(0.0,4.0)"),
    ):
        with pytest.raises(SystemExit):
            sweeps(parabola, tmp_path, 2, *SEARCH, argument)
        assert key in capsys.readouterr().err
    assert len(sweeps.jobs) == 1


def test_without_optuna_the_line_names_the_extra(
    sweeps: Sweeps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SystemExit):
        sweeps(parabola, tmp_path, 1, *SEARCH)
    assert capsys.readouterr().err == "error: sweep=optuna needs optuna: pip install 'lungscreen[sweep]'\n"


def test_the_target_is_the_class_that_hydra_finds() -> None:
    from hydra.core.plugins import Plugins

    assert SweepSettings._target_ in Plugins.instance().class_name_to_class
