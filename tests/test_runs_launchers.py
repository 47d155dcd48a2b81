"""Jobs of a sweep in other processes: folders, figures, exit status and mistakes come back as from one process."""

from __future__ import annotations

import csv
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import runs.entry

ROOT = Path(runs.entry.__file__).parents[1]
PLUGINS = {"processes": "hydra_joblib_launcher", "slurm_local": "hydra_submitit_launcher"}
PROGRAM = """
import os
from dataclasses import dataclass
from pathlib import Path
from hydra.core.config_store import ConfigStore
from runs.entry import UsageError, run

@dataclass(frozen=True)
class Small:
    out: Path = Path("outputs")
    seed: int = 0

def task(settings):
    if settings.seed == 9:
        raise UsageError("seed must not be 9")
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / "pid.txt").write_text(f"{os.getppid()}")
    return settings.seed

ConfigStore.instance().store(
    name="small", node={"defaults": ["small_schema", "plain", "_self_", {"override hydra/job_logging": "stdout"}]}
)
if __name__ == "__main__":
    run(task, Small, "small")
"""


def needs(launcher: str) -> None:
    if not importlib.util.find_spec("hydra_plugins") or not importlib.util.find_spec(
        f"hydra_plugins.{PLUGINS[launcher]}"
    ):
        pytest.skip(f"{PLUGINS[launcher]} is not installed")


def started(folder: Path, *arguments: str, program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(program)
    command = [sys.executable, "program.py", "-m", "out=swept", *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", PLUGINS)
def test_every_job_has_its_folder_and_its_status_counts(launcher: str, tmp_path: Path) -> None:
    needs(launcher)
    ended = started(tmp_path, f"hydra/launcher={launcher}", "seed=0,3")
    assert sorted(p.parent.name for p in tmp_path.glob("swept/*/pid.txt")) == ["0-seed=0", "1-seed=3"]
    assert ended.returncode == 3


@pytest.mark.slow
@pytest.mark.parametrize("launcher", PLUGINS)
def test_a_mistake_in_a_job_is_said_here(launcher: str, tmp_path: Path) -> None:
    needs(launcher)
    ended = started(tmp_path, f"hydra/launcher={launcher}", "seed=0,9")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == "error: seed must not be 9"
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("launcher", PLUGINS)
def test_figures_come_back_to_optuna(launcher: str, tmp_path: Path) -> None:
    needs(launcher)
    pytest.importorskip("optuna")
    program = PROGRAM.replace("return settings.seed", 'return {"loss": float(settings.seed)}')
    search = ["hydra/sweeper=optuna", "hydra.sweeper.trials=3", "hydra.sweeper.at_once=2", "seed=int(interval(0,5))"]
    ended = started(tmp_path, f"hydra/launcher={launcher}", *search, program=program)
    assert ended.returncode == 0, ended.stderr
    with (tmp_path / "swept" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["trial"] for row in rows) == ["0", "1", "2"]
    assert [float(row["loss"]) for row in rows] == sorted(float(row["seed"]) for row in rows)
    assert all((tmp_path / "swept" / row["folder"] / "pid.txt").is_file() for row in rows)


@pytest.mark.slow
def test_two_trainings_at_the_same_time(tmp_path: Path) -> None:
    needs("processes")
    command = [sys.executable, "-m", "detection.train", "-m", "hydra/launcher=processes", "experiment=detector_smoke"]
    subprocess.run([*command, "seed=1,2", f"out={tmp_path}"], check=True, capture_output=True, cwd=ROOT)
    weights = sorted(tmp_path.glob("*/weights.safetensors"))
    assert [path.parent.name for path in weights] == ["0-seed=1", "1-seed=2"]
    assert weights[0].read_bytes() != weights[1].read_bytes()


def test_a_launcher_that_is_not_installed_is_named_with_its_extra(tmp_path: Path) -> None:
    # A plugin that is there hides behind a package that cannot be imported.
    blocked = tmp_path / "blocked" / "hydra_plugins"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("")
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "program.py", "-m", "hydra/launcher=processes", "seed=1,2"]
    env = {**os.environ, "PYTHONPATH": f"{blocked.parent}{os.pathsep}{ROOT}"}
    ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert ended.stderr == "error: hydra/launcher=processes is not installed: pip install 'lungscreen[cluster]'\n"
    assert ended.returncode == 2
