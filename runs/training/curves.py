"""The curve of a training as one unbroken csv, whatever the number of times it was cut."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import Logger


class CurveLogger(Logger):
    """Appends a row each time Lightning logs.

    Args:
        path: the csv; rows of an earlier start are kept up to `first_step`.
        first_step: optimiser steps that were done before this start.
    """

    def __init__(self, path: Path, first_step: int) -> None:
        super().__init__()
        self.path = path
        self._columns: list[str] = []
        if path.is_file():
            rows = self._rows()
            self._columns = rows[0] if rows and first_step else []
            kept = [row for row in rows[1:] if len(row) == len(self._columns) and int(row[0]) < first_step]
            self._write([self._columns, *kept] if self._columns else [], "w")

    @property
    def name(self) -> str:
        """Lightning asks for it."""
        return "curves"

    @property
    def version(self) -> str:
        """Lightning asks for it."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Settings stand in `settings.json`."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """One row: step and every metric; what has not been told before becomes a further column."""
        values = {"step": step, **{k: repr(float(v)) for k, v in sorted(metrics.items()) if k != "epoch"}}
        if not values.keys() <= set(self._columns):
            self._widen([name for name in values if name not in self._columns])
        self._write([[values.get(c, "") for c in self._columns]], "a")

    def _widen(self, names: list[str]) -> None:
        rows = self._rows()[1:] if self._columns else []
        self._columns += names
        self._write([self._columns, *([*row, *[""] * len(names)] for row in rows)], "w")

    def _rows(self) -> list[list[str]]:
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(csv.reader(file))

    def _write(self, rows: list[list[Any]], mode: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open(mode, newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
