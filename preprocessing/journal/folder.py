"""The folder `journal/` among the results: whose it is, a record for each finished scan, and a mark for each begun."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preprocessing.journal.record import Record, record_of
from runs.cache import DAMAGE
from runs.entry import UsageError
from runs.writing import whole, write_json

FOLDER = "journal"
IDENTITY = "run.json"


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """Which run a folder belongs to.

    Attributes:
        command: `detect` or `classify`.
        shard: `3/16`, or empty.
        cohort: fingerprint of the whole cohort, see `cohort_digest`.
        total: scans of the whole cohort.
        mine: those of the shard.
        settings: all that decides the results, one value a name.
    """

    command: str
    shard: str
    cohort: str
    total: int
    mine: int
    settings: Mapping[str, str]

    def differences(self, other: Identity) -> list[str]:
        """What two shards of one cohort may not differ in, each as `name: this, that`."""
        pairs = [("command", self.command, other.command), ("cohort", self.cohort, other.cohort)]
        names = sorted({*self.settings, *other.settings})
        pairs += [(n, self.settings.get(n, "absent"), other.settings.get(n, "absent")) for n in names]
        return [f"{name}: {_short(a)}, {_short(b)}" for name, a, b in pairs if a != b]

    def stored(self) -> dict[str, Any]:
        """As it is written."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "settings"} | {
            "settings": dict(self.settings)
        }


class Journal:
    """The records in a folder of results.

    Args:
        out: the folder of results.
    """

    def __init__(self, out: Path) -> None:
        self.folder = out / FOLDER

    def identity(self) -> Identity | None:
        """Whose it is; None where there is none that can be read."""
        try:
            return Identity(**json.loads((self.folder / IDENTITY).read_text(encoding="utf-8")))
        except DAMAGE:
            return None

    def begin(self, identity: Identity) -> None:
        """Make it the journal of this run; of an earlier one nothing stays."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        write_json(self.folder / IDENTITY, identity.stored())

    def belongs_to(self, identity: Identity) -> bool:
        """Whether a run goes on here.

        Raises:
            UsageError: it is of another run, and this one or that one is a shard, whose results are not replaced
                silently.
        """
        found = self.identity()
        if found is None:
            return False
        different = found.differences(identity)
        if found.shard != identity.shard:
            different.insert(0, f"shard: {found.shard or 'none'}, {identity.shard or 'none'}")
        if different and (found.shard or identity.shard):
            raise UsageError(
                f"'{self.folder.parent}' holds results of another run ({'; '.join(different[:3])}): choose another "
                "out, or retry=all to replace them"
            )
        return not different

    def load(self, key: str) -> Record | None:
        """The record of that name; None where there is none, or where it is damaged."""
        return _read(self.folder / f"{key}.json")

    def records(self) -> list[Record]:
        """All of them, in the order of the cohort."""
        found = (_read(path) for path in self.folder.glob("*.json") if path.name != IDENTITY)
        return sorted((record for record in found if record is not None), key=lambda record: record.place)

    def kept(self) -> int:
        """How many scans are finished; counts names and reads no file."""
        return sum(path.suffix == ".json" and path.name != IDENTITY for path in self.folder.glob("*"))

    def keep(self, record: Record) -> None:
        """Write a record, whole or not at all, and take away the mark that its scan was begun."""
        with whole(self.folder / f"{record.key}.json") as part:
            part.write_text(record.to_json(), encoding="utf-8")
        self.forget(record.key)

    def mark(self, key: str) -> None:
        """Note that the work on a scan begins: if it ends the process, the next start knows which it was."""
        with whole(self._mark(key)) as part:
            part.write_text(str(self.begun(key) + 1), encoding="utf-8")

    def unmark(self, key: str) -> None:
        """The work on a scan was stopped through no fault of its own."""
        before = self.begun(key) - 1
        self.forget(key)
        if before > 0:
            with whole(self._mark(key)) as part:
                part.write_text(str(before), encoding="utf-8")

    def begun(self, key: str) -> int:
        """How often the work on a scan was begun and neither finished nor stopped."""
        try:
            return int(self._mark(key).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return 0
        except (OSError, ValueError):
            return 1

    def forget(self, key: str) -> None:
        """Take away all marks of a scan."""
        with suppress(FileNotFoundError):
            self._mark(key).unlink()

    def _mark(self, key: str) -> Path:
        return self.folder / f"{key}.begun"


def _read(path: Path) -> Record | None:
    try:
        return record_of(path.read_text(encoding="utf-8"))
    except DAMAGE:
        return None


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
