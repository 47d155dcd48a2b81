"""What the benches of scale count."""

from __future__ import annotations

import pytest

from benchmarks.scale.workers import rate_of


def test_rates_leave_out_what_each_lane_finishes_first() -> None:
    # One lane: three scans in 30 s after the first one. Two: four in 20 s after the first two.
    assert rate_of([7.0, 17.0, 27.0, 37.0], 1) == pytest.approx(6.0)
    assert rate_of([7.0, 7.5, 17.0, 17.5, 27.0, 27.5], 2) == pytest.approx(12.0)
