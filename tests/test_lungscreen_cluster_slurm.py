"""Shards on a Slurm of one node, its tasks cancelled: the joined bytes are those of one run that nobody touched.

Needs Debian's `slurm-wlm` and `munge`, and root: the daemons are started here, on this machine alone. A cohort of 24
with more attacks: `LUNGSCREEN_SCANS=24 pytest -m slow tests/test_lungscreen_cluster_slurm.py`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import clusters
from tests.slurm_node import restarts, slurm, tasks

__all__ = ["slurm"]  # a fixture


@pytest.mark.slow
@pytest.mark.usefixtures("slurm")
def test_cancelled_tasks_are_submitted_again_and_joined_to_the_bytes_of_one_run(tmp_path: Path) -> None:
    scans = clusters.scans_wanted(6)
    whole = clusters.make_cohort(tmp_path, scans)
    out = tmp_path / "out"
    small = ["slurm.cpus=1", "slurm.memory_gb=0", "slurm.minutes=30", "resubmit=12"]
    with clusters.launched(tmp_path, "slurm", out, *small) as started:
        for number, wanted in enumerate(range(1, scans - 2, 2)):
            clusters.await_records(out, wanted, started)
            if number % 2:
                clusters.kill(clusters.processes(out, "tethered")[:1])
            else:
                for task in tasks()[:1]:
                    subprocess.run(["scancel", task], check=True)
        said = clusters.ended(started, 3000)
    assert "submitted again" in said
    assert clusters.results(out) == whole
    assert tasks() == []


@pytest.mark.slow
@pytest.mark.usefixtures("slurm")
def test_tasks_that_are_preempted_or_warned_go_on_from_the_queue(tmp_path: Path) -> None:
    whole = clusters.make_cohort(tmp_path, 6)
    out = tmp_path / "out"
    # Nothing is submitted again: what is lost here would stay lost.
    small = ["slurm.cpus=1", "slurm.memory_gb=0", "slurm.minutes=30", "resubmit=0"]
    with clusters.launched(tmp_path, "slurm", out, *small) as started:
        clusters.await_records(out, 1, started)
        # What comes before the time limit, and before preemption where Slurm is told to send it.
        subprocess.run(["scancel", "--signal=USR2", tasks()[0]], check=True)
        clusters.await_records(out, 3, started)
        # A job of more weight takes the whole node: what runs there is put back into the queue.
        urgent = ["sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=true"]
        subprocess.run(urgent, check=True, capture_output=True, cwd=tmp_path)
        said = clusters.ended(started, 900)
        again = restarts()
    assert again >= 2
    assert "submitted again" not in said
    assert clusters.results(out) == whole
    assert tasks() == []


@pytest.mark.slow
@pytest.mark.usefixtures("slurm")
def test_trainings_of_a_sweep_have_a_folder_each(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    command = [
        sys.executable, "-m", "detection.train", "-m", "experiment=detector_smoke", "hydra/launcher=slurm",
        "hydra.launcher.partition=debug", "hydra.launcher.cpus_per_task=1", "hydra.launcher.gpus_per_node=null",
        "hydra.launcher.mem_gb=1", "optimizer.lr=0.001,0.002", "seed=1,2", f"out={tmp_path}",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, cwd=clusters.ROOT)
    weights = sorted(tmp_path.glob("*/weights.safetensors"))
    folders = [
        f"{n}-optimizer.lr={lr},seed={s}" for n, (lr, s) in enumerate(((0.001, 1), (0.001, 2), (0.002, 1), (0.002, 2)))
    ]
    assert [path.parent.name for path in weights] == folders
    assert len({path.read_bytes() for path in weights}) == 4
