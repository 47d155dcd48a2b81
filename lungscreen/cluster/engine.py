"""What an engine is to this launcher: it starts jobs and says which still run. The rest is read from their folders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from lungscreen.cluster.job import Job
from lungscreen.cluster.settings import ClusterSettings


class Engine(Protocol):
    """Runs `run_job` for each job, somewhere."""

    def submit(self, jobs: Sequence[Job]) -> None:
        """Start these; called again when those before have all ended."""

    def running(self) -> int:
        """How many of those submitted have not ended, however they end."""

    def close(self) -> None:
        """Stop what still runs, and leave nothing behind that was started for it."""


def engine_of(settings: ClusterSettings) -> Engine:
    """The engine that the settings name.

    Raises:
        UsageError: it is not installed, or not there.
    """
    return _MAKERS[settings.backend](settings)


def _local(settings: ClusterSettings) -> Engine:
    from lungscreen.cluster.on_this_machine import LocalEngine

    return LocalEngine(settings.local)


def _slurm(settings: ClusterSettings) -> Engine:
    from lungscreen.cluster.on_slurm import SlurmEngine

    return SlurmEngine(settings.slurm, settings.out)


def _dask(settings: ClusterSettings) -> Engine:
    from lungscreen.cluster.on_dask import DaskEngine

    return DaskEngine(settings.dask)


def _ray(settings: ClusterSettings) -> Engine:
    from lungscreen.cluster.on_ray import RayEngine

    return RayEngine(settings.ray)


# Only the one that is used is imported.
_MAKERS: dict[str, Callable[[ClusterSettings], Engine]] = {
    "local": _local,
    "slurm": _slurm,
    "dask": _dask,
    "ray": _ray,
}
