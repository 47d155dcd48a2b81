"""`python -m benchmarks.streaming [chests]`: patches of chests on disk beside the same held in memory.

Two simulated chests are prepared and stored; copies of their entries stand for the others. Prints milliseconds a patch
and how much a process that makes them grows, for both. Nothing else should run beside it.
"""

from __future__ import annotations

import multiprocessing
import re
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import SimpleITK as sitk

from detection.training.chests import WIDE
from detection.training.hosts import Held, Host
from detection.training.sampling import HybridPatches
from detection.training.settings import TrainSettings
from phantom.chest import simulate
from preprocessing.archives.stored import StoredVoxels, store_scans
from preprocessing.intake.find import find_scans
from runs.entry import compose_settings
from runs.seeds import stream

PATCHES = 60
EDGES = (64, 96)
MADE = 2


def main() -> None:
    """Print a table."""
    chests = int(sys.argv[1]) if sys.argv[1:] else 12
    with tempfile.TemporaryDirectory() as name:
        folders = _made(Path(name), chests)
        for edge in EDGES:
            for held in (False, True):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    mean, memory = pool.apply(measure, (folders, edge, held))
                kind = "in memory" if held else "on disk"
                print(f"{chests} chests {kind}, patches of {edge}: {1000 * mean:.1f} ms each, peak {memory:.0f} MB")


def measure(folders: list[Path], edge: int, held: bool) -> tuple[float, float]:
    """Mean seconds a patch, and how much the process grew at most, in MB."""
    sampling = replace(compose_settings(TrainSettings, "detection_train").sampling, patch=edge)
    before = _peak_mb()
    stored = [StoredVoxels(folder) for folder in folders]
    hosts = [Host(Held(v.hu.copy(), v.lung_mask.copy()) if held else v) for v in stored]
    patches = HybridPatches(hosts, [], [], sampling, 0)
    taken = []
    for number in range(PATCHES):
        start = time.perf_counter()
        patches[number]
        taken.append(time.perf_counter() - start)
    return statistics.mean(taken), _peak_mb() - before


def _peak_mb() -> float:
    """Most memory so far, on Linux; of getrusage the parent's would come along."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1024


def _made(folder: Path, chests: int) -> list[Path]:
    for number in range(MADE):
        volume, _ = simulate(stream("benchmarks.streaming", number))
        image = sitk.GetImageFromArray(volume.hu)
        image.SetSpacing(volume.geometry.spacing_mm)
        image.SetOrigin(volume.geometry.origin_mm)
        sitk.WriteImage(image, str(folder / f"{number}.mhd"))
    done = store_scans(find_scans(folder), folder / "store", WIDE)
    entries = [entry.voxels.folder for _, entry in done if entry is not None]
    for number in range(MADE, chests):
        copy = folder / "store" / str(number)
        copy.mkdir()
        for path in entries[number % MADE].glob("*.npy"):
            (copy / path.name).write_bytes(path.read_bytes())
        entries.append(copy)
    return entries


if __name__ == "__main__":
    main()
