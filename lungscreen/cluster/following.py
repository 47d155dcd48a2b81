"""Submit the shards, look at their folders, and submit again what is not finished."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from lungscreen.cluster.engine import Engine
from lungscreen.cluster.job import Job, last_line, status_of
from preprocessing.journal.folder import Journal
from runs.entry import WRONG_USE, UsageError

log = logging.getLogger(__name__)

# A round of jobs, its number given: what was asked for once is not asked for again.
Round = Callable[[int], Sequence[Job]]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the shards are, read from their folders.

    Attributes:
        scans: finished.
        total: of the whole cohort; 0 while no shard has listed it.
        shards: finished.
    """

    scans: int
    total: int
    shards: int


def is_finished(job: Job) -> bool:
    """Whether a shard ended by itself with a record for each of its scans."""
    journal = Journal(job.out)
    identity = journal.identity()
    return status_of(job) in (0, 1) and identity is not None and journal.kept() == identity.mine


def progress(jobs: Sequence[Job]) -> Progress:
    """Of all shards together."""
    journals = [Journal(job.out) for job in jobs]
    totals = [identity.total for journal in journals if (identity := journal.identity()) is not None]
    scans = sum(journal.kept() for journal in journals)
    return Progress(scans, max(totals, default=0), sum(is_finished(job) for job in jobs))


def follow(engine: Engine, jobs_of: Round, resubmit: int, poll_seconds: float) -> None:
    """See all shards to their end, with one line of progress.

    Args:
        engine: runs them.
        jobs_of: the jobs of a round, counted from 0.
        resubmit: further rounds, at most.
        poll_seconds: between two looks.

    Raises:
        UsageError: a shard reports a mistake of the user's, or shards are not finished after the last round.
    """
    jobs = jobs_of(0)
    for job in jobs:
        job.status.unlink(missing_ok=True)
    bar: tqdm[Any]
    with tqdm(desc="scans", unit="scan") as bar:
        for number in range(resubmit + 1):
            left = [job for job in jobs_of(number) if not is_finished(job)]
            if not left:
                return
            if number:
                log.info("%d of %d shards were not finished and are submitted again", len(left), len(jobs))
            for job in left:
                job.status.unlink(missing_ok=True)
            engine.submit(left)
            while running := engine.running():
                _show(bar, jobs, running)
                _raise_mistakes(left)
                time.sleep(poll_seconds)
            _show(bar, jobs, 0)
            _raise_mistakes(left)
    left = [job for job in jobs if not is_finished(job)]
    if left:
        raise UsageError(
            f"{len(left)} of {len(jobs)} shards are not finished after {resubmit + 1} round(s), such as "
            f"{left[0].name} (see {left[0].log}); the same command goes on"
        )


def _show(bar: tqdm[Any], jobs: Sequence[Job], running: int) -> None:
    found = progress(jobs)
    bar.total = found.total or None
    bar.set_postfix_str(f"{found.shards}/{len(jobs)} shards done, {running} running", refresh=False)
    bar.n = found.scans
    bar.refresh()


def _raise_mistakes(jobs: Sequence[Job]) -> None:
    for job in jobs:
        if status_of(job) == WRONG_USE:
            raise UsageError(f"shard {job.name}: {last_line(job).removeprefix('error: ')}")
