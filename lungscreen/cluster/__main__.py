"""`python -m lungscreen.cluster backend=... input=... out=... shards=N`: a cohort on a cluster, joined at the end."""

from __future__ import annotations

import logging
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

from detection.detect import DetectSettings, source_of
from lungscreen.cluster.engine import engine_of
from lungscreen.cluster.following import follow
from lungscreen.cluster.job import Job
from lungscreen.cluster.settings import COMMANDS, ClusterSettings
from lungscreen.merge import MergeSettings, merge
from preprocessing.journal.listing import list_scans
from runs.entry import run
from runs.lock import held

log = logging.getLogger(__name__)

# What was found under the input, below the results.
LISTING = Path("shards", "listing.json")


def run_on_cluster(settings: ClusterSettings) -> int:
    """Run the shards and join them; 1 when not a single scan could be read.

    The same command goes on where an earlier one was stopped.

    Raises:
        FileNotFoundError: no such input.
        UsageError: the engine is not there, a shard reports a mistake, shards are not finished, or another start works
            here.
    """
    source = source_of(settings.input, DetectSettings.phantoms).absolute()
    if not source.exists():
        raise FileNotFoundError(f"no such file or folder: {source}")
    out = settings.out.absolute()
    with held(out / "shards"), closing(engine_of(settings)) as engine:
        # Once, before all shards do it at the same time.
        list_scans(source, out / LISTING)
        jobs_of = partial(jobs, settings, str(source))
        follow(engine, jobs_of, settings.resubmit, settings.poll_seconds)
    return merge(MergeSettings(tuple(job.out for job in jobs_of(0)), out))


def jobs(settings: ClusterSettings, source: str, number: int) -> list[Job]:
    """All shards, finished or not, as a round asks for them.

    Args:
        settings: of the launcher.
        source: absolute path of the input.
        number: of the round; only the first one tries failed scans again, or begins anew.
    """
    folder = settings.out.absolute() / "shards"
    python = settings.python or [sys.executable]
    made = []
    for shard in range(1, settings.shards + 1):
        name = f"{shard}-of-{settings.shards}"
        options = [
            f"input={source}", f"out={folder / name}", f"shard={shard}/{settings.shards}",
            f"retry={'none' if number else settings.retry}", f"listing={settings.out.absolute() / LISTING}",
            *settings.options,
        ]  # fmt: skip
        command = (*python, "-m", "lungscreen.cluster.tethered", COMMANDS[settings.command], *options)
        made.append(Job(name, command, folder / name, folder / f"{name}.status", folder / f"{name}.log"))
    return made


def main() -> None:
    """Entry point."""
    run(run_on_cluster, ClusterSettings, "cluster")


if __name__ == "__main__":
    main()
