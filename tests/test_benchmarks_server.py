"""The load bench runs and says what became of its uploads."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httpx")

from tests.browsing import CHROMIUM
from tests.chests import write_chest
from tests.serving import ROOT


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs /proc")
@pytest.mark.parametrize("again", [[], ["--again"]])
def test_the_load_bench_counts_every_upload(again: list[str]) -> None:
    command = [sys.executable, "-m", "benchmarks.server.load", "--uploads", "3", *again]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    answered = re.findall(r"(\d+) x 202", said)
    refused = re.findall(r"(\d+) x 429 busy", said)
    assert sum(map(int, answered + refused)) == 3
    assert f"cases: {answered[0]} done\n" in said
    assert 0 < float(re.search(r"memory at once: ([\d.]+) GiB", said)[1]) < 64
    assert len(re.findall(r"^/\S* +\d+ +\d+\.\d{3} +\d+\.\d{3}$", said, re.M)) == 3


@pytest.mark.slow
def test_the_viewer_bench_opens_a_scan(tmp_path: Path) -> None:
    pytest.importorskip("playwright")
    if CHROMIUM is None:
        pytest.skip("needs Debian's chromium")
    write_chest(tmp_path / "chest.nii.gz")
    command = [sys.executable, "-m", "benchmarks.server.viewer", str(tmp_path / "chest.nii.gz")]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    first, whole = (
        float(re.search(rf"^{what} after ([\d.]+) s", said, re.M)[1]) for what in ("first picture", "all voxels")
    )
    assert 0 < first <= whole
    assert re.search(r"^120 steps: drawn in [\d.]+ ms", said, re.M)
