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
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.reader(file))
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
        """One row: step and every metric; the first row fixes the columns."""
        values = {"step": step, **{k: repr(float(v)) for k, v in sorted(metrics.items()) if k != "epoch"}}
        fresh = not self._columns
        self._columns = self._columns or list(values)
        self._write([*([self._columns] if fresh else []), [values.get(c, "") for c in self._columns]], "a")

    def _write(self, rows: list[list[Any]], mode: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open(mode, newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
