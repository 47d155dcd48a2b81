"""`python -m lungscreen.cluster.tethered MODULE key=value ...`: a command that stops when its standard input ends.

An engine's worker that is killed leaves its children behind; such a shard would keep its folder from the next start.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    """Entry point: runs MODULE as `python -m` does."""
    threading.Thread(target=_watch, daemon=True).start()
    module = sys.argv[1]
    sys.argv = [module, *sys.argv[2:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _watch() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
