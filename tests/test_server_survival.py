"""Servers and workers that are killed: no case is lost, none is done twice, and the bytes are the same."""

from __future__ import annotations

import gzip
import logging
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")

from runs.seeds import stream
from tests.serving import Running, until
from tests.test_lungscreen_classify import write_chest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")]
log = logging.getLogger(__name__)
# The issue wants 50; so many take some minutes.
KILLS = int(os.environ.get("LUNGSCREEN_KILLS", "5"))
# Spread over the kills, so that late ones have something to strike, too.
UPLOADS = max(3, 2 * KILLS // 5)


def chest(folder: Path, seed: int) -> bytes:
    write_chest(folder / "chest.nii.gz", seed)
    return gzip.decompress((folder / "chest.nii.gz").read_bytes())


def results(running: Running, name: str) -> dict[str, bytes]:
    """Every file of the results; the voxels, too."""
    root = running.folder / "server/cases" / name / "result"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[bytes], dict[str, dict[str, bytes]]]:
    """Uploads and the results of a server that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    uploads = [chest(folder, seed) for seed in range(UPLOADS)]
    running = Running(folder)
    running.start()
    names = [running.upload(content)["id"] for content in uploads]
    for name in names:
        assert running.wait(name)["state"] == "done"
    assert [running.case(name)["attempts"] for name in names] == [1] * UPLOADS
    running.stop()
    return uploads, {name: results(running, name) for name in names}


def test_cases_survive_kills_at_any_moment(
    tmp_path: Path, undisturbed: tuple[list[bytes], dict[str, dict[str, bytes]]]
) -> None:
    uploads, expected = undisturbed
    rng = stream("tests.server.survival", 0)
    running = Running(tmp_path, f"attempts={100 + KILLS}")
    running.start()
    names, made, struck = list[str](), dict[str, int](), 0
    for kill in range(KILLS):
        # At first three, then each when its share of the kills has come.
        wanted = max(3, UPLOADS * (kill + 1) // KILLS)
        names += [running.upload(content)["id"] for content in uploads[len(names) : wanted]]
        time.sleep(float(rng.uniform(0, 1.5)))
        struck += any(running.case(name)["state"] in ("queued", "running") for name in names)
        workers = running.workers()
        if kill % 2:
            for pid in workers:
                with suppress(ProcessLookupError):  # it was ending
                    os.kill(pid, signal.SIGKILL)
        else:
            running.stop(signal.SIGKILL)
            # A worker without its server ends by itself, or two would work on one case.
            until(lambda pids=workers: not any(Path(f"/proc/{pid}/cmdline").exists() and alive(pid) for pid in pids))
            running.start()
        made = written(running, names) | made
    log.warning("%d kills, %d of them while cases waited or ran, %d cases", KILLS, struck, len(names))
    assert set(names) == set(expected)
    for name in names:
        assert running.wait(name)["state"] == "done"
        assert results(running, name) == expected[name]
    assert made.items() <= written(running, names).items()  # what was done once was never written anew
    again = [running.upload(content) for content in uploads]
    assert [(case["id"], case["state"]) for case in again] == [(name, "done") for name in names]
    assert running.client.get("/api/v1/cases").json()["total"] == len(names)
    running.stop()
    leavings = [path.name for case in (tmp_path / "server/cases").iterdir() for path in case.iterdir()]
    assert sorted(leavings) == sorted(["input", "result"] * len(names))


def written(running: Running, names: list[str]) -> dict[str, int]:
    """When each result that is there was written, in nanoseconds."""
    paths = {name: running.folder / "server/cases" / name / "result/result.json" for name in names}
    return {name: path.stat().st_mtime_ns for name, path in paths.items() if path.exists()}


def alive(pid: int) -> bool:
    """Whether a process runs: one that has ended and that nobody has asked for does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_case_that_takes_its_workers_down_fails_in_the_end_and_others_go_on(tmp_path: Path) -> None:
    running = Running(tmp_path, "attempts=2")
    running.start()
    name = running.upload(big_chest(tmp_path))["id"]
    for attempt in (1, 2):
        until(lambda wanted=attempt: running.case(name)["attempts"] == wanted and running.workers() != [])
        os.kill(running.workers()[0], signal.SIGKILL)
    over = running.wait(name)
    assert (over["state"], over["reason"]) == ("failed", "worker_died")
    other = running.upload(chest(tmp_path, 7))["id"]
    assert running.wait(other)["state"] == "done"
    running.stop()


def test_a_case_that_runs_can_be_cancelled_and_deleted(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.start()
    name = running.upload(big_chest(tmp_path))["id"]
    until(lambda: running.case(name)["state"] == "running")
    assert running.client.post(f"/api/v1/cases/{name}/cancel").json()["state"] == "cancelled"
    assert running.client.delete(f"/api/v1/cases/{name}").status_code == 204
    assert running.case(name)["reason"] == "no_such_case"
    until(lambda: running.client.get("/ready").status_code == 200)
    assert list((tmp_path / "server/cases").iterdir()) == []
    running.stop()


def big_chest(folder: Path) -> bytes:
    """A scan that takes a worker some seconds: time enough to kill it."""
    write_chest(folder / "small.nii.gz")
    hu = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "small.nii.gz")))
    image = sitk.GetImageFromArray(np.kron(hu, np.ones((3, 4, 4), np.int16)))
    image.SetSpacing((0.75, 0.75, 1.0))
    sitk.WriteImage(image, str(folder / "big.nii"))
    return (folder / "big.nii").read_bytes()
