"""One shard as any engine runs it: a command of its own, in a process that ends with the one that started it.

Imported on the nodes before anything else, so nothing heavy is imported here.
"""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from runs.writing import write_json

# How long a shard that is told to stop may take to say goodbye.
STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Job:
    """A shard to run.

    Attributes:
        name: `3-of-16`.
        command: the program and its arguments.
        out: folder of its results.
        status: file for the exit status.
        log: what it prints.
    """

    name: str
    command: tuple[str, ...]
    out: Path
    status: Path
    log: Path


def run_job(job: Job) -> int:
    """Run a shard to its end; the exit status, negative for a signal, is also written to `job.status`.

    Runs on the node. The shard reads from a pipe that closes when this process dies, however it dies: see
    `lungscreen.cluster.tethered`.
    """
    with job.log.open("ab") as log:
        log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
        log.flush()
        started = subprocess.Popen(job.command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT)
        try:
            status = started.wait()
        finally:
            _stop(started)
    write_json(job.status, status)
    return status


def _stop(started: subprocess.Popen[bytes]) -> None:
    if started.poll() is not None:
        return
    started.terminate()
    try:
        started.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        started.kill()
        started.wait()


def status_of(job: Job) -> int | None:
    """How it ended; None: it did not, or its node died before it could say so."""
    try:
        return int(json.loads(job.status.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def last_line(job: Job) -> str:
    """What it said last."""
    try:
        lines = job.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
