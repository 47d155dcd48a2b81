"""Shards on Ray, whose workers die: the joined bytes are those of one run that nobody touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import clusters


@pytest.mark.slow
def test_a_worker_that_dies_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    scans = clusters.scans_wanted(6)
    whole = clusters.make_cohort(tmp_path, scans)
    out, killed = tmp_path / "ray", 0
    with clusters.launched(tmp_path, "ray", out, "resubmit=12") as started:
        for wanted in range(2, scans - 2, 4):
            clusters.await_records(out, wanted, started)
            for busy in clusters.processes(out, "tethered")[:1]:
                clusters.kill([clusters.parent(busy)])
                killed += 1
        clusters.ended(started, 3000)
    assert killed
    assert clusters.results(out) == whole
    assert clusters.processes(out, "tethered") == []
