"""Shards on Dask, whose workers die: the joined bytes are those of one run that nobody touched.

A cohort of 24 with more attacks: `LUNGSCREEN_SCANS=24 pytest -m slow tests/test_lungscreen_cluster_dask.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import clusters


@pytest.mark.slow
def test_a_worker_that_dies_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    scans = clusters.scans_wanted(6)
    whole = clusters.make_cohort(tmp_path, scans)
    out, killed = tmp_path / "dask", 0
    with clusters.launched(tmp_path, "dask", out, "resubmit=12") as started:
        for wanted in range(2, scans - 2, 4):
            clusters.await_records(out, wanted, started)
            for busy in clusters.processes(out, "tethered")[:1]:
                clusters.kill([clusters.parent(busy)])
                killed += 1
        said = clusters.ended(started, 3000)
    assert killed
    assert clusters.results(out) == whole
    assert "error" not in said.lower().replace("commclosederror", "")
    assert clusters.processes(out, "tethered") == []
