"""`python -m benchmarks.scale.thousand`: a thousand tiny scans through `classify`; one in fifty kills its worker.

The scans are boxes of air in boxes of tissue, the weights those of tiny untrained networks: everything but the
networks' work is that of a real cohort. While it runs, the memory of every process and the CPU seconds of all are
written down; at the end stand a table, by fifths of the cohort, and a picture.
"""

from __future__ import annotations

import argparse
import csv
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np

import lungscreen.classify
from benchmarks.memory import family, proportional_kib
from benchmarks.scale.processes import cpu_seconds
from lungscreen.classify import Assessing, ClassifySettings
from preprocessing.intake.scan import Scan
from preprocessing.journal.folder import IDENTITY
from preprocessing.journal.record import Answer
from tests.chests import write_chest
from tests.weights import tiny_classifier, tiny_detector


@dataclass(frozen=True)
class Poisoned(Assessing):
    """The work of `classify`, except for scans that end the process."""

    def __call__(self) -> Callable[[Scan], Answer]:
        work = Assessing.__call__(self)

        def poisoned(scan: Scan) -> Answer:
            if "poison" in scan.patient_id:
                os.kill(os.getpid(), signal.SIGKILL)
            return work(scan)

        return poisoned


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at one moment.

    Attributes:
        scans: finished so far.
        cpu_s: of all processes so far.
        parent_mb, worker_mb: what each holds, shared pages divided among those that share them.
    """

    scans: int
    cpu_s: float
    parent_mb: float
    worker_mb: tuple[float, ...]


class Watch(threading.Thread):
    """Looks twice a second at this process and its workers until it is told to stop."""

    def __init__(self, journal: Path) -> None:
        super().__init__(daemon=True)
        self.journal, self.over = journal, threading.Event()
        self.samples: list[Sample] = []

    def run(self) -> None:
        """Until `over` is set."""
        while not self.over.wait(0.5):
            me, *workers = family(os.getpid())
            done = sum(path.name != IDENTITY for path in self.journal.glob("*.json"))
            held = tuple(proportional_kib(pid) / 1024 for pid in workers)
            cpu = sum(os.times()[:4]) + sum(map(cpu_seconds, workers))
            self.samples.append(Sample(done, cpu, proportional_kib(me) / 1024, held))


def main() -> None:
    """Run, print and draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.thousand", description=__doc__)
    parser.add_argument("--scans", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=int, default=50, help="one of so many kills its worker")
    parser.add_argument("--picture", type=Path, help="png of memory and CPU seconds by scans")
    args = parser.parse_args()
    # Workers find the class by the name of this module, not by `__main__`.
    from benchmarks.scale import thousand

    lungscreen.classify.Assessing = thousand.Poisoned  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        poisoned = make_scans(folder / "in", args.scans, args.every)
        settings = ClassifySettings(
            input=folder / "in", out=folder / "out", weights=tiny_detector(folder), classifier=tiny_classifier(folder),
            key_images=1, cache=False, workers=args.workers, tries=1,
        )  # fmt: skip
        watch = Watch(folder / "out" / "journal")
        watch.start()
        began = time.perf_counter()
        status = lungscreen.classify.classify(settings)
        watch.over.set()
        watch.join()
        with (folder / "out" / "scans.csv").open(encoding="utf-8", newline="") as file:
            told = Counter((row["status"], row["reason"]) for row in csv.DictReader(file))
    print(
        f"status {status}, {time.perf_counter() - began:.0f} s; {args.scans} scans, {poisoned} poisoned: {dict(told)}"
    )
    report(watch.samples, args.scans)
    if args.picture:
        draw(watch.samples, args.picture)


def make_scans(folder: Path, scans: int, every: int) -> int:
    """That many image files; how many of them are poisoned."""
    folder.mkdir()
    poisoned = [number for number in range(scans) if number % every == every // 2]
    for number in range(scans):
        kind = "poison" if number in poisoned else "patient"
        write_chest(folder / f"{number:06}-{kind}.mha", number)
    return len(poisoned)


def report(samples: list[Sample], scans: int) -> None:
    """By fifths of the cohort: CPU seconds a scan, and what is held."""
    print("scans            CPU s a scan  parent MB  largest worker MB")
    for fifth in range(5):
        low, high = fifth * scans / 5, (fifth + 1) * scans / 5
        part = [s for s in samples if low <= s.scans <= high]
        if len(part) < 2:
            continue
        rate = (part[-1].cpu_s - part[0].cpu_s) / max(part[-1].scans - part[0].scans, 1)
        parent = max(s.parent_mb for s in part)
        worker = max(max(s.worker_mb, default=0) for s in part)
        print(f"{low:6.0f} to {high:6.0f} {rate:12.2f} {parent:10.0f} {worker:18.0f}")


def draw(samples: list[Sample], path: Path) -> None:
    """Memory of every process, and CPU seconds of all, by scans."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    scans = [s.scans for s in samples]
    left.plot(scans, [s.parent_mb for s in samples], label="parent")
    for rank in range(max(len(s.worker_mb) for s in samples)):
        held = [s.worker_mb[rank] if rank < len(s.worker_mb) else np.nan for s in samples]
        left.plot(scans, held, ".", markersize=2, label=f"process {rank + 1} below it")
    left.set(xlabel="finished scans", ylabel="MB, shared pages divided", ylim=(0, None))
    left.legend()
    right.plot(scans, [s.cpu_s for s in samples])
    right.set(xlabel="finished scans", ylabel="CPU s of all processes", ylim=(0, None))
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
