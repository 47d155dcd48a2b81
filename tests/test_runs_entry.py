"""What people type arrives; what they mistype is named in one line; what we broke keeps its traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException

import runs.entry
from detection.training.settings import TrainSettings
from runs.entry import UsageError, compose_settings, is_users, job_out, run
from runs.options import path_options, quoted

ODD = [
    "/data/study (1), a=b/Jos\u00e9's CT",
    "/data/${HOME}/x",
    "C:\\scans\\",
    '/data/"quoted" [x] {y}',
    "~/\u80ba/ct",
]


@dataclass(frozen=True)
class Below:
    nodules: Path | None = None
    hosts: tuple[Path, ...] = ()
    named: tuple[str, ...] = ()


@dataclass(frozen=True)
class Small:
    out: Path = Path("outputs")
    lr: float = 1.0
    data: Below = field(default_factory=Below)


@pytest.fixture(autouse=True)
def small_config() -> None:
    ConfigStore.instance().store(
        name="small", node={"defaults": ["small_schema", "plain", "_self_", {"override hydra/job_logging": "stdout"}]}
    )


def composed(*overrides: str) -> Small:
    return compose_settings(Small, "small", overrides)


@pytest.mark.parametrize("path", ODD)
def test_odd_paths_arrive_unchanged(path: str) -> None:
    expected = Path(path).expanduser()
    assert composed(f"out={path}").out == expected
    assert composed(f"data.nodules={path}").data.nodules == expected
    assert list(composed(f"data.hosts={path}").data.hosts) == [expected]


def test_the_types_of_the_settings_say_what_is_a_path() -> None:
    assert path_options(Small) == {"out": False, "data.nodules": False, "data.hosts": True}


def test_only_paths_are_quoted() -> None:
    given = [
        "lr=1e-3,2e-3",
        "out=a b",
        "--multirun",
        "out=null",
        "data.named=[a,b]",
        "out='a','b'",
        "+data.nodules=x,y",
    ]
    assert quoted(given, Small) == [
        "lr=1e-3,2e-3",
        "out='a b'",
        "--multirun",
        "out=null",
        "data.named=[a,b]",
        "out='a','b'",
        "+data.nodules='x,y'",
    ]


def test_lists_of_paths() -> None:
    assert list(composed("data.hosts=[/a (1),/b=c]").data.hosts) == [Path("/a (1)"), Path("/b=c")]
    assert list(composed("data.hosts=['/a, b',/c]").data.hosts) == [Path("/a, b"), Path("/c")]
    assert list(composed("data.hosts=[]").data.hosts) == []


@pytest.mark.parametrize("override", ["optimizer.lr=abc", "bogus=1", "+bogus=1", "data.phantoms=some"])
def test_wrong_settings_are_refused_by_name(override: str) -> None:
    with pytest.raises((HydraException, UsageError), match=override.split("=")[0].lstrip("+")):
        compose_settings(TrainSettings, "detection_train", [override])


def started(task: Callable[[Small], int | None], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """The exit status of a command."""
    monkeypatch.setattr(sys, "argv", ["prog", *arguments])
    with pytest.raises(SystemExit) as ended:
        run(task, Small, "small")
    return ended.value.code


def test_the_status_of_the_task_is_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(lambda settings: 3 if settings.lr == 0.5 else 0, monkeypatch, "lr=0.5") == 3


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UsageError("lr must be positive, got -1"), "error: lr must be positive, got -1\n"),
        (FileNotFoundError("no such file: /data/x"), "error: no such file: /data/x\n"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), "error: Permission denied: /data/x\n"),
        (OSError(errno.ENOSPC, "No space left on device"), "error: No space left on device\n"),
    ],
)
def test_a_mistake_of_the_user_is_one_line(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def task(settings: Small) -> None:
        raise error

    assert started(task, monkeypatch) == 2
    assert capsys.readouterr().err == line


def test_a_run_that_is_stopped_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def task(settings: Small) -> None:
        raise KeyboardInterrupt

    assert started(task, monkeypatch) == 130
    assert capsys.readouterr().err == "error: stopped; what was finished until then stands\n"


@pytest.mark.parametrize("arguments", [["inptu=1"], ["lr=many"], ["+bogus=1"], ["lr=1,2"], ["lr=(("]])
def test_a_wrong_option_is_one_line(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert started(lambda settings: 0, monkeypatch, *arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert arguments[0].partition("=")[0].lstrip("+") in said


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["prog"])

    def task(settings: Small) -> None:
        raise ValueError("shapes (3,) and (4,) do not fit")

    with pytest.raises(ValueError, match="shapes"):
        run(task, Small, "small")


def test_whose_error_it_is() -> None:
    assert is_users(FileNotFoundError(2, "No such file or directory", "/data/x"))
    assert not is_users(FileNotFoundError(2, "No such file or directory", str(Path(runs.entry.__file__).parent / "x")))
    assert not is_users(FileNotFoundError(2, "No such file or directory", f"{sys.prefix}/lib/x"))
    assert is_users(FileNotFoundError(2, "", str(Path(runs.entry.__file__).parents[1] / "outputs" / "x")))
    assert not is_users(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert not is_users(OSError("a library's word"))


def test_every_job_of_a_sweep_has_its_own_folder() -> None:
    x = Path("x")
    assert job_out(x, 0, ["seed=1"]) == Path("x/0-seed=1")
    assert job_out(x, 2, ["out='a b'", "seed=1", "data.nodules='/data/a b'"], ["out"]) == Path(
        "x/2-seed=1,data.nodules=_data_a_b"
    )
    assert job_out(x, 1, ["out=y", "seed=1"]) == x
    assert job_out(x, 3, [f"words={'w' * 500}"]).name == "3-words=" + "w" * 114
    assert job_out(x, 4, [], ["out"]) == Path("x/4")


PROGRAM = """
from dataclasses import dataclass
from pathlib import Path
from hydra.core.config_store import ConfigStore
from runs.entry import run

@dataclass(frozen=True)
class Small:
    out: Path = Path("outputs")
    seed: int = 0

def task(settings):
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / "seed.txt").write_text(str(settings.seed))

ConfigStore.instance().store(
    name="small", node={"defaults": ["small_schema", "plain", "_self_", {"override hydra/job_logging": "stdout"}]}
)
run(task, Small, "small")
"""


def test_a_sweep_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    root = str(Path(runs.entry.__file__).parents[1])
    for arguments in (["out=a b", "seed=1,2"], ["seed=1,2"], ["out='c','d'"]):
        command = [sys.executable, "program.py", "-m", *arguments]
        subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": root}, check=True)
    written = {p.relative_to(tmp_path).parent.as_posix(): p.read_text() for p in tmp_path.rglob("seed.txt")}
    swept = {"a b/0-seed=1": "1", "a b/1-seed=2": "2", "outputs/0-seed=1": "1", "outputs/1-seed=2": "2"}
    assert written == {**swept, "c": "0", "d": "0"}
    assert not (tmp_path / "multirun").exists()
