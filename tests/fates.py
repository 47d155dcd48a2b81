"""Tasks for processes of their own, by what becomes of them; importable from those processes."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from preprocessing.intake.scan import Reason, Scan, ScanError
from preprocessing.journal.record import Answer


def started() -> Callable[[str], str]:
    return _meet


def refuses() -> Callable[[str], str]:
    raise ValueError("no such weights")


def dies_at_once() -> Callable[[str], str]:
    os._exit(7)


def _meet(fate: str) -> str:
    if fate == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fate == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fate == "exits":
        os._exit(3)
    if fate == "hangs":
        time.sleep(600)
    return f"{fate} in {os.getpid()}"


@dataclass(frozen=True)
class Working:
    """Work on scans whose patients are called by their fate; a file in `trace` for each time one is begun."""

    trace: Path

    def __call__(self) -> Callable[[Scan], Answer]:
        return self._work

    def _work(self, scan: Scan) -> Answer:
        name = scan.patient_id
        times = len(list(self.trace.glob(f"{name}-*")))
        (self.trace / f"{name}-{times}").touch()
        if name.startswith("dies") and times < int(name[4:]):
            os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith("hangs"):
            time.sleep(600)
        if name.startswith("stops") and not times:
            os.kill(os.getpid(), signal.SIGTERM)
        if name.startswith("broken") and not times:
            raise RuntimeError("once")
        if name.startswith("bad"):
            raise ScanError(Reason.TRUNCATED, "half of it is missing")
        (self.trace / f"{name}.png").touch()
        return Answer(("code: said",), {"times": times}, (f"{name}.png",), {"detector": "tiny"})
