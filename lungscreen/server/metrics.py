"""Counters in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

from lungscreen.server.jobs.cases import State

# Of a series of numbers: a status, a state or a word.
Label = TypeVar("Label", int, str, State)


class Metrics:
    """What happened since the start of the server; safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: Counter[int] = Counter()
        self._uploads: Counter[str] = Counter()
        self._bytes = 0

    def answered(self, status: int) -> None:
        """A request was answered."""
        with self._lock:
            self._answers[status] += 1

    def uploaded(self, outcome: str, size: int = 0) -> None:
        """An upload ended: `new`, `known`, or the reason of a refusal."""
        with self._lock:
            self._uploads[outcome] += 1
            self._bytes += size

    def text(self, cases: Mapping[State, int], workers: int, wanted: int) -> str:
        """All of them.

        Args:
            cases: how many are in each state.
            workers: that take cases.
            wanted: that should.
        """
        with self._lock:
            blocks = [
                _block("lungscreen_http_answers_total", "counter", "Answers by status.", "status", self._answers),
                _block("lungscreen_uploads_total", "counter", "Uploads by outcome.", "outcome", self._uploads),
                _plain("lungscreen_upload_bytes_total", "counter", "Bytes of whole uploads.", self._bytes),
            ]
        blocks += [
            _block("lungscreen_cases", "gauge", "Cases by state.", "state", cases),
            _plain("lungscreen_workers_ready", "gauge", "Workers that take cases.", workers),
            _plain("lungscreen_workers", "gauge", "Workers there should be.", wanted),
        ]
        return "".join(blocks)


def _block(name: str, kind: str, words: str, label: str, values: Mapping[Label, int]) -> str:
    lines = [f'{name}{{{label}="{key}"}} {value}\n' for key, value in sorted(values.items())]
    return f"# HELP {name} {words}\n# TYPE {name} {kind}\n{''.join(lines)}"


def _plain(name: str, kind: str, words: str, value: int) -> str:
    return f"# HELP {name} {words}\n# TYPE {name} {kind}\n{name} {value}\n"
