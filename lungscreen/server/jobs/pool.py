"""Workers and who looks after them: a thread each, which hands out cases and starts a worker anew when it ends.

A case belongs to the database, never to a worker: when a worker ends without an answer, the case goes back to its
place in the queue, and after `attempts` of them it has failed.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from lungscreen.server.jobs.cases import Case, Cases, State
from lungscreen.server.jobs.folders import Folders
from lungscreen.server.settings import ServerSettings

log = logging.getLogger(__name__)

# How long nobody looks for new cases when nobody says that there is one.
LOOK_SECONDS = 1.0
# After a worker that could not start.
PAUSE_SECONDS = 5.0


class Pool:
    """All workers.

    Args:
        cases: the queue.
        folders: of the cases.
        settings: of the server.
        count: how many workers; None: as the settings say.
    """

    def __init__(self, cases: Cases, folders: Folders, settings: ServerSettings, count: int | None = None) -> None:
        self.cases, self.folders, self.settings = cases, folders, settings
        self.count = settings.workers if count is None else count
        self._progress: dict[str, dict[str, Any]] = {}
        self._stopping = threading.Event()
        self._news = threading.Condition()
        self._keepers = [_Keeper(self, number) for number in range(self.count)]

    def start(self) -> None:
        """Begin; cases that ran when the last server ended wait again, before all that came later."""
        for name in self.cases.running():
            self.cases.wait_again(name, forgive=True)
        for keeper in self._keepers:
            keeper.thread.start()

    def stop(self) -> None:
        """End all workers; their cases wait for the next start."""
        self._stopping.set()
        self.wake()
        for keeper in self._keepers:
            keeper.end()
        for keeper in self._keepers:
            keeper.thread.join()

    def wake(self) -> None:
        """There is a new case."""
        with self._news:
            self._news.notify_all()

    def rest(self, seconds: float = LOOK_SECONDS) -> None:
        """Wait for a new case, or a little."""
        with self._news:
            if not self.stopping:
                self._news.wait(seconds)

    def cancel(self, name: str) -> bool:
        """End a case that waits or runs, with the worker that has it; False when it was over already."""
        if not self.cases.cancel(name):
            return False
        for keeper in self._keepers:
            keeper.end(name)
        return True

    @property
    def stopping(self) -> bool:
        """Whether the server ends."""
        return self._stopping.is_set()

    @property
    def ready(self) -> int:
        """How many workers take cases."""
        return sum(keeper.ready for keeper in self._keepers)

    @property
    def pids(self) -> list[int]:
        """Of the workers that run."""
        return [keeper.process.pid for keeper in self._keepers if keeper.process and keeper.process.poll() is None]

    def progress(self, name: str) -> dict[str, Any] | None:
        """What the worker of a case last said."""
        return self._progress.get(name)

    def note(self, name: str, said: dict[str, Any] | None) -> None:
        """Keep what a worker says of its case; None: it has none any more."""
        if said is None:
            self._progress.pop(name, None)
        else:
            self._progress[name] = said


class _Keeper:
    """One worker after the other."""

    def __init__(self, pool: Pool, number: int) -> None:
        self.pool, self.number = pool, number
        self.process: subprocess.Popen[str] | None = None
        self.ready = False
        self.case: str | None = None
        self.late = False
        self.thread = threading.Thread(target=self._run, name=f"keeper-{number}", daemon=True)

    def end(self, case: str | None = None) -> None:
        """End the worker and all it started; with a case only if it has this one."""
        process = self.process
        if process is None or (case is not None and self.case != case):
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _run(self) -> None:
        while not self.pool.stopping:
            if not self.ready and not self._start():
                self.pool.rest(PAUSE_SECONDS)
                continue
            case = self.pool.cases.claim()
            if case is None:
                self.pool.rest()
            else:
                self._work(case)
        self._clear()

    def _clear(self) -> None:
        """End the last worker and close what led to it."""
        self.end()
        if self.process is not None and self.process.stdin is not None and self.process.stdout is not None:
            with suppress(OSError):  # an order that it did not take
                self.process.stdin.close()
            self.process.stdout.close()

    def _start(self) -> bool:
        """Start a worker and wait until it takes orders."""
        self._clear()
        settings = self.pool.settings
        environment = {**os.environ, "TMPDIR": str(self.pool.folders.tmp(self.number)), "TQDM_DISABLE": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lungscreen.server.jobs.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment,
            start_new_session=True,
        )
        if self.pool.stopping:
            return False
        options = {
            **{key: _text(asdict(settings)[key]) for key in ("weights", "classifier", "calibration")},
            "key_images": settings.key_images,
            "threads": max(1, (os.cpu_count() or 1) // settings.workers),
        }
        answer = self._ask(options)
        self.ready = answer is not None and "ready" in answer
        if answer is not None and "cannot_start" in answer:
            log.error("no worker can start: %s", answer["cannot_start"])
        return self.ready

    def _work(self, case: Case) -> None:
        self.case, self.late = case.id, False
        now = self.pool.cases.get(case.id)
        if now is None or now.state is not State.RUNNING:  # cancelled before anybody knew which worker has it
            self.case = None
            return
        timer = threading.Timer(60 * self.pool.settings.case_minutes, self._too_late, [case.id])
        timer.start()
        try:
            answer = self._ask({"case": str(self.pool.folders.case(case.id).absolute())})
            while answer is not None and "state" not in answer:
                self.pool.note(case.id, answer)
                answer = self._answer()
        finally:
            timer.cancel()
            self.case = None
            self.pool.note(case.id, None)
        if answer is not None:
            state = State(answer.pop("state"))
            self.pool.cases.finish(case.id, state, **answer)
            return
        self.ready = False
        self._lost(case)

    def _lost(self, case: Case) -> None:
        """The worker ended without an answer."""
        cases, settings = self.pool.cases, self.pool.settings
        if self.pool.stopping:
            cases.wait_again(case.id, forgive=True)
        elif self.late:
            detail = f"the case was not done in {settings.case_minutes:g} minutes"
            cases.finish(case.id, State.FAILED, reason="too_slow", detail=detail)
        elif case.attempts >= settings.attempts:
            detail = f"{case.attempts} worker(s) ended while they had the case"
            cases.finish(case.id, State.FAILED, reason="worker_died", detail=detail)
        elif cases.wait_again(case.id):
            log.warning("a worker ended while it had a case, which waits again")

    def _too_late(self, case: str) -> None:
        self.late = True
        self.end(case)

    def _ask(self, order: dict[str, Any]) -> dict[str, Any] | None:
        """Send an order; the first answer, or None when the worker has ended."""
        assert self.process is not None
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        except OSError:
            return None
        return self._answer()

    def _answer(self) -> dict[str, Any] | None:
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.endswith("\n"):
            return None
        answer: dict[str, Any] = json.loads(line)
        return answer


def _text(path: Any) -> str | None:
    return None if path is None else str(path)
