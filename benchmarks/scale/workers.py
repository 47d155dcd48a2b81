"""`python -m benchmarks.scale.workers [INPUT]`: two workers beside two pinned single-thread processes.

`detection.detect`, nothing cached: one process on one CPU; two such processes, each on a CPU of its own with half of
the scans, which is what the machine can do; `workers=1` and `workers=2` on all CPUs. A lane is a process that works on
scans. Rates are between the first scan and the last that each lane finishes: starting and listing are not compared.
Memory is what all processes hold at once, shared pages divided. The efficiency is the rate of `workers=2` over that of
the two pinned processes; the machine must be idle.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.memory import family, proportional_kib
from benchmarks.scale.processes import cpu_seconds
from detection.detect import source_of
from preprocessing.intake.find import find_scans
from preprocessing.journal.folder import IDENTITY

POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to work on scans.

    Attributes:
        name: in the table.
        halves: which parts of the scans each process takes.
        workers: of each process; 0: itself.
        pinned: whether each process has a CPU of its own.
    """

    name: str
    halves: tuple[str, ...]
    workers: int
    pinned: bool


KINDS = (
    Kind("one process, pinned", ("a",), 0, True),
    Kind("two processes, pinned", ("a", "b"), 0, True),
    Kind("workers=1", ("a",), 1, False),
    Kind("workers=2", ("both",), 2, False),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured.

    Attributes:
        rate: scans a minute.
        cpu_s: of all processes, a scan, start included.
        gb: most that they held at once.
    """

    rate: float
    cpu_s: float
    gb: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.workers", description=__doc__)
    parser.add_argument("path", type=Path, nargs="?", help="as INPUT of make detect; left out: phantoms")
    parser.add_argument("--scans", type=int, default=12, help="an even number of them")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = lay_out(source_of(args.path, args.scans), args.scans, folder)
        print(f"{count} scans, half of them where one lane works; {os.cpu_count()} CPUs")
        print(f"{'':22} {'scans/min':>9} {'CPU s a scan':>12} {'GB':>5}")
        rows = {}
        for kind in KINDS:
            row = rows[kind.name] = measure(kind, folder)
            print(f"{kind.name:22} {row.rate:9.2f} {row.cpu_s:12.2f} {row.gb:5.2f}", flush=True)
    two = rows["workers=2"].rate
    print(f"efficiency: {two / rows['two processes, pinned'].rate:.2f} of two pinned processes, ", end="")
    print(f"{two / (2 * rows['workers=1'].rate):.2f} of twice workers=1")


def lay_out(source: Path, most: int, folder: Path) -> int:
    """Folders `a`, `b` and `both` of links to scans of equal halves; how many there are.

    Raises:
        SystemExit: fewer than four scans can be read.
    """
    scans = [scan for scan in find_scans(source) if not scan.refused][:most]
    scans = scans[: len(scans) // 2 * 2]
    if len(scans) < 4:
        raise SystemExit(f"expected at least four scans under {source}, got {len(scans)}")
    for number, scan in enumerate(scans):
        for half in ("ab"[number % 2], "both"):
            here = folder / half / f"{number:04}"
            here.mkdir(parents=True)
            for index, path in enumerate(scan.paths):
                (here / f"{index:04}{path.suffix}").symlink_to(path.absolute())
    return len(scans)


def measure(kind: Kind, folder: Path) -> Row:
    """One kind, all of its processes at the same time."""
    outs = [folder / "out" / kind.name / half for half in kind.halves]
    started = [
        subprocess.Popen(_command(kind, cpu, folder / half, out), env=os.environ | {"OMP_NUM_THREADS": "1"},
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for cpu, (half, out) in enumerate(zip(kind.halves, outs, strict=True))
    ]  # fmt: skip
    gb, cpu_s = 0.0, [0.0] * len(started)
    while any(process.poll() is None for process in started):
        families = [family(process.pid) for process in started]
        gb = max(gb, sum(map(proportional_kib, itertools.chain(*families))) / 1024**2)
        # Of one that has ended nothing can be asked any more.
        cpu_s = [max(most, sum(map(cpu_seconds, pids))) for most, pids in zip(cpu_s, families, strict=True)]
        time.sleep(POLL_SECONDS)
    if failed := [process.returncode for process in started if process.returncode]:
        raise SystemExit(f"{kind.name} ended with {failed}")
    ended = [
        sorted(path.stat().st_mtime for path in (out / "journal").glob("*.json") if path.name != IDENTITY)
        for out in outs
    ]
    return Row(sum(rate_of(times, max(kind.workers, 1)) for times in ended), sum(cpu_s) / sum(map(len, ended)), gb)


def rate_of(ended: Sequence[float], lanes: int) -> float:
    """Scans a minute of so many lanes, whose first ones are not counted.

    Args:
        ended: in order, when each scan was finished, s.
        lanes: that worked at the same time.
    """
    return 60 * (len(ended) - lanes) / (ended[-1] - ended[lanes - 1])


def _command(kind: Kind, cpu: int, source: Path, out: Path) -> list[str]:
    pinned = ["taskset", "--cpu-list", str(sorted(os.sched_getaffinity(0))[cpu])] if kind.pinned else []
    options = [f"input={source}", f"out={out}", f"workers={kind.workers}", "cache=false"]
    return [*pinned, sys.executable, "-m", "detection.detect", *options]


if __name__ == "__main__":
    main()
