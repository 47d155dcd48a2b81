"""Predictions and labels as files: `id,cancer[,...]`, matched by id, never by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from classification.metrics.guards import (
    Guard,
    check_unmatched,
    checked_labels,
    checked_probabilities,
    doubts,
)
from runs.bootstrap import Array
from runs.csv_text import missing_columns, read_csv
from runs.guards import Caution, GuardError

MATCHING = "rows are matched by id, as exact text; their order in the files plays no part"


@dataclass(frozen=True, slots=True, eq=False)
class MatchedRows:
    """The rows all files have, in the order of their ids.

    Attributes:
        ids: (n,) text.
        label: (n,) bool, cancer or not.
        probability: (n,) in [0, 1].
        against: (n,) of the other prediction, or None.
        groups: (n,) text, the same for rows that belong together, or None.
        cautions: what was odd but did not stop.
    """

    ids: Array
    label: Array
    probability: Array
    against: Array | None
    groups: Array | None
    cautions: tuple[Caution, ...]


def read_matched(
    predictions: Path,
    labels: Path,
    against: Path | None = None,
    group: str | None = None,
    truth: Callable[[Path], pd.DataFrame] | None = None,
    column: str = "cancer",
) -> MatchedRows:
    """Read and match the files; `group` names a column of the labels (or else of the predictions).

    `truth` reads the labels where they are no plain `id,cancer` (`classification.labels.interface.reader`),
    `column` holds the probabilities of the predictions.

    Raises:
        FileNotFoundError: no such file.
        GuardError: see `Guard`; its message begins with the name.
    """
    labelled = (truth or read_table)(labels)
    said = [read_table(predictions, cancer=column), *([read_table(against)] if against is not None else [])]
    cautions = [f for table in said for f in _compare_ids(table, labelled)]
    common = sorted(set(labelled.index).intersection(*(table.index for table in said)))
    label = checked_labels(_numbers(labelled.loc[common, "cancer"]), str(labelled.index.name))
    probabilities = []
    for table in said:
        name = str(table.index.name)
        probabilities.append(checked_probabilities(_numbers(table.loc[common, "cancer"]), name))
        cautions += doubts(label, probabilities[-1], name)
    return MatchedRows(
        np.array(common),
        label,
        probabilities[0],
        probabilities[1] if against is not None else None,
        _groups(group, labelled, said[0], common) if group else None,
        tuple(cautions),
    )


def read_table(path: Path, ids: str = "id", cancer: str = "cancer") -> pd.DataFrame:
    """All columns as text, by id; the index carries the file's name.

    Args:
        path: of the file.
        ids: its column of ids.
        cancer: its column of labels or probabilities, called `cancer` in what is returned.

    Raises:
        FileNotFoundError: no such file.
        GuardError: `missing_column`, `no_rows`, `duplicate_ids`.
    """
    if not path.stat().st_size:
        raise GuardError(Guard.NO_ROWS, f"{path.name} is empty")
    wanted = (ids, cancer)
    options = {"dtype": str, "keep_default_na": False, "skipinitialspace": True, "index_col": False}
    table = read_csv(path, (ids,), wanted, **options)
    if fault := missing_columns(path, table, wanted):
        raise GuardError(Guard.MISSING_COLUMN, fault)
    if table.empty:
        raise GuardError(Guard.NO_ROWS, f"{path.name} has a header and no rows")
    twice = table[ids][table[ids].duplicated()].unique()
    if len(twice):
        detail = f"{path.name}: {len(twice)} id(s) stand in several rows, such as {twice[0]!r}"
        raise GuardError(Guard.DUPLICATE_IDS, detail)
    if cancer != "cancer":
        table = table.drop(columns="cancer", errors="ignore").rename(columns={cancer: "cancer"})
    return table.set_index(ids).rename_axis(path.name)


def _compare_ids(said: pd.DataFrame, truth: pd.DataFrame) -> list[Caution]:
    names = (str(said.index.name), str(truth.index.name))
    unlabelled, unsaid = set(said.index) - set(truth.index), set(truth.index) - set(said.index)
    check_unmatched(unlabelled, unsaid, names)
    if len(unlabelled) == len(said):
        detail = f"no id of {names[0]} is in {names[1]}, such as {min(unlabelled)!r} and {min(unsaid)!r}"
        raise GuardError(Guard.NO_OVERLAP, detail)
    found = []
    if unsaid:
        ill = int((_numbers(truth.loc[sorted(unsaid), "cancer"]) == 1).sum())
        detail = (
            f"{len(unsaid)} of {len(truth)} labelled ids ({ill} with cancer) are not in {names[0]} and do not count"
        )
        found.append(Caution(Guard.WITHOUT_PREDICTION, detail))
    if unlabelled:
        detail = f"{len(unlabelled)} of {len(said)} ids of {names[0]} have no label and do not count"
        found.append(Caution(Guard.WITHOUT_LABEL, detail))
    return found


def _numbers(column: pd.Series[str]) -> Array:
    return pd.to_numeric(column, errors="coerce").to_numpy(np.float64)


def _groups(group: str, truth: pd.DataFrame, said: pd.DataFrame, common: list[str]) -> Array:
    for table in (truth, said):
        if group in table.columns:
            return table.loc[common, group].to_numpy(str)
    raise GuardError(Guard.MISSING_COLUMN, f"no column {group!r} in {truth.index.name} or {said.index.name}")
