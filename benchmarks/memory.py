"""What a command and its workers hold at once: proportional set sizes summed, so that shared pages count once."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

INTERVAL_S = 0.02
PROC = Path("/proc")


def run_watched(command: Sequence[str]) -> tuple[str, float]:
    """Standard output of a command, and the most it held at once in GiB, looked at fifty times a second (Linux).

    Raises:
        subprocess.CalledProcessError: the command failed.
    """
    most = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            most = max(most, sum(proportional_kib(pid) for pid in family(process.pid)))
            time.sleep(INTERVAL_S)
        assert process.stdout is not None
        out = process.stdout.read()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    return out, most / 1024**2


def family(pid: int) -> list[int]:
    """A process and all that come from it; those that have ended are left out."""
    found = [pid]
    for parent in found:
        for children in PROC.glob(f"{parent}/task/*/children"):
            try:
                found.extend(int(child) for child in children.read_text().split())
            except OSError:
                continue
    return found


def proportional_kib(pid: int) -> int:
    """Resident memory, pages that several processes share divided among them; 0 once it has ended."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
