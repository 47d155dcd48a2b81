"""Shards on Dask, whose workers die: the joined bytes are those of one run that nobody touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import clusters


@pytest.mark.slow
def test_a_worker_that_dies_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    whole = clusters.make_cohort(tmp_path, 6)
    out = tmp_path / "dask"
    with clusters.launched(tmp_path, "dask", out) as started:
        clusters.await_records(out, 2, started)
        (busy, *_) = clusters.processes(out, "tethered")
        worker = clusters.parent(busy)
        clusters.kill([worker])
        said = clusters.ended(started)
    assert clusters.results(out) == whole
    assert "error" not in said.lower().replace("commclosederror", "")
    assert clusters.processes(out, "tethered") == []
