"""What `lungscreen.cluster` takes; the numbers stand in `conf/cluster.yaml`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from preprocessing.journal.settings import Retry
from runs.checks import above, at_least
from runs.entry import UsageError

BACKENDS = ("local", "slurm", "dask", "ray")
COMMANDS = {"classify": "lungscreen.classify", "detect": "detection.detect"}
# Said by the launcher itself, for each shard.
OWN_OPTIONS = ("input", "out", "shard", "retry", "listing")


@dataclass(frozen=True)
class LocalSettings:
    """Processes of this machine.

    Attributes:
        at_once: how many shards at the same time.
    """

    at_once: int

    def __post_init__(self) -> None:
        at_least("local.at_once", self.at_once, 1)


@dataclass(frozen=True)
class SlurmSettings:
    """What is asked of Slurm for each shard.

    Attributes:
        partition: where; None: the cluster's own.
        minutes: time limit.
        cpus, gpus, memory_gb: of a shard; memory 0: the partition's own.
        at_once: how many tasks of the array run at the same time, at most.
        setup: lines of shell before the program (modules, environments).
        more: further options of sbatch, as `+slurm.more.account=lung`.
    """

    partition: str | None
    minutes: int
    cpus: int
    gpus: int
    memory_gb: int
    at_once: int
    setup: list[str] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, least in (("minutes", 1), ("cpus", 1), ("gpus", 0), ("memory_gb", 0), ("at_once", 1)):
            at_least(f"slurm.{name}", getattr(self, name), least)


@dataclass(frozen=True)
class DaskSettings:
    """A standing scheduler of Dask, or one of its own.

    Attributes:
        scheduler: its address, `tcp://host:8786`; None: one is started here.
        workers: of the one that is started here.
        deaths: how many workers may die under a shard before Dask gives it up for this round.
    """

    scheduler: str | None
    workers: int
    deaths: int

    def __post_init__(self) -> None:
        at_least("dask.workers", self.workers, 1)
        at_least("dask.deaths", self.deaths, 0)


@dataclass(frozen=True)
class RaySettings:
    """A standing cluster of Ray, or one of its own.

    Attributes:
        address: `ray://host:10001` or `auto`; None: one is started here.
        workers: shards at the same time, of the one that is started here.
        cpus, gpus: of a shard.
        deaths: how many workers may die under a shard before Ray gives it up for this round.
    """

    address: str | None
    workers: int
    cpus: int
    gpus: int
    deaths: int

    def __post_init__(self) -> None:
        for name, least in (("workers", 1), ("cpus", 1), ("gpus", 0), ("deaths", 0)):
            at_least(f"ray.{name}", getattr(self, name), least)


@dataclass(frozen=True)
class ClusterSettings:
    """What `lungscreen.cluster` takes.

    Attributes:
        local, slurm, dask, ray: of each engine.
        shards: into how many parts the cohort is split.
        resubmit: how often what is not finished is submitted again.
        poll_seconds: between two looks at how far it is.
        backend: which engine.
        command: classify or detect.
        input: as the command takes it, on a file system that all nodes see.
        out: folder for the joined results; the shards' own are below it, in `shards/`.
        options: further ones of the command, `key=value` each.
        retry: of the command, see `CohortSettings`.
        python: how Python is started on the nodes, as [apptainer, exec, --nv, image.sif, python3]; empty: this one.
    """

    local: LocalSettings
    slurm: SlurmSettings
    dask: DaskSettings
    ray: RaySettings
    shards: int
    resubmit: int
    poll_seconds: float
    backend: str = "local"
    command: str = "classify"
    input: Path | None = None
    out: Path = Path("outputs/cluster")
    options: list[str] = field(default_factory=list)
    retry: str = "none"
    python: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        at_least("shards", self.shards, 1)
        at_least("resubmit", self.resubmit, 0)
        above("poll_seconds", self.poll_seconds, 0)
        for name, value, known in (
            ("backend", self.backend, BACKENDS), ("command", self.command, COMMANDS), ("retry", self.retry, Retry),
        ):  # fmt: skip
            if value not in list(known):
                raise UsageError(f"{name}= must be one of {', '.join(known)}; got {value}")
        for option in self.options:
            key = option.partition("=")[0]
            if "=" not in option or key in OWN_OPTIONS:
                raise UsageError(f"options= are key=value, without {', '.join(OWN_OPTIONS)}; got {option}")
