"""What the detector says: guesses, never truth (`preprocessing.annotations.Nodule` is truth)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from preprocessing.geometry import Triple

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
    table.to_csv(path, index=False)


def read_candidates(path: Path) -> dict[str, list[Candidate]]:
    """Candidates by series uid, best first; `diameter_mm` may be absent (a plain LUNA16 submission: NaN).

    Raises:
        ValueError: when a required column is missing.
    """
    table = pd.read_csv(path, dtype={"seriesuid": str})
    missing = [name for name in COLUMNS[:5] if name not in table.columns]
    if missing:
        raise ValueError(f"{path.name} must have the columns {list(COLUMNS[:5])}; missing: {missing}")
    if "diameter_mm" not in table.columns:
        table["diameter_mm"] = float("nan")
    found: dict[str, list[Candidate]] = {}
    numbers = table[["coordX", "coordY", "coordZ", "diameter_mm", "probability"]].to_numpy(float)
    for uid, (x, y, z, diameter, score) in zip(table["seriesuid"], numbers.tolist(), strict=True):
        found.setdefault(uid, []).append(Candidate(uid, (x, y, z), diameter, score))
    for group in found.values():
        group.sort(key=lambda c: -c.score)
    return found
