"""One process at a time in a folder: a second start would write into the first one's checkpoints.

The lock is the system's and ends with its process, however that ends, so none is ever left over. It is a POSIX record
lock, which processes forked from its owner do not share: workers that outlive a killed training keep nobody out.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from runs.entry import UsageError

if sys.platform != "win32":
    import fcntl

log = logging.getLogger(__name__)

LOCK = "running.lock"
WAIT_SECONDS = 0.5
# Set in the further processes of one training over several devices, which work in the folder of the first.
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")


@contextmanager
def held(out: Path, patience_s: float = 0.0) -> Iterator[None]:
    """Keep `out` for this process alone as long as the block runs.

    Args:
        out: made if missing.
        patience_s: seconds to wait for another process to be gone.

    Raises:
        UsageError: another process keeps it; says which.
    """
    if any(os.environ.get(name, "0") != "0" for name in RANKS):
        yield
        return
    out.mkdir(parents=True, exist_ok=True)
    with _awaited(out / LOCK, time.monotonic() + patience_s) as handle:
        handle.truncate(0)
        handle.write(f"{os.getpid()} on {socket.gethostname()}")
        handle.flush()
        try:
            yield
        finally:
            # While it is still ours.
            with suppress(OSError):
                (out / LOCK).unlink()


def _awaited(path: Path, until: float) -> IO[str]:
    """The locked file, at the latest at a time of the monotonic clock."""
    while True:
        try:
            return _taken(path)
        except UsageError:
            if time.monotonic() >= until:
                raise
        time.sleep(WAIT_SECONDS)


def _taken(path: Path) -> IO[str]:
    """The locked file."""
    while True:
        handle = path.open("a+", encoding="utf-8")
        try:
            _lock(handle, path)
            # Its owner may have ended and removed it since it was opened.
            if path.exists() and os.path.samestat(os.fstat(handle.fileno()), path.stat()):
                return handle
        except BaseException:
            handle.close()
            raise
        handle.close()


def _lock(handle: IO[str], path: Path) -> None:
    if sys.platform == "win32":  # has no such locks
        return
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        handle.seek(0)
        owner = handle.read() or "not known"
        raise UsageError(
            f"'{path.parent}' is in use by another start, process {owner}: wait for its end, or choose another out"
        ) from None
    except OSError as error:
        # Some file systems of clusters have no locks; two starts at once are the exception there, too.
        log.warning("%s cannot be locked (%s): start one process at a time there", path.parent, error.strerror)
