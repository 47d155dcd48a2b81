"""`python -m benchmarks.scale.runtimes SCAN`: torch, ONNX Runtime and OpenVINO on one scan, in one table.

Seconds and CPU seconds are of one search of the prepared scan, the least of `--repeats` after one that is not counted;
memory is the most that the process held at all (`benchmarks.memory`), in a run of its own. Scores and places are
compared with torch in fp32: of the candidates of both that lie within 2 mm of each other the largest differences, and
the best score of a candidate that the other does not have. What is not installed is left out.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.memory import run_watched

KINDS = (("torch", "fp32"), ("torch", "bf16"), ("onnx", "fp32"), ("openvino", "fp32"), ("openvino", "bf16"))
NEEDS = {"torch": ("torch",), "onnx": ("onnx", "onnxruntime"), "openvino": ("onnx", "openvino")}
SAME_MM = 2.0


def main() -> None:
    """Print one row for each runtime and precision."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.runtimes", description=__doc__)
    parser.add_argument("scan", type=Path, help="one series")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        sys.stdout.write(json.dumps(measure(args.scan, *args.child, args.repeats, args.threads)))
        return
    print(f"{args.scan.name}, {args.threads} thread(s), least of {args.repeats}")
    print("runtime   precision  start s  seconds  CPU s   GB  candidates  score differs  mm differ  best not in both")
    reference = None
    for runtime, precision in KINDS:
        if any(find_spec(package) is None for package in NEEDS[runtime]):
            print(f"{runtime:9} {precision:9}  not installed")
            continue
        row = _row(args, runtime, precision)
        reference = reference or row
        score, place, alone = compared(reference["candidates"], row["candidates"])
        print(
            f"{runtime:9} {precision:9} {row['start']:8.2f} {row['seconds']:8.2f} {row['cpu']:6.2f} {row['gb']:4.2f} "
            f"{len(row['candidates']):11} {score:14.2g} {place:10.2g} {alone:17.2g}"
        )


def measure(path: Path, runtime: str, precision: str, repeats: int, threads: int) -> dict[str, Any]:
    """One runtime, in this process."""
    import torch

    from detection.detector import InferenceSettings, load_detector
    from preprocessing.intake.find import find_scans
    from preprocessing.prepare import default_cache, prepare_scan

    torch.set_num_threads(threads)
    (scan, *_) = [found for found in find_scans(path) if not found.refused]
    prepared = prepare_scan(scan, cache=default_cache())
    began = time.perf_counter()
    detector = load_detector(None, InferenceSettings(runtime=runtime, precision=precision))
    found = detector.detect(prepared)
    start = time.perf_counter() - began
    taken = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        detector.detect(prepared)
        taken.append((time.perf_counter() - wall, time.process_time() - cpu))
    seconds, cpu_seconds = (min(column) for column in zip(*taken, strict=True)) if taken else (0.0, 0.0)
    rows = [(*c.center_mm, c.score) for c in found]
    return {"start": start, "seconds": seconds, "cpu": cpu_seconds, "candidates": rows}


def compared(one: list[list[float]], other: list[list[float]]) -> tuple[float, float, float]:
    """Largest difference of scores and of places (mm) of common candidates; the best score that is not common.

    Args:
        one, other: rows of x, y, z in mm and score.
    """
    score = place = 0.0
    for row in one:
        if not (near := _near(row, other)):
            continue
        score, place = max(score, abs(near[3] - row[3])), max(place, math.dist(near[:3], row[:3]))
    alone = [row[3] for mine, theirs in ((one, other), (other, one)) for row in mine if not _near(row, theirs)]
    return score, place, max(alone, default=0.0)


def _near(row: list[float], others: list[list[float]]) -> list[float] | None:
    """The nearest of the others, when it is the same."""
    nearest = min(others, key=lambda other: math.dist(other[:3], row[:3]), default=None)
    return nearest if nearest and math.dist(nearest[:3], row[:3]) < SAME_MM else None


def _row(args: argparse.Namespace, runtime: str, precision: str) -> dict[str, Any]:
    own = ["--threads", str(args.threads), "--child", runtime, precision]
    command = [sys.executable, "-m", "benchmarks.scale.runtimes", str(args.scan)]
    done = subprocess.run([*command, "--repeats", str(args.repeats), *own], check=True, capture_output=True, text=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    _, row["gb"] = run_watched([*command, "--repeats", "0", *own])
    return row


if __name__ == "__main__":
    main()
