"""The jobs: a row a case in a database, in the order in which they came."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError


class State(StrEnum):
    """Of a case."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINISHED = (State.DONE, State.REFUSED, State.FAILED, State.CANCELLED)
# A second upload of the same content begins these anew.
AGAIN = (State.FAILED, State.CANCELLED)
METADATA = MetaData()
CASES = Table(
    "cases",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(32), unique=True, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("finished", Float),
    Column("attempts", Integer, nullable=False),
    Column("files", Integer, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("scans", Integer),
    Column("refused", Integer),
    Column("reason", String(64), nullable=False),
    Column("detail", String(1000), nullable=False),
    sqlite_autoincrement=True,  # no number comes twice
)


@dataclass(frozen=True, slots=True)
class Case:
    """One upload and what became of it; nothing in it tells of the patient.

    Attributes:
        number: grows with every row; the queue is in its order.
        id: 32 hex digits of the checksum of what was uploaded.
        state: see `State`.
        created, started, finished: seconds since 1970.
        attempts: workers that have begun with it.
        files, bytes: of the upload.
        scans, refused: series found in it and those of them that were refused; None before it is done.
        reason, detail: why it was refused or failed.
    """

    number: int
    id: str
    state: State
    created: float
    started: float | None
    finished: float | None
    attempts: int
    files: int
    bytes: int
    scans: int | None
    refused: int | None
    reason: str
    detail: str


class Cases:
    """The table. Every method is a transaction of its own and safe to call from any thread.

    Args:
        url: of the database, as SQLAlchemy takes it.
    """

    def __init__(self, url: str) -> None:
        self.engine: Engine = create_engine(url)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _sqlite)
        METADATA.create_all(self.engine)

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    def add(self, name: str, files: int, size: int) -> Case:
        """Put a case at the end of the queue; one of the same name that is there and stands comes back as it is."""
        fresh = {
            "id": name, "state": State.QUEUED, "created": time.time(), "started": None, "finished": None,
            "attempts": 0, "files": files, "bytes": size, "scans": None, "refused": None, "reason": "", "detail": "",
        }  # fmt: skip
        try:
            with self.engine.begin() as connection:
                connection.execute(delete(CASES).where(CASES.c.id == name, CASES.c.state.in_(AGAIN)))
                connection.execute(insert(CASES).values(**fresh))
        except IntegrityError:  # it is there
            pass
        found = self.get(name)
        assert found is not None
        return found

    def get(self, name: str) -> Case | None:
        """The case of this id."""
        with self.engine.connect() as connection:
            row = connection.execute(select(CASES).where(CASES.c.id == name)).mappings().first()
        return None if row is None else _case(row)

    def page(self, limit: int, offset: int, state: State | None = None) -> tuple[int, list[Case]]:
        """How many cases there are, and some of them, the newest first."""
        which = CASES.c.state == state if state else CASES.c.state != ""
        newest = select(CASES).where(which).order_by(CASES.c.number.desc()).limit(limit).offset(offset)
        with self.engine.connect() as connection:
            total = connection.execute(select(func.count()).select_from(CASES).where(which)).scalar_one()
            return total, [_case(row) for row in connection.execute(newest).mappings()]

    def counts(self) -> dict[State, int]:
        """How many cases are in each state."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(CASES.c.state, func.count()).group_by(CASES.c.state)).all()
        return dict.fromkeys(State, 0) | {State(state): n for state, n in rows}

    def place(self, case: Case) -> int | None:
        """How many waiting cases come before this one, itself counted; None when it does not wait."""
        if case.state is not State.QUEUED:
            return None
        before = select(func.count()).select_from(CASES)
        before = before.where(CASES.c.state == State.QUEUED, CASES.c.number <= case.number)
        with self.engine.connect() as connection:
            return int(connection.execute(before).scalar_one())

    def ids(self) -> set[str]:
        """Of all cases."""
        with self.engine.connect() as connection:
            return set(connection.execute(select(CASES.c.id)).scalars())

    def finished_before(self, moment: float) -> list[str]:
        """Ids of the cases that were finished by then."""
        asked = select(CASES.c.id).where(CASES.c.finished < moment, CASES.c.state.in_(FINISHED))
        with self.engine.connect() as connection:
            return list(connection.execute(asked).scalars())

    def claim(self) -> Case | None:
        """The first waiting case, from now on running; None when there is none."""
        first = select(CASES.c.id).where(CASES.c.state == State.QUEUED).order_by(CASES.c.number).limit(1)
        while True:
            with self.engine.connect() as connection:
                name = connection.execute(first).scalar()
            if name is None:
                return None
            values = {"state": State.RUNNING, "started": time.time(), "attempts": CASES.c.attempts + 1}
            if self._move(name, (State.QUEUED,), values):
                return self.get(name)

    def finish(self, name: str, state: State, **values: Any) -> bool:
        """A running case is over; False when it was not running (any more)."""
        return self._move(name, (State.RUNNING,), {"state": state, "finished": time.time(), **values})

    def cancel(self, name: str) -> bool:
        """A case that waits or runs is over; False when it was over already."""
        values = {"state": State.CANCELLED, "finished": time.time()}
        return self._move(name, (State.QUEUED, State.RUNNING), values)

    def wait_again(self, name: str, forgive: bool = False) -> bool:
        """A running case goes back to its place in the queue; `forgive`: the attempt does not count."""
        values: dict[str, Any] = {"state": State.QUEUED, "started": None}
        if forgive:
            values["attempts"] = CASES.c.attempts - 1
        return self._move(name, (State.RUNNING,), values)

    def running(self) -> list[str]:
        """Ids of the cases that a worker has, or had when the server was stopped."""
        with self.engine.connect() as connection:
            return list(connection.execute(select(CASES.c.id).where(CASES.c.state == State.RUNNING)).scalars())

    def remove(self, name: str) -> bool:
        """Forget a case; False when there was none."""
        with self.engine.begin() as connection:
            return bool(connection.execute(delete(CASES).where(CASES.c.id == name)).rowcount)

    def _move(self, name: str, before: tuple[State, ...], values: dict[str, Any]) -> bool:
        """Change a case if it is in one of these states; of several who try, one succeeds."""
        change = update(CASES).where(CASES.c.id == name, CASES.c.state.in_(before)).values(**values)
        with self.engine.begin() as connection:
            return connection.execute(change).rowcount == 1


def _case(row: Any) -> Case:
    return Case(**{**row, "state": State(row["state"])})


def _sqlite(connection: Any, _: Any) -> None:
    """Readers do not wait for the writer, and writers wait for each other instead of failing."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA busy_timeout=20000")
