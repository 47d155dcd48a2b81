"""Chests held in memory and chests on disk: one stream of patches, whatever their number."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from detection.training.chests import load_hosts, open_archive, split_by
from detection.training.hosts import Held, Host
from detection.training.sampling import HybridPatches, halved
from detection.training.settings import DataSettings
from preprocessing.archives import luna16
from preprocessing.splits import SplitSettings
from tests.collections import UID, write_luna16
from tests.patches import SMALL, crop, cube

EVERYBODY = SplitSettings(held_out_fold=None, held_out_patients=())
ROOT = Path(__file__).parents[1]
# Chests of 24 MB, a third of a real one: with all of them held, 24 would take 860 MB.
PEAK = """
import re, sys, numpy as np
from pathlib import Path
from dataclasses import replace
from detection.training.hosts import Host
from detection.training.sampling import HybridPatches
from preprocessing.archives.stored import LUNGS, HU, PLACES, StoredVoxels, lung_voxels
from tests.patches import SMALL
# Of getrusage the parent's peak would come along.
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
shape = (200, 240, 250)
hosts = []
for number in range(int(sys.argv[2])):
    folder = Path(sys.argv[1]) / str(number)
    folder.mkdir(exist_ok=True)
    if not (folder / HU).exists():
        np.save(folder / HU, np.full(shape, -850, np.int16))
        np.save(folder / LUNGS, np.ones(shape, bool))
        np.save(folder / PLACES, lung_voxels(np.ones(shape, bool)))
    hosts.append(Host(StoredVoxels(folder)))
patches = HybridPatches(hosts, [], [], SMALL, 0)
for number in range(30):
    patches[number]
print(peak() - before)
"""


def settings(folder: Path, **changes: object) -> DataSettings:
    data = DataSettings(kind="luna16", hosts=(folder / "luna",), split=EVERYBODY, store=folder / "store")
    return replace(data, **changes)


@pytest.fixture(scope="module")
def luna(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    write_luna16(folder / "luna", {0: 1, 3: 1})
    return folder


def hosts_of(data: DataSettings) -> list[Host]:
    archive = open_archive(data)
    return load_hosts(split_by(data, archive), 0, archive)


def same(one: HybridPatches, other: HybridPatches, numbers: Sequence[int]) -> bool:
    pairs = [(one[n], other[n]) for n in numbers]
    return all(
        torch.equal(a.image, b.image)
        and np.array_equal(a.nodules, b.nodules)
        and np.array_equal(a.ignored, b.ignored)
        and torch.equal(a.known, b.known)
        for a, b in pairs
    )


def test_chests_on_disk_give_the_patches_of_chests_in_memory(luna: Path) -> None:
    stored = hosts_of(settings(luna))
    held = [replace(h, voxels=Held(h.voxels.hu.copy(), h.voxels.lung_mask.copy())) for h in stored]
    stored, held = ([*hosts, *(halved(host, 0.5) for host in hosts)] for hosts in (stored, held))
    for crops, cubes in (([], []), ([crop(6)], [cube(10)])):
        one, other = (HybridPatches(hosts, crops, cubes, SMALL, 3) for hosts in (stored, held))
        assert same(one, other, range(12))


def test_a_chests_own_nodules_are_taught_as_often_as_asked_without_any_to_blend_in(luna: Path) -> None:
    hosts = hosts_of(settings(luna))
    assert [(len(h.nodules), len(h.ignored)) for h in hosts] == [(1, 1), (1, 1)]
    seen = {}
    for share in (0.0, 1.0):
        data = HybridPatches(hosts, [], [], replace(SMALL, own_nodules=share), 0)
        made = [data[number] for number in range(24)]
        seen[share] = sum(len(patch.nodules) for patch in made)
        for patch in made:
            for z, y, x, _ in patch.nodules:
                if 1 <= min(z, y, x) <= max(z, y, x) <= 30:
                    # Soft tissue is .74 of the window, lung .11.
                    assert float(patch.image[0, round(z), round(y), round(x)]) > 0.4
    assert seen[1.0] >= 14
    assert seen[0.0] <= 8


def test_hosts_of_held_out_subsets_and_patients_are_left_out(luna: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(luna16, "read_patients", lambda: {f"{UID}0.1": "P1", f"{UID}3.1": "P2"})
    without_subset = hosts_of(settings(luna, split=replace(EVERYBODY, held_out_subset=3)))
    without_patient = hosts_of(settings(luna, held_out_hosts=("P1",)))
    named = [h.series_uid for hosts in (without_subset, without_patient) for h in hosts]
    assert named == [f"{UID}0.1", f"{UID}3.1"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc")
def test_memory_does_not_grow_with_the_number_of_chests(tmp_path: Path) -> None:
    peaks = {}
    for count in (3, 24):
        command = [sys.executable, "-c", PEAK, str(tmp_path), str(count)]
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT)  # writes the chests
        said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
        peaks[count] = int(said) / 1024
    assert peaks[24] < peaks[3] + 24
