"""Cards: how to make the weights again, and nothing of the machine they were made on."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from runs.training.card import commit, origin, stated, without_folders


@dataclass(frozen=True)
class Data:
    nodules: Path | None = Path("/home/someone/lidc_nodules")
    hosts: tuple[Path, ...] = (Path("/data/a"), Path("/data/b"))
    phantoms: int = 4


@dataclass(frozen=True)
class Settings:
    out: Path = Path("/home/someone/out")
    seed: int = 3
    data: Data = Data()


def test_paths_are_stated_by_their_last_name() -> None:
    said = stated(Settings(), ("out",))
    assert said == {"seed": 3, "data": {"nodules": "lidc_nodules", "hosts": ["a", "b"], "phantoms": 4}}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("data.nodules=/home/someone/lidc", "data.nodules=lidc"),
        ("data.nodules=/home/someone/lidc/", "data.nodules=lidc"),
        ("out='/home/some one/run'", "out=run"),
        ("optimizer.lr=1e-3", "optimizer.lr=1e-3"),
        ("experiment=a", "experiment=a"),
    ],
)
def test_overrides_lose_their_folders(typed: str, said: str) -> None:
    assert without_folders(typed) == said


def test_the_commit_is_asked_for_once() -> None:
    assert commit() is commit()
    made = origin("python -m x", ("numpy",))
    assert made["commit"] == commit()
    assert made["overrides"] == []
    assert set(made["versions"]) == {"numpy"}
