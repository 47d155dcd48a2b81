"""LUNA16's files as columns, read strictly: what an evaluation is fed is not believed.

Numbers are parsed by Python's `float`, exactly, since a hit may hang on the last digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from detection.froc.guards import (
    Guard,
    check_duplicates,
    check_excluded,
    check_ids,
    check_series,
    check_truth,
)
from detection.froc.matching import FloatArray, Points, inside, points
from preprocessing.luna16.files import series_column
from runs.csv_text import missing_columns, printable, read_csv
from runs.guards import Caution, GuardError

CENTER = ("coordX", "coordY", "coordZ")
TEXTURE = "texture"


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What the candidates are held against.

    Attributes:
        series_uids: the scans that are scored.
        nodules: what should be found.
        excluded: findings whose hits are ignored.
        texture: (N,) mean LIDC texture of each nodule, NaN where unknown; None where no file has it.
        cautions: of the guards.
    """

    series_uids: list[str]
    nodules: Points
    excluded: Points
    texture: FloatArray | None
    cautions: list[Caution]


def read_truth(annotations: Path, excluded: Path | None, seriesuids: Path, ratings: Path | None = None) -> Truth:
    """The three files of LUNA16.

    Args:
        annotations: `seriesuid,coordX,coordY,coordZ,diameter_mm[,texture]`.
        excluded: the same columns, or None: every hit outside a nodule is a false positive.
        seriesuids: one id a line, with or without the heading `seriesuid`.
        ratings: `seriesuid,coordX,coordY,coordZ,texture`: the nearest row inside a nodule gives its texture.

    Raises:
        GuardError: a file cannot be read as what it should be.
    """
    series_uids = series_column(seriesuids)
    cautions = check_series(series_uids)
    given = _read(annotations, "diameter_mm")
    cautions += check_ids(printable(annotations), given.series, series_uids, subset_is_usual=False)
    cautions += check_duplicates(Guard.DUPLICATE_NODULES, printable(annotations), given.series, given.center_mm)
    nodules, listed = points(series_uids, given.series, given.center_mm, given.value)
    cautions += check_truth(nodules, len(series_uids))
    cautions += check_excluded(excluded is not None)
    ignored = Points(np.zeros(0, dtype=np.int64), np.zeros((0, 3)), np.zeros(0))
    if excluded is not None:
        others = _read(excluded, "diameter_mm")
        cautions += check_ids(printable(excluded), others.series, series_uids, subset_is_usual=True)
        ignored, _ = points(series_uids, others.series, others.center_mm, others.value)
    texture = None if given.texture is None else given.texture[listed]
    if ratings is not None:
        rated = _read(ratings, TEXTURE)
        cautions += check_ids(printable(ratings), rated.series, series_uids, subset_is_usual=True)
        texture = nearest_value(nodules, points(series_uids, rated.series, rated.center_mm, rated.value)[0])
    return Truth(series_uids, nodules, ignored, texture, cautions)


def read_submission(path: Path, series_uids: Sequence[str]) -> tuple[Points, list[Caution]]:
    """The candidates of a LUNA16 submission that lie in the listed scans, and what the guards say of the file.

    Raises:
        GuardError: columns are missing, or a coordinate or score is no finite number.
    """
    given = _read(path, "probability")
    numbers = np.column_stack([given.center_mm, given.value])
    cautions = check_ids(printable(path), given.series, series_uids, subset_is_usual=False)
    cautions += check_duplicates(Guard.DUPLICATE_CANDIDATES, printable(path), given.series, numbers)
    return points(series_uids, given.series, given.center_mm, given.value)[0], cautions


def nearest_value(nodules: Points, rated: Points) -> FloatArray:
    """(N,): the value of the rated point nearest to each nodule's centre and inside it; NaN where there is none."""
    nodule, row = inside(nodules, rated)
    distance = np.linalg.norm(nodules.center_mm[nodule] - rated.center_mm[row], axis=1)
    value = np.full(len(nodules), np.nan)
    farthest_first = np.argsort(-distance, kind="stable")
    value[nodule[farthest_first]] = rated.value[row[farthest_first]]
    return value


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    series: list[str]
    center_mm: FloatArray
    value: FloatArray
    texture: FloatArray | None


def _read(path: Path, value: str) -> _Columns:
    """Series, centres and the column `value`; `texture` too, where there is such a column."""
    empty = not path.stat().st_size
    wanted = ("seriesuid", *CENTER, value)
    options = {"dtype": object, "na_filter": False, "index_col": False}
    table = pd.DataFrame() if empty else read_csv(path, ("seriesuid",), (*wanted, TEXTURE), **options)
    if fault := missing_columns(path, table, wanted):
        raise GuardError(Guard.MISSING_COLUMNS, fault)
    center = np.column_stack([_numbers(path, table, name) for name in CENTER])
    texture = _numbers(path, table, TEXTURE, may_be_empty=value != TEXTURE) if TEXTURE in table.columns else None
    return _Columns(table["seriesuid"].astype(str).tolist(), center, _numbers(path, table, value), texture)


def _numbers(path: Path, table: pd.DataFrame, column: str, may_be_empty: bool = False) -> FloatArray:
    texts = [str(cell) for cell in table[column].tolist()]
    if may_be_empty:
        texts = [text.strip() or "nan" for text in texts]
    try:
        values = np.array([float(text) for text in texts])
    except ValueError:
        row, text = next((i, text) for i, text in enumerate(texts) if not _is_number(text))
        guard = Guard.NOT_A_NUMBER if text.strip() else Guard.NOT_FINITE
        raise _wrong(guard, path, f"{column} in line {row + 2} is {text!r}") from None
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad) and not may_be_empty:
        text = f"{column} in line {bad[0] + 2} is {texts[bad[0]]!r}, as in {len(bad)} of {len(values)} lines"
        raise _wrong(Guard.NOT_FINITE, path, text)
    return values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _wrong(guard: Guard, path: Path, text: str) -> GuardError:
    return GuardError(guard, f"{printable(path)}: {text}")
