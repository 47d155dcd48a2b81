"""What people type arrives; what they mistype is named in one line."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException

from detection.settings import TrainSettings
from preprocessing.entry import compose_settings, quoted, run

ODD = [
    "/data/study (1), a=b/Jos\u00e9's CT",
    "/data/${HOME}/x",
    "C:\\scans\\",
    '/data/"quoted" [x] {y}',
    "~/\u80ba/ct",
]


@dataclass(frozen=True)
class Small:
    out: str = "outputs"
    lr: float = 1.0


@pytest.fixture(autouse=True)
def small_config() -> None:
    ConfigStore.instance().store(
        name="small", node={"defaults": ["small_schema", "plain", "_self_", {"override hydra/job_logging": "stdout"}]}
    )


@pytest.mark.parametrize("path", ODD)
def test_odd_paths_arrive_unchanged(path: str) -> None:
    assert compose_settings(TrainSettings, "detection_train", [f"out={path}"]).out == path


def test_only_paths_are_quoted() -> None:
    assert quoted(["optimizer.lr=1e-3,2e-3", "out=a b", "--multirun", "out=null"]) == [
        "optimizer.lr=1e-3,2e-3",
        "out='a b'",
        "--multirun",
        "out=null",
    ]


@pytest.mark.parametrize("override", ["optimizer.lr=abc", "bogus=1", "+bogus=1", "data.phantoms=some"])
def test_wrong_settings_are_refused_by_name(override: str) -> None:
    with pytest.raises((HydraException, ValueError), match=override.split("=")[0].lstrip("+")):
        compose_settings(TrainSettings, "detection_train", [override])


def test_the_status_of_the_task_is_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["prog", "lr=0.5"])
    with pytest.raises(SystemExit) as ended:
        run(lambda settings: 3 if settings.lr == 0.5 else 0, Small, "small")
    assert ended.value.code == 3


def test_a_mistake_of_the_user_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def task(settings: Small) -> None:
        Path("/no/such/file").read_text()

    monkeypatch.setattr(sys, "argv", ["prog"])
    with pytest.raises(SystemExit) as ended:
        run(task, Small, "small")
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "Traceback" not in said
