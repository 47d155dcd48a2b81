"""What the detector says: guesses, never truth (`preprocessing.annotations.Nodule` is truth)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from preprocessing.geometry import Triple
from runs.csv_text import numbers, printable, read_lines, write_csv
from runs.entry import UsageError

COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "probability", "diameter_mm")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One suspected nodule.

    Attributes:
        series_uid: the scan it lies in.
        center_mm: world LPS mm (x, y, z).
        diameter_mm: mean edge of the predicted box.
        score: detector probability in [0, 1].
    """

    series_uid: str
    center_mm: Triple
    diameter_mm: float
    score: float


def write_candidates(path: Path, candidates: Iterable[Candidate]) -> None:
    """Write `candidates.csv`: a LUNA16 submission with one more column; world LPS mm."""
    rows = [(c.series_uid, *c.center_mm, c.score, c.diameter_mm) for c in candidates]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in COLUMNS[1:]:
        digits = 6 if column == "probability" else 3
        table[column] = [f"{value:.{digits}f}" for value in table[column]]
    write_csv(path, table)


def read_candidates(path: Path) -> dict[str, list[Candidate]]:
    """Candidates by series uid, best first; `diameter_mm` may be absent or empty (a plain LUNA16 submission: NaN).

    Raises:
        FileNotFoundError: no such file.
        UsageError: a column is missing, or a cell is not what it must be: file, column and line are named.
    """
    table = read_lines(path, COLUMNS[:5], ("seriesuid",), COLUMNS[5:])
    nameless = table.index[table["seriesuid"] == ""]
    if len(nameless):
        raise UsageError(f"{printable(path)}: seriesuid in line {nameless[0]} must be the name of a scan, got nothing")
    places = zip(*(numbers(path, table, name) for name in COLUMNS[1:4]), strict=True)
    scores = numbers(path, table, "probability", lambda v: 0 <= v <= 1, "a probability from 0 to 1")
    diameters = [math.nan] * len(table)
    if "diameter_mm" in table.columns:
        diameters = numbers(path, table, "diameter_mm", _is_diameter, "a number of mm over 0, or empty where unknown")
    found: dict[str, list[Candidate]] = {}
    for uid, place, diameter, score in zip(table["seriesuid"], places, diameters, scores, strict=True):
        found.setdefault(uid, []).append(Candidate(uid, place, diameter, score))
    for group in found.values():
        group.sort(key=lambda c: -c.score)
    return found


def _is_diameter(value: float) -> bool:
    return math.isnan(value) or 0 < value < math.inf
