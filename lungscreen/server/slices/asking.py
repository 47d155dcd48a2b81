"""The web side of single slices: one process that answers, started at the first question."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from lungscreen.server.problems import ProblemError
from lungscreen.server.receiving import receive
from lungscreen.server.settings import ServerSettings
from lungscreen.server.sniffing import SLICES

MB = 1024**2
RETRY = {"Retry-After": "5"}


class Slices:
    """Takes a slice, has it answered and forgets it.

    Args:
        settings: of the server.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = replace(settings, upload_mb=settings.slice_mb, upload_files=1)
        self._asked = 0
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    async def ask(
        self, stream: AsyncIterator[bytes], content_type: str, length: int | None, folder: Path
    ) -> dict[str, Any]:
        """The answer to the slice in a multipart body.

        Args:
            stream: the body.
            content_type: of the body.
            length: of the body, where it is stated.
            folder: for the slice; removed with it.

        Raises:
            ProblemError: see `receive`; 422 it is no slice; 429 too many at once; 503 it took too long.
        """
        try:
            if length is not None and length > (self.settings.slice_mb + 1) * MB:
                raise ProblemError(413, "too_large", f"at most {self.settings.slice_mb} MB in one upload")
            if self._asked >= self.settings.uploads_at_once:
                raise ProblemError(429, "busy", "too many slices at once; try again later", RETRY)
            self._asked += 1
            try:
                await receive(stream, content_type, folder, self.settings, SLICES)
                (path,) = folder.iterdir()
                answer = await run_in_threadpool(self._answer, path.absolute())
            finally:
                self._asked -= 1
        finally:
            await run_in_threadpool(shutil.rmtree, folder, True)
        if "refused" in answer:
            raise ProblemError(422, "no_slice", answer["refused"])
        return answer

    def stop(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _answer(self, path: Path) -> dict[str, Any]:
        with self._lock:
            process = self._process
            if process is None or process.poll() is not None:
                process = self._start()
            timer = threading.Timer(self.settings.slice_seconds, process.kill)
            timer.start()
            try:
                line = _said(process, {"path": str(path), "megapixels": self.settings.slice_megapixels})
            finally:
                timer.cancel()
            if not line.endswith("\n"):
                self._end()
                detail = f"there was no answer in {self.settings.slice_seconds:g} s; try again later"
                raise ProblemError(503, "no_answer", detail, RETRY)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _start(self) -> subprocess.Popen[str]:
        """A new process that takes questions; loading it is nobody's time."""
        self._end()
        process = self._process = subprocess.Popen(
            [sys.executable, "-m", "lungscreen.server.slices.answerer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert process.stdout is not None
        if not process.stdout.readline().endswith("\n"):
            self._end()
            raise ProblemError(503, "no_answer", "the slice classifier does not start; see the server's log", RETRY)
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):  # a question that it did not take
            process.stdin.close()
        process.stdout.close()


def _said(process: subprocess.Popen[str], order: dict[str, Any]) -> str:
    """The line that answers an order; empty when the process has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
    except OSError:
        return ""
    return process.stdout.readline()
