"""Shards as tasks of Dask: a standing scheduler, or one on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lungscreen.cluster.job import Job, run_job
from lungscreen.cluster.settings import DaskSettings
from runs.entry import UsageError


class DaskEngine:
    """A task a shard; what its worker dies under, Dask starts again on another.

    Args:
        settings: which scheduler.

    Raises:
        UsageError: not installed, or no scheduler at that address.
    """

    def __init__(self, settings: DaskSettings) -> None:
        try:
            import dask
            import distributed
        except ImportError:
            raise UsageError("backend=dask is not installed: pip install 'lungscreen[cluster]'") from None
        dask.config.set({"distributed.scheduler.allowed-failures": settings.deaths})
        self.cluster = None
        if settings.scheduler is None:
            # A shard is a process of its own and takes the memory it needs: Dask's limit is not for it.
            self.cluster = distributed.LocalCluster(
                n_workers=settings.workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None,
                memory_limit=0,
            )  # fmt: skip
        try:
            self.client = distributed.Client(self.cluster or settings.scheduler)
        except (OSError, ValueError) as error:
            raise UsageError(f"dask.scheduler= must be an address that answers: {error}") from None
        self.futures: list[Any] = []

    def submit(self, jobs: Sequence[Job]) -> None:
        """One task each."""
        self.futures = [self.client.submit(run_job, job, pure=False) for job in jobs]

    def running(self) -> int:
        """Those that wait or run."""
        return sum(future.status == "pending" for future in self.futures)

    def close(self) -> None:
        """Take back what was not started, and end what was started for this."""
        self.client.cancel(self.futures)
        self.client.close()
        if self.cluster is not None:
            self.cluster.close()
