"""Memory of a command: what is known to be held is seen, and pages that a fork shares count once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.memory import run_watched

HOLD = "import time; held = bytearray(200 << 20); held[::4096] = b'x' * len(held[::4096]); {then}; print('done')"
ALONE = HOLD.format(then="time.sleep(.3)")
FORKED = HOLD.format(then="import os; pid = os.fork(); time.sleep(.3); pid or os._exit(0); os.wait()")


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux tells what a process holds")
@pytest.mark.parametrize("program", [ALONE, FORKED])
def test_two_hundred_mib_are_seen_once(program: str) -> None:
    out, most = run_watched([sys.executable, "-c", program])
    assert out == "done\n"
    assert 200 / 1024 < most < 300 / 1024
