"""Shards as one array of Slurm, submitted by submitit.

Which tasks still run is asked of `squeue`: accounting (`sacct`), which many small clusters do not have, is not needed.
A task that is requeued after preemption goes on where it stopped.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lungscreen.cluster.job import Job, run_job
from lungscreen.cluster.settings import SlurmSettings
from runs.entry import UsageError

# Where submitit keeps its own, below the results.
FOLDER = "shards/submitit"


class SlurmEngine:
    """An array a round.

    Args:
        settings: what is asked for.
        out: folder of results, which all nodes see.

    Raises:
        UsageError: no submitit, or no Slurm.
    """

    def __init__(self, settings: SlurmSettings, out: Path) -> None:
        try:
            import submitit
        except ImportError:
            raise UsageError("backend=slurm is not installed: pip install 'lungscreen[cluster]'") from None
        if shutil.which("sbatch") is None:
            raise UsageError("backend=slurm needs Slurm's commands on this machine; there is no sbatch")
        self.executor = submitit.SlurmExecutor(out / FOLDER)
        self.executor.update_parameters(**_asked(settings))
        self.arrays: list[str] = []

    def submit(self, jobs: Sequence[Job]) -> None:
        """One array of them."""
        made = self.executor.map_array(_Preemptible(), jobs)
        self.arrays = sorted({job.job_id.partition("_")[0] for job in made})

    def running(self) -> int:
        """Tasks that wait, run or end."""
        if not self.arrays:
            return 0
        command = ["squeue", "--noheader", "--array", "--format=%i", f"--jobs={','.join(self.arrays)}"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            return len(asked.stdout.split())
        # What it says of jobs that it has forgotten. Of a controller that does not answer nothing is known.
        return 0 if "Invalid job id" in asked.stderr else len(self.arrays)

    def close(self) -> None:
        """Take what is left out of the queue."""
        if self.arrays:
            subprocess.run(["scancel", *self.arrays], capture_output=True, check=False)


class _Preemptible:
    """`run_job`, which submitit may submit again: a shard goes on by itself."""

    def __call__(self, job: Job) -> int:
        return run_job(job)

    def checkpoint(self, job: Job) -> Any:
        """What is to be run after a requeue: the same."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, job)


def _asked(settings: SlurmSettings) -> dict[str, Any]:
    """The settings as submitit takes them."""
    asked: dict[str, Any] = {
        "job_name": "lungscreen",
        "time": settings.minutes,
        "cpus_per_task": settings.cpus,
        "array_parallelism": settings.at_once,
        "setup": list(settings.setup),
        "stderr_to_stdout": True,
        "additional_parameters": dict(settings.more),
    }
    if settings.partition:
        asked["partition"] = settings.partition
    if settings.memory_gb:
        asked["mem"] = f"{settings.memory_gb}GB"
    if settings.gpus:
        asked["gpus_per_node"] = settings.gpus
    return asked
