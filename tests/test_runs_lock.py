"""Two starts in one folder: the second is told who is there, and nobody is kept out by the dead."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import runs.entry
from classification import train as classification_train
from classification.training.settings import TrainSettings as NoduleSettings
from detection.train import train
from runs.entry import UsageError, compose_settings
from runs.lock import LOCK, held
from tests.training_settings import detection

ROOT = Path(runs.entry.__file__).parents[1]
# Holds a folder until its input ends; with a second argument, a forked child lives on as workers do.
PROGRAM = """
import os, sys, time
from pathlib import Path
from runs.lock import held

with held(Path(sys.argv[1])):
    child = os.fork() if len(sys.argv) > 2 else None
    if child == 0:
        time.sleep(600)
    print(child, flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(out: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PROGRAM, str(out), *more]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        started.child = started.stdout.readline().strip()  # type: ignore[attr-defined]
        try:
            yield started
        finally:
            started.kill()


def taken_by(started: subprocess.Popen[str], out: Path) -> str:
    return f"'{out}' is in use by another start, process {started.pid} on {socket.gethostname()}"


def test_the_second_start_is_told_of_the_first(tmp_path: Path) -> None:
    out = tmp_path / "runs" / "a"
    with holder(out) as first:
        with pytest.raises(UsageError) as refused, held(out):
            pass
        assert str(refused.value).startswith(taken_by(first, out))
        # Another folder is free, and so is this one when the first has ended.
        with held(tmp_path / "b"):
            pass
        first.communicate("")
        with held(out):
            assert (out / LOCK).read_text() == f"{os.getpid()} on {socket.gethostname()}"
    assert not (out / LOCK).exists()


def test_a_killed_start_keeps_nobody_out_nor_do_its_workers(tmp_path: Path) -> None:
    with holder(tmp_path, "with a child") as first:
        child = int(first.child)  # type: ignore[attr-defined]
        first.kill()
        first.wait()
        try:
            os.kill(child, 0)  # lives
            assert (tmp_path / LOCK).exists()
            with held(tmp_path):
                assert (tmp_path / LOCK).read_text().startswith(f"{os.getpid()} on ")
        finally:
            os.kill(child, signal.SIGKILL)


def test_what_fails_inside_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), held(tmp_path):
        raise ZeroDivisionError
    assert not (tmp_path / LOCK).exists()


def test_further_processes_of_one_training_come_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    with holder(tmp_path), held(tmp_path):
        pass


def test_no_training_of_either_stage_begins_where_one_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classification_train, "load_samples", lambda _: (None, None))
    nodules = compose_settings(NoduleSettings, "classification_train", ["experiment=nodule_mil", f"out={tmp_path}"])
    with holder(tmp_path) as first:
        for start in (
            lambda: train(replace(detection(), out=tmp_path, resume=False)),
            lambda: classification_train.train(nodules),
        ):
            with pytest.raises(UsageError) as refused:
                start()
            assert str(refused.value).startswith(taken_by(first, tmp_path))
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]


@pytest.mark.slow
def test_no_sweep_begins_where_one_runs(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    command = [sys.executable, "-m", "detection.train", "-m", "sweep=optuna", "experiment=detector_smoke"]
    with holder(tmp_path) as first:
        ended = subprocess.run([*command, f"out={tmp_path}"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert ended.stderr.splitlines()[-1].startswith(f"error: {taken_by(first, tmp_path)}")
    assert ended.returncode == 2
    assert not (tmp_path / "study.db").exists()
