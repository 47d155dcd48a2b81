"""Shards as processes of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from lungscreen.cluster.job import Job, run_job
from lungscreen.cluster.settings import LocalSettings


class LocalEngine:
    """A thread waits for each process.

    Args:
        settings: how many at once.
    """

    def __init__(self, settings: LocalSettings) -> None:
        self.threads = ThreadPoolExecutor(settings.at_once)
        self.futures: list[Future[int]] = []

    def submit(self, jobs: Sequence[Job]) -> None:
        """Start them as threads become free."""
        self.futures = [self.threads.submit(run_job, job) for job in jobs]

    def running(self) -> int:
        """Those that have not ended."""
        return sum(not future.done() for future in self.futures)

    def close(self) -> None:
        """Start no more; those that run end with this process, see `tethered`."""
        self.threads.shutdown(wait=False, cancel_futures=True)
