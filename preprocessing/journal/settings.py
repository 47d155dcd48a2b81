"""How a command goes through a cohort: which part of it, in how many processes, and what it does again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from runs.checks import at_least
from runs.entry import UsageError
from runs.shard import Shard, shard_of


class Retry(StrEnum):
    """Which scans of an earlier run into the same folder are worked on again."""

    NONE = "none"
    FAILED = "failed"
    ALL = "all"


@dataclass(frozen=True)
class CohortSettings:
    """What every command that goes through a cohort takes.

    Attributes:
        shard: a part of the cohort, as 3/16; None: all of it.
        retry: `none` goes on with what an earlier run into `out` left; `failed` also does those scans again that
            failed through no fault of their files; `all` begins anew.
        workers: processes that work on scans, so that one that ends its process ends no other; 0: none but this one;
            None: one for a shard, else 0.
        scan_minutes: what a scan may take, or None; needs processes.
        tries: how often the work on a scan may end its process before it counts as failed.
        listing: file that keeps what was found under `input`, for further starts and other shards, or None.
    """

    shard: str | None = None
    retry: str = "none"
    workers: int | None = None
    scan_minutes: float | None = None
    tries: int = 3
    listing: Path | None = None

    def __post_init__(self) -> None:
        if self.retry not in list(Retry):
            raise UsageError(f"retry= must be one of {', '.join(Retry)}; got {self.retry}")
        at_least("tries", self.tries, 1)
        if self.workers is not None:
            at_least("workers", self.workers, 0)
        if self.scan_minutes is not None and not self.scan_minutes > 0:
            raise UsageError(f"scan_minutes= must be over 0, got {self.scan_minutes}")
        if self.scan_minutes is not None and not self.processes:
            raise UsageError("scan_minutes= needs processes that can be ended: say workers=1 or more")
        self.part()

    def part(self) -> Shard:
        """The shard; 1/1 where none is given."""
        return shard_of(self.shard) if self.shard is not None else Shard(1, 1)

    @property
    def processes(self) -> int:
        """How many processes work on scans."""
        return (1 if self.shard else 0) if self.workers is None else self.workers
