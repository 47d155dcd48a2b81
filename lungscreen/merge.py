"""`python -m lungscreen.merge shards=[a,b,...] out=...`: shards of a cohort joined into what one run leaves."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import detection.detect
import lungscreen.analysing
from detection.leavings import remove_results
from preprocessing.cohort import summary
from preprocessing.journal.folder import FOLDER, Identity, Journal
from preprocessing.journal.record import Record
from runs.entry import UsageError, run
from runs.lock import held
from runs.shard import Shard, shard_of
from runs.writing import whole

log = logging.getLogger(__name__)

# Missing shards that an error lists.
MOST_NAMED = 8

TABLES: dict[str, Callable[[Path, Sequence[Record]], None]] = {
    "detect": detection.detect.write_tables,
    "classify": lungscreen.analysing.write_tables,
}


@dataclass(frozen=True)
class MergeSettings:
    """What `lungscreen.merge` takes.

    Attributes:
        shards: folders of results, one for each shard, in any order.
        out: folder for the joined results; none of the shards.
    """

    shards: tuple[Path, ...]
    out: Path

    def __post_init__(self) -> None:
        if not self.shards:
            raise UsageError("shards= must list the folders of the shards, got none")
        if self.out.resolve() in [folder.resolve() for folder in self.shards]:
            raise UsageError(f"out= must be a folder of its own, got '{self.out}', which is one of the shards")


def merge(settings: MergeSettings) -> int:
    """Write tables, pictures and report, byte for byte as one run writes them; 1 when not a single scan could be read.

    Raises:
        UsageError: the folders are not all shards of one cohort, each finished, made with the same settings.
    """
    parts = [_Part(folder, _identity(folder)) for folder in settings.shards]
    first = parts[0].identity
    _check_alike(parts)
    _check_all_there(parts)
    records = sorted((record for part in parts for record in part.records()), key=lambda record: record.place)
    if [record.place for record in records] != list(range(first.total)):
        raise UsageError(f"the shards have {len(records)} of the {first.total} scans of the cohort: start them again")
    _check_made_alike(records)
    out = settings.out
    with held(out):
        if (out / FOLDER).exists():
            raise UsageError(f"'{out}' holds the results of a run: choose another out")
        remove_results(out)
        for part in parts:
            part.copy_files(out)
        TABLES[first.command](out, records)
    log.info("%d shards: %s; in %s", len(parts), summary([record.scan for record in records]), out)
    return int(all(record.scan.refused for record in records))


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A shard and where it is."""

    folder: Path
    identity: Identity

    @property
    def shard(self) -> Shard:
        return shard_of(self.identity.shard)

    def records(self) -> list[Record]:
        """All that it must have.

        Raises:
            UsageError: it is not finished, or files are missing.
        """
        found = Journal(self.folder).records()
        if len(found) != self.identity.mine:
            raise UsageError(
                f"shard {self.shard} in '{self.folder}' is not finished: {len(found)} of {self.identity.mine} scans; "
                "start it again"
            )
        missing = [n for r in found if r.answer for n in r.answer.files if not (self.folder / n).is_file()]
        if missing:
            raise UsageError(f"shard {self.shard} in '{self.folder}' lacks {missing[0]}: start it again")
        return found

    def copy_files(self, out: Path) -> None:
        for record in Journal(self.folder).records():
            for name in record.answer.files if record.answer else ():
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                with whole(out / name) as copy:
                    shutil.copyfile(self.folder / name, copy)


def _identity(folder: Path) -> Identity:
    found = Journal(folder).identity()
    if found is None or not found.shard:
        raise UsageError(f"'{folder}' holds no results of a shard: expected a folder that shard=3/16 wrote into")
    return found


def _check_alike(parts: Sequence[_Part]) -> None:
    first = parts[0]
    for part in parts[1:]:
        different = first.identity.differences(part.identity)
        if different:
            raise UsageError(
                f"shards {first.shard} and {part.shard} are of different runs ({'; '.join(different[:3])}): only "
                "shards of one cohort with the same settings can be joined"
            )


def _check_all_there(parts: Sequence[_Part]) -> None:
    shards = sorted(part.shard for part in parts)
    sizes = {shard.of for shard in shards}
    if len(sizes) > 1:
        raise UsageError(f"the shards are of different numbers of parts: {', '.join(map(str, shards))}")
    twice = sorted({shard for shard in shards if shards.count(shard) > 1})
    if twice:
        raise UsageError(f"shard {twice[0]} is given twice")
    (of,) = sizes
    missing = [str(shard) for number in range(1, of + 1) if (shard := Shard(number, of)) not in shards]
    if missing:
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        raise UsageError(f"{len(missing)} of {of} shards are missing: {', '.join(missing[:MOST_NAMED])}{more}")


def _check_made_alike(records: Sequence[Record]) -> None:
    """Scans whose networks ran otherwise, as on another kind of processor, are no one run's."""
    made = {tuple(sorted(record.answer.made_by.items())) for record in records if record.answer}
    if len(made) > 1:
        one, other = (dict(rows) for rows in sorted(made)[:2])
        name = next(name for name in sorted({*one, *other}) if one.get(name) != other.get(name))
        raise UsageError(
            f"the shards were not made alike ({name}: {one.get(name, 'none')} | {other.get(name, 'none')}): state "
            "what differs, as inference.precision=fp32, and make them again"
        )


def main() -> None:
    """Entry point."""
    run(merge, MergeSettings, "merge")


if __name__ == "__main__":
    main()
