"""Shards as tasks of Ray: a standing cluster, or one on this machine."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from lungscreen.cluster.job import Job, run_job
from lungscreen.cluster.settings import RaySettings
from runs.entry import UsageError

log = logging.getLogger(__name__)

KNOCK_SECONDS = 10.0


class RayEngine:
    """A task a shard; what its worker dies under, Ray starts again on another.

    Args:
        settings: which cluster, and what a shard takes of it.

    Raises:
        UsageError: not installed, or no cluster at that address.
    """

    def __init__(self, settings: RaySettings) -> None:
        try:
            # Read when it is imported: nothing is sent home.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            import ray
        except ImportError:
            raise UsageError("backend=ray is not installed: pip install 'lungscreen[ray]'") from None
        self.ray = ray
        try:
            if settings.address is None:
                # A task that asks for more than there is waits for ever.
                ray.init(
                    num_cpus=settings.workers * settings.cpus, num_gpus=settings.workers * settings.gpus,
                    include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1",
                )  # fmt: skip
            else:
                _knock(settings.address)
                ray.init(address=settings.address, log_to_driver=False)
        except (OSError, ValueError, RuntimeError) as error:
            raise UsageError(f"ray.address= must be a cluster that answers: {error}") from None
        self._warn_of_too_much(settings)
        asked = {"num_cpus": settings.cpus, "num_gpus": settings.gpus, "max_retries": settings.deaths}
        self.task = ray.remote(**asked)(run_job)
        self.tasks: list[Any] = []

    def submit(self, jobs: Sequence[Job]) -> None:
        """One task each."""
        self.tasks = [self.task.remote(job) for job in jobs]

    def running(self) -> int:
        """Those that wait or run."""
        if not self.tasks:
            return 0
        _, left = self.ray.wait(self.tasks, num_returns=len(self.tasks), timeout=0)
        return len(left)

    def close(self) -> None:
        """Take back what was not started, and end what was started for this."""
        for task in self.tasks:
            self.ray.cancel(task, force=True)
        self.ray.shutdown()

    def _warn_of_too_much(self, settings: RaySettings) -> None:
        """Ray says nothing of a task that no node can take: it may wait for one to join, or for ever."""
        for name, wanted in (("CPU", settings.cpus), ("GPU", settings.gpus)):
            most = max((node["Resources"].get(name, 0) for node in self.ray.nodes() if node["Alive"]), default=0)
            if wanted > most:
                log.warning(
                    "ray.%ss=%d: no node has more than %d; shards wait for one that has", name.lower(), wanted, most
                )


def _knock(address: str) -> None:
    """Ray tries for four minutes to reach what does not answer.

    Raises:
        OSError: nobody listens there.
        ValueError: no port.
    """
    place = urlsplit(address if "://" in address else f"//{address}")
    if address == "auto" or place.hostname is None:
        return
    if place.port is None:
        raise ValueError(f"expected host:port, got {address}")
    socket.create_connection((place.hostname, place.port), timeout=KNOCK_SECONDS).close()
