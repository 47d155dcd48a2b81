"""Shards on Ray, whose workers die: the joined bytes are those of one run that nobody touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import clusters


@pytest.mark.slow
def test_a_worker_that_dies_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    whole = clusters.make_cohort(tmp_path, 6)
    out = tmp_path / "ray"
    with clusters.launched(tmp_path, "ray", out) as started:
        clusters.await_records(out, 2, started)
        (busy, *_) = clusters.processes(out, "tethered")
        clusters.kill([clusters.parent(busy)])
        clusters.ended(started)
    assert clusters.results(out) == whole
    assert clusters.processes(out, "tethered") == []
