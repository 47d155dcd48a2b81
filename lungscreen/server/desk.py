"""What the server does with cases, whoever asks: the one place that knows table, folders and workers."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from lungscreen.server.access import Access
from lungscreen.server.jobs.cases import FINISHED, Case, Cases, State
from lungscreen.server.jobs.folders import RESULT, Folders
from lungscreen.server.jobs.options import CaseOptions, options_of
from lungscreen.server.jobs.pool import Pool
from lungscreen.server.metrics import Metrics
from lungscreen.server.problems import ProblemError
from lungscreen.server.receiving import Received, receive
from lungscreen.server.settings import ServerSettings
from lungscreen.server.slices.asking import Slices

log = logging.getLogger(__name__)

DAY_SECONDS = 24 * 3600.0
# How often finished cases are looked at for their age.
TIDY_SECONDS = 60.0
# An upload has gone sooner than a case of a full queue.
SOON, LATER = {"Retry-After": "5"}, {"Retry-After": "30"}


class Desk:
    """Cases, their folders and the workers.

    Args:
        settings: of the server.
        workers: how many; None: as the settings say.
    """

    def __init__(self, settings: ServerSettings, workers: int | None = None) -> None:
        self.settings = settings
        self.access, self.metrics = Access(settings.token_file), Metrics()
        settings.folder.mkdir(parents=True, exist_ok=True)
        self.folders = Folders(settings.folder)
        self.cases = Cases(settings.database or f"sqlite:///{settings.folder.absolute() / 'cases.sqlite'}")
        self.pool = Pool(self.cases, self.folders, settings, workers)
        self.slices = Slices(settings)
        self._uploads = 0
        # A folder and its row come and go together.
        self._pairing = threading.Lock()
        self._ended = threading.Event()
        self._tidier = threading.Thread(target=self._tidy_on, name="tidier", daemon=True)

    def start(self) -> None:
        """Go on where the last server ended."""
        self.folders.prepare(self.cases.ids())
        self.pool.start()
        self._tidier.start()

    def stop(self) -> None:
        """End the workers; what they had waits for the next start."""
        self._ended.set()
        self.pool.stop()
        self.slices.stop()
        self._tidier.join()
        self.cases.close()

    async def take(self, stream: AsyncIterator[bytes], content_type: str, length: int | None) -> tuple[bool, Case]:
        """Receive an upload and put it into the queue.

        Args:
            stream: the body.
            content_type: of the body.
            length: of the body, where it is stated.

        Returns:
            Whether it is new, and its case.

        Raises:
            ProblemError: see `receive`; 429 when too many come at once or wait.
        """
        try:
            received, case, new = await self._take(stream, content_type, length)
        except ProblemError as problem:
            self.metrics.uploaded(problem.reason)
            raise
        self.metrics.uploaded("new" if new else "known", received.bytes)
        return new, case

    async def _take(
        self, stream: AsyncIterator[bytes], content_type: str, length: int | None
    ) -> tuple[Received, Case, bool]:
        settings = self.settings
        if length is not None and length > (settings.upload_mb + 1) * 1024**2:
            raise ProblemError(413, "too_large", f"at most {settings.upload_mb} MB in one upload")
        if self._uploads >= settings.uploads_at_once:
            raise ProblemError(429, "busy", "too many uploads at once; try again later", SOON)
        self._uploads += 1
        folder = await run_in_threadpool(self.folders.incoming)
        try:
            if (await run_in_threadpool(self.cases.counts))[State.QUEUED] >= settings.queue:
                raise ProblemError(429, "queue_full", "too many cases wait; try again later", LATER)
            received = await receive(stream, content_type, folder, settings)
            case, new = await run_in_threadpool(self._admit, folder, received, options_of(received.fields))
        finally:
            self._uploads -= 1
            await run_in_threadpool(self.folders.drop, folder)
        return received, case, new

    def _admit(self, folder: Path, received: Received, options: CaseOptions) -> tuple[Case, bool]:
        name = options.name(received.name)
        with self._pairing:
            before = self.cases.get(name)
            self.folders.admit(folder, name, options)
            case = self.cases.add(name, received.files, received.bytes)
        self.pool.wake()
        return case, before is None or before.number != case.number

    def case(self, name: str) -> Case:
        """A case by its id.

        Raises:
            ProblemError: 404.
        """
        case = self.cases.get(name)
        if case is None:
            raise ProblemError(404, "no_such_case", "there is no case of this id")
        return case

    def cancel(self, name: str) -> Case:
        """End a case that waits or runs.

        Raises:
            ProblemError: 404; 409: it was over.
        """
        if not self.pool.cancel(name):
            raise ProblemError(409, "over", f"the case is {self.case(name).state} already")
        return self.case(name)

    def delete(self, name: str) -> None:
        """Forget a case and all its files, whatever state it is in.

        Raises:
            ProblemError: 404.
        """
        self.case(name)
        self.pool.cancel(name)
        with self._pairing:
            self.cases.remove(name)
            self.folders.remove(name)

    def result(self, name: str) -> dict[str, Any]:
        """`result.json` of a case that is done.

        Raises:
            ProblemError: 404; 409: not done, or failed or cancelled; 422: refused, with the intake's reason.
        """
        self._check_done(self.case(name))
        found: dict[str, Any] = json.loads((self.folders.result(name) / RESULT).read_text(encoding="utf-8"))
        return found

    def files(self, name: str) -> dict[str, Path]:
        """The files of a case that may be fetched, by their names in `result/`; the voxels are asked for apart.

        Raises:
            ProblemError: 404, 409.
        """
        case, root = self.case(name), self.folders.result(name)
        if case.state is not State.REFUSED:
            self._check_done(case)
        paths = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}
        return {at: path for at, path in paths.items() if not at.startswith("volumes/")}

    def volume(self, name: str, page: str, file: str) -> Path:
        """A file of the voxels of a scan.

        Raises:
            ProblemError: 404.
        """
        self.case(name)
        path = self.folders.result(name) / "volumes" / page / file
        if not path.is_file():
            raise ProblemError(404, "no_such_volume", "there are no such voxels")
        return path

    def tidy(self) -> None:
        """Delete the finished cases that are older than they may become."""
        if self.settings.retention_days is not None:
            for name in self.cases.finished_before(time.time() - DAY_SECONDS * self.settings.retention_days):
                self.delete(name)

    def _tidy_on(self) -> None:
        while not self._ended.is_set():
            try:
                self.tidy()
            except ProblemError:  # somebody else deleted it
                log.debug("a case was gone before it was tidied away")
            self._ended.wait(TIDY_SECONDS)

    def _check_done(self, case: Case) -> None:
        if case.state is State.REFUSED:
            raise ProblemError(422, case.reason, case.detail)
        if case.state is not State.DONE:
            words = case.detail or ("the case was cancelled" if case.state in FINISHED else "the case is not done yet")
            raise ProblemError(409, case.reason or str(case.state), words)
