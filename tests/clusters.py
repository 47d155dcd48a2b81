"""A cohort of tiny scans, what one uninterrupted run leaves of it, and the launcher in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import runs.entry
from lungscreen.classify import ClassifySettings, classify
from phantom.make import make_cohort as make_phantoms
from tests.chests import write_chest
from tests.weights import tiny_classifier, tiny_detector

ROOT = Path(runs.entry.__file__).parents[1]
DATA = Path(__file__).parents[2] / "shared/data"
SHARDS = 4
# A cohort of as many scans is tried by hand, and has phantoms and real scans, where those are there, among its boxes.
LARGE = 24
PHANTOMS, REAL = 4, 6


def results(folder: Path) -> dict[str, bytes]:
    """Tables, pictures and pages by their names."""
    found = [*folder.glob("*.csv"), *folder.glob("report/*"), *folder.glob("key_images/*")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def scans_wanted(usual: int) -> int:
    """Size of the cohort: `LUNGSCREEN_SCANS`, or what a test usually takes."""
    return int(os.environ.get("LUNGSCREEN_SCANS", usual))


def make_cohort(folder: Path, scans: int) -> dict[str, bytes]:
    """`folder/in` with scans and a broken one, weights beside it, and the results of one run."""
    source = folder / "in"
    source.mkdir(parents=True)
    others = 0
    if scans >= LARGE:
        make_phantoms(source / "phantoms", PHANTOMS, 5)
        real = sorted([*DATA.glob("lidc_scans/*/*"), *DATA.glob("backgrounds/*")])[-REAL:]
        for number, path in enumerate(real):
            (source / f"real-{number}").symlink_to(path, target_is_directory=True)
        others = PHANTOMS + len(real)
    for seed in range(scans - others):
        write_chest(source / f"patient-{seed}.mha", seed)
    (source / "broken.mha").write_bytes(b"no header at all")
    settings = ClassifySettings(
        input=source, out=folder / "whole", weights=tiny_detector(folder), classifier=tiny_classifier(folder),
        key_images=1, cache=False,
    )  # fmt: skip
    assert classify(settings) == 0
    return results(folder / "whole")


@contextmanager
def launched(folder: Path, backend: str, out: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m lungscreen.cluster` on that cohort."""
    options = [
        f"weights={folder / 'tiny_detector.safetensors'}", f"classifier={folder / 'tiny_classifier.safetensors'}",
        "key_images=1", "cache=false", "workers=0",
    ]  # fmt: skip
    command = [
        sys.executable, "-m", "lungscreen.cluster", f"backend={backend}", f"input={folder / 'in'}",
        f"out={out}", f"shards={SHARDS}", "poll_seconds=0.2", f"options=[{','.join(map(repr, options))}]", *more,
    ]  # fmt: skip
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=subprocess.STDOUT, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def ended(started: subprocess.Popen[str], seconds: float = 400) -> str:
    """What it said, after it ended well."""
    said, _ = started.communicate(timeout=seconds)
    assert started.returncode == 0, said
    return said


def processes(folder: Path, word: str) -> list[int]:
    """Those whose command line names the folder and the word."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and word in line:
            found.append(int(entry.name))
    return found


def await_records(out: Path, wanted: int, started: subprocess.Popen[str], seconds: float = 300) -> None:
    """Wait until so many scans are finished in all shards together."""
    until = time.monotonic() + seconds
    while sum(path.name != "run.json" for path in out.glob("shards/*/journal/*.json")) < wanted:
        assert started.poll() is None, started.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.05)


def kill(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def parent(pid: int) -> int:
    """Of a process that runs."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
