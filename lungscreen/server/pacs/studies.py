"""What is under way: a row a study in SQLite, so that either side may be restarted at any moment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Boolean, Column, Integer, MetaData, String, Table, create_engine, delete, insert, select, update
from sqlalchemy.engine import Connection


class State(StrEnum):
    """Of a study."""

    WAITING = "waiting"  # until it is whole, and its series are sent to the server
    SENT = "sent"  # the server has them
    DONE = "done"  # its results are back
    LEFT = "left"  # there are no results: no fitting series, or the server's reason


METADATA = MetaData()
STUDIES = Table(
    "studies",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("source", String(16), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("key", String(64), nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("case", String(32), nullable=False),
    Column("again", Boolean, nullable=False),
    Column("reason", String(200), nullable=False),
)
MARKS = Table("marks", METADATA, Column("name", String(32), primary_key=True), Column("value", Integer))


@dataclass(frozen=True, slots=True)
class Study:
    """One study; no name in it tells of the patient.

    Attributes:
        name: as its source calls it, made of checksums.
        source: `orthanc` or `sent`.
        state: see `State`.
        key: checksum of the images last sent to the server, "" before.
        settled: whether all that follows from this key was done.
        case: at the server, "" before.
        again: images came after it was sent: look once more.
        reason: why there are no results.
    """

    name: str
    source: str
    state: State
    key: str
    settled: bool
    case: str
    again: bool
    reason: str


class Studies:
    """The table. Every method is a transaction of its own and safe to call from any thread.

    Args:
        path: of the SQLite file.
    """

    def __init__(self, path: Path) -> None:
        self.engine = create_engine(f"sqlite:///{path.absolute()}", connect_args={"timeout": 30})
        METADATA.create_all(self.engine)

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    def of(self, state: State) -> list[Study]:
        """Those in a state."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(STUDIES).where(STUDIES.c.state == state)).mappings()
            return [Study(**{**row, "state": State(row["state"])}) for row in rows]

    def names(self, source: str) -> set[str]:
        """Of all studies of a source."""
        with self.engine.connect() as connection:
            return set(connection.execute(select(STUDIES.c.name).where(STUDIES.c.source == source)).scalars())

    def mark(self, name: str) -> int | None:
        """How far a source was read."""
        with self.engine.connect() as connection:
            return connection.execute(select(MARKS.c.value).where(MARKS.c.name == name)).scalar()

    def came(self, source: str, names: set[str], mark: int | None = None) -> None:
        """Images of these studies came; with how far the source was read, at one stroke."""
        with self.engine.begin() as connection:
            for name in sorted(names):
                _came(connection, source, name)
            if mark is not None:
                connection.execute(delete(MARKS).where(MARKS.c.name == source))
                connection.execute(insert(MARKS).values(name=source, value=mark))

    def change(self, name: str, **values: Any) -> None:
        """Of a study."""
        with self.engine.begin() as connection:
            connection.execute(update(STUDIES).where(STUDIES.c.name == name).values(**values))

    def settle(self, study: Study, state: State, reason: str = "") -> None:
        """All is done that follows from the images that were sent; if others came since, it is looked at again."""
        with self.engine.begin() as connection:
            mine = STUDIES.c.name == study.name
            values = {"state": state, "settled": True, "reason": reason}
            connection.execute(update(STUDIES).where(mine).values(**values))
            more = (mine, STUDIES.c.again)
            connection.execute(update(STUDIES).where(*more).values(state=State.WAITING, again=False))

    def open(self, name: str) -> bool:
        """Whether something is still to be done with a study."""
        with self.engine.connect() as connection:
            state = connection.execute(select(STUDIES.c.state).where(STUDIES.c.name == name)).scalar()
        return state in (State.WAITING, State.SENT)

    def forget(self, name: str) -> None:
        """Its source has it no more."""
        with self.engine.begin() as connection:
            connection.execute(delete(STUDIES).where(STUDIES.c.name == name))


def _came(connection: Connection, source: str, name: str) -> None:
    mine = STUDIES.c.name == name
    state = connection.execute(select(STUDIES.c.state).where(mine)).scalar()
    if state is None:
        fresh = {"state": State.WAITING, "key": "", "settled": False, "case": "", "again": False, "reason": ""}
        connection.execute(insert(STUDIES).values(name=name, source=source, **fresh))
    elif state == State.SENT:
        connection.execute(update(STUDIES).where(mine).values(again=True))
    else:
        connection.execute(update(STUDIES).where(mine).values(state=State.WAITING))
