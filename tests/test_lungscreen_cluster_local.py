"""Shards on this machine, killed again and again: the joined bytes are those of one run that nobody touched."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from lungscreen.cluster.engine import engine_of
from lungscreen.cluster.settings import ClusterSettings
from runs.entry import UsageError, compose_settings
from runs.seeds import stream
from tests import clusters


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """Where it is, and what one run leaves of it."""
    folder = tmp_path_factory.mktemp("cohort")
    return folder, clusters.make_cohort(folder, 7)


@pytest.mark.slow
def test_killed_shards_are_submitted_again_and_joined_to_the_bytes_of_one_run(
    cohort: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    folder, whole = cohort
    moments = sorted(stream("tests.kills", 0).choice(range(1, 6), 2, replace=False))
    with clusters.launched(folder, "local", tmp_path) as started:
        for wanted in moments:
            clusters.await_records(tmp_path, int(wanted), started)
            clusters.kill(clusters.processes(tmp_path, "tethered")[:1])
        said = clusters.ended(started)
    assert "submitted again" in said
    assert clusters.results(tmp_path) == whole


@pytest.mark.slow
def test_a_launcher_that_is_killed_takes_its_shards_along_and_goes_on(
    cohort: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    folder, whole = cohort
    with clusters.launched(folder, "local", tmp_path) as started:
        clusters.await_records(tmp_path, 2, started)
        started.send_signal(signal.SIGKILL)
        started.wait()
    before = {path: path.stat().st_mtime_ns for path in records(tmp_path)}
    with clusters.launched(folder, "local", tmp_path) as started:
        clusters.ended(started)
    assert clusters.results(tmp_path) == whole
    assert len(before) > 1
    assert all(path.stat().st_mtime_ns == made for path, made in before.items())
    assert clusters.processes(tmp_path, "tethered") == []


def records(out: Path) -> list[Path]:
    return [path for path in out.glob("shards/*/journal/*.json") if path.name != "run.json"]


@pytest.mark.slow
def test_a_mistake_in_the_options_is_said_once_and_not_tried_again(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.mha").write_bytes(b"no header at all")
    bad = "options=['weights=unheard-of']"
    with clusters.launched(tmp_path, "local", tmp_path / "out", "shards=1", bad) as started:
        said, _ = started.communicate(timeout=300)
    assert started.returncode == 2
    assert said.splitlines()[-1].startswith("error: shard 1-of-1: no weights at 'unheard-of'")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("backend=kubernetes", "backend= must be one of local, slurm, dask, ray; got kubernetes"),
        ("command=train", "command= must be one of classify, detect; got train"),
        ("shards=0", "shards must be at least 1"),
        ("slurm.minutes=0", "slurm.minutes must be at least 1"),
        ("options=['shard=1/2']", "options= are key=value, without input, out, shard, retry, listing; got shard=1/2"),
        ("options=[cache]", "got cache"),
        ("retry=some", "retry= must be one of none, failed, all"),
    ],
)
def test_wrong_options_are_refused(override: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        compose_settings(ClusterSettings, "cluster", [override])
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("backend", "package", "extra"),
    [("slurm", "submitit", "cluster"), ("dask", "dask", "cluster"), ("ray", "ray", "ray")],
)
def test_an_engine_that_is_not_installed_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    settings = compose_settings(ClusterSettings, "cluster", [f"backend={backend}", f"out={tmp_path}"])
    with pytest.raises(UsageError, match=rf"backend={backend} is not installed: pip install 'lungscreen\[{extra}\]'"):
        engine_of(settings)


def test_the_numbers_stand_in_yaml() -> None:
    made = compose_settings(ClusterSettings, "cluster", ["+slurm.more.account=lung", "python=[apptainer,exec]"])
    assert (made.shards, made.local.at_once, made.slurm.minutes, made.dask.workers) == (4, 2, 1440, 2)
    assert (made.slurm.more, made.python) == ({"account": "lung"}, ["apptainer", "exec"])
