"""True nodules, and the LUNA16 files that list them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from preprocessing.geometry import Triple
from runs.csv_text import numbers, read_lines, write_csv

# LUNA16 counts a finding of unknown size as one of 10 mm.
UNKNOWN_DIAMETER_MM = 10.0
COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")


@dataclass(frozen=True, slots=True)
class Nodule:
    """One nodule as readers (or a phantom) state it.

    Attributes:
        series_uid: the scan it lies in.
        center_mm: world LPS mm (x, y, z).
        diameter_mm: of the sphere of equal volume; NaN where unknown (LUNA16 writes -1).
        malignancy: mean reader rating 1-5, or None.
        ratings: mean LIDC ratings by name (subtlety, texture, spiculation, ...).
        n_readers: how many readers marked it.
    """

    series_uid: str
    center_mm: Triple
    diameter_mm: float
    malignancy: float | None = None
    ratings: Mapping[str, float] = field(default_factory=dict)
    n_readers: int = 0


@dataclass(frozen=True)
class IgnoredPlace:
    """A ball in a scan that teaches nothing and measures nothing: a tumour nobody annotated, say.

    Attributes:
        seriesuid: the scan it lies in.
        center_mm: world LPS mm (x, y, z).
        diameter_mm: of the ball.
    """

    seriesuid: str
    center_mm: tuple[float, float, float]
    diameter_mm: float


def read_annotations(path: Path) -> list[Nodule]:
    """Nodules of a LUNA16 `annotations.csv` (or `annotations_excluded.csv`), in file order.

    Raises:
        UsageError: when a column is missing or a number cannot be read.
    """
    table = read_lines(path, COLUMNS, ("seriesuid",))
    columns = [numbers(path, table, name) for name in COLUMNS[1:4]]
    diameters = numbers(path, table, "diameter_mm", lambda v: not math.isinf(v))
    return [
        Nodule(uid, (x, y, z), d if d > 0 else math.nan)
        for uid, x, y, z, d in zip(table["seriesuid"], *columns, diameters, strict=True)
    ]


def write_annotations(path: Path, nodules: Iterable[Nodule]) -> None:
    """Write the LUNA16 `annotations.csv`; an unknown diameter becomes -1."""
    rows = [(n.series_uid, *n.center_mm, n.diameter_mm if n.diameter_mm > 0 else -1.0) for n in nodules]
    write_csv(path, pd.DataFrame(rows, columns=list(COLUMNS)), float_format="%.6f")
