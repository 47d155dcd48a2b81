"""`python -m benchmarks.speed PATH`: seconds and peak memory from DICOM to candidates, scan by scan.

Start-up (imports, weights) is not counted; each run is a process of its own, so that its peak memory is its own.
Nothing is cached. Memory is what the process and its workers hold at once (`benchmarks.memory`), watched in a run of
its own, which is not timed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.memory import run_watched


def main() -> None:
    """Print one row per scan."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("path", type=Path, nargs="?", help="as INPUT of make detect; left out: the phantom cohort")
    parser.add_argument("--repeats", type=int, default=3, help="the median of so many runs is shown")
    parser.add_argument("--scan", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    from detection.detect import source_of
    from preprocessing.intake.find import find_scans

    path = args.path or source_of(None, 8)
    if args.scan is not None:
        sys.stdout.write(json.dumps(measure(path, args.scan)))
        return
    scans = find_scans(path)
    print(f"{os.cpu_count()} CPUs; median of {args.repeats} runs; seconds")
    print(f"{'scan':24} {'slices':>6} {'find':>6} {'read':>6} {'prepare':>8} {'detect':>7} {'total':>6} {'GB':>5}")
    for number, scan in enumerate(scans):
        if scan.refused:
            print(f"{scan.patient_id[:24]:24} refused: {scan.refused}")
            continue
        rows = [_child(path, number) for _ in range(args.repeats)]
        row = {key: statistics.median(r[key] for r in rows) for key in rows[0]}
        _, row["gb"] = run_watched(_command(path, number))
        print(
            f"{scan.patient_id[:24]:24} {row['slices']:6.0f} {row['find']:6.2f} {row['read']:6.2f} "
            f"{row['prepare']:8.2f} {row['detect']:7.2f} {row['total']:6.2f} {row['gb']:5.2f}"
        )


def measure(path: Path, number: int) -> dict[str, float]:
    """One scan, once."""
    from detection.detector import load_detector
    from preprocessing.intake.find import find_scans
    from preprocessing.intake.volume_reader import read_volume
    from preprocessing.prepare import prepare

    detector = load_detector()
    marks = [time.perf_counter()]
    # The whole path is searched; a scan's share of it is what it costs.
    scans = find_scans(path)
    share = (time.perf_counter() - marks[0]) / len(scans)
    marks = [time.perf_counter()]
    volume = read_volume(scans[number])
    marks.append(time.perf_counter())
    prepared = prepare(volume)
    marks.append(time.perf_counter())
    detector.detect(prepared)
    marks.append(time.perf_counter())
    read, prepare_s, detect = (b - a for a, b in itertools.pairwise(marks))
    return {
        "slices": volume.hu.shape[0],
        "find": share,
        "read": read,
        "prepare": prepare_s,
        "detect": detect,
        "total": share + read + prepare_s + detect,
    }


def _child(path: Path, number: int) -> dict[str, Any]:
    done = subprocess.run(_command(path, number), check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _command(path: Path, number: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.speed", str(path), "--scan", str(number)]


if __name__ == "__main__":
    main()
