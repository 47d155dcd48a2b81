"""`python -m benchmarks.reading PATH [--beside CHECKOUT]`: CPU seconds and peak memory of finding and reading scans.

Each run is a process of its own, its imports not counted, its worker processes included. With `--beside` the code of
another checkout reads the same files, in turns with this one, so that what else the machine does strikes both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[1]
# Knows nothing but the two functions that every version has.
CHILD = """
import json, os, pathlib, sys, time
from preprocessing.intake.find import find_scans
from preprocessing.intake.volume_reader import read_volume

def stat(pid):  # user and system time of a process and of those it waited for, s
    words = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")

def peak(pid):
    lines = open(f"/proc/{pid}/status").read().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20

source, number = pathlib.Path(sys.argv[1]), int(sys.argv[2])
me = os.getpid()
cpu, wall = stat(me), time.perf_counter()
scan = find_scans(source)[number]
found = stat(me) - cpu
volume = read_volume(scan)
wall = time.perf_counter() - wall
workers = open(f"/proc/self/task/{me}/children").read().split()
everybody = sum(map(stat, (me, *workers))) - cpu
row = {"find": found, "read": everybody - found, "wall": wall, "gb": sum(map(peak, (me, *workers)))}
print(json.dumps(row | {"slices": volume.hu.shape[0], "name": scan.patient_id}))
"""


def main() -> None:
    """Print a row a scan and checkout."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=__doc__)
    parser.add_argument("path", type=Path, help="as INPUT of make detect")
    parser.add_argument("--beside", type=Path, help="another checkout of this repository")
    parser.add_argument("--repeats", type=int, default=3, help="the median of so many runs is shown")
    args = parser.parse_args()
    from preprocessing.intake.find import find_scans

    scans = find_scans(args.path)
    print(f"median of {args.repeats} runs; CPU seconds to find and to read, seconds on the clock, GB")
    print(f"{'scan':24} {'code':12} {'slices':>6} {'find':>6} {'read':>6} {'wall':>6} {'GB':>6}")
    checkouts = [HERE, *([args.beside.resolve()] if args.beside else [])]
    for number in (k for k, scan in enumerate(scans) if scan.refused is None):
        turns = [[measure(args.path.resolve(), number, code) for code in checkouts] for _ in range(args.repeats)]
        for code, rows in zip(checkouts, zip(*turns, strict=True), strict=True):
            find, read, wall, gb = (
                statistics.median(float(r[k]) for r in rows) for k in ("find", "read", "wall", "gb")
            )
            name, slices = str(rows[0]["name"])[:24], rows[0]["slices"]
            print(
                f"{name:24} {code.name[:12]:12} {slices:6} {find:6.2f} {read:6.2f} {wall:6.2f} {gb:5.2f}", flush=True
            )


def measure(path: Path, number: int, checkout: Path) -> dict[str, float | str]:
    """One scan read once by the code of `checkout`."""
    command = [sys.executable, "-c", CHILD, str(path), str(number)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=checkout)
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
