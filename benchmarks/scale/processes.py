"""CPU seconds of this process and of those below it, also while they run."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.memory import family

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds_of_all() -> float:
    """Of this process, of its children that have ended, and of those that run."""
    _, *below = family(os.getpid())
    return sum(os.times()[:4]) + sum(map(cpu_seconds, below))


def cpu_seconds(pid: int) -> float:
    """Of a process that runs and of its children that have ended; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS
