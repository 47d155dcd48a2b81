"""Answers out of fold as files: what a training writes and `classification.slices.evaluate` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from classification.slices.files import CLASSES, Slice
from runs.csv_text import numbers, read_lines, write_csv
from runs.entry import UsageError

# In the folder of a training, by split.
ANSWERS = {"grouped": "predictions.csv", "random": "predictions_random.csv"}
NAMED = ("label", "predicted", "nearest_neighbour")

Labels = npt.NDArray[np.int64]


def write_answers(
    path: Path,
    slices: Sequence[Slice],
    groups: Labels,
    folds: Labels,
    answers: npt.NDArray[np.float64],
    neighbours: Labels,
) -> None:
    """One row a slice: `answers` (N, classes) of a network that has not seen its fold, and its nearest neighbour's."""
    columns = {name: [f"{p:.6f}" for p in answers[:, i]] for i, name in enumerate(CLASSES)}
    frame = pd.DataFrame(
        {
            "file": [f"{s.path.parent.name}/{s.path.name}" for s in slices],
            "label": [CLASSES[s.label] for s in slices],
            "group": groups,
            "fold": folds,
            **columns,
            "predicted": [CLASSES[i] for i in answers.argmax(1)],
            "nearest_neighbour": [CLASSES[i] for i in neighbours],
        }
    )
    write_csv(path, frame)


def read_answers(path: Path) -> pd.DataFrame:
    """What `write_answers` wrote: shares as numbers, the rest as text.

    Raises:
        FileNotFoundError: no such file.
        UsageError: a column is missing, or a cell is no class or no number.
    """
    table = read_lines(path, (*NAMED, "group", *CLASSES), (*NAMED, "group"))
    for name in NAMED:
        wrong = sorted(set(table[name]) - set(CLASSES))
        if wrong:
            raise UsageError(f"{path.name}: {name} must be one of {', '.join(CLASSES)}, got {wrong[0]!r}")
    return table.assign(**{name: numbers(path, table, name) for name in CLASSES})
