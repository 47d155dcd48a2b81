"""`python -m classification.slices.evaluate training=DIR`: what a slice classifier's answers out of fold are worth."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import roc_auc_score, roc_curve

from classification.slices.answers import ANSWERS, read_answers
from classification.slices.figures import figures_of
from classification.slices.files import CLASSES
from classification.slices.pictures import write_confusion, write_roc
from classification.slices.train import table
from runs.checks import at_least
from runs.entry import run
from runs.writing import write_json

Curves = dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]]


@dataclass(frozen=True)
class SliceEvaluateSettings:
    """What `classification.slices.evaluate` takes.

    Attributes:
        training: folder of `classification.slices.train`.
        out: folder for `metrics.json`, and for `confusion.png` and `roc.png` of the grouped split.
        bootstrap: draws behind the intervals.
    """

    training: Path
    bootstrap: int
    out: Path = Path("outputs/slices_evaluate")

    def __post_init__(self) -> None:
        at_least("bootstrap", self.bootstrap, 1)


def evaluate(settings: SliceEvaluateSettings) -> None:
    """Print both splits beside the nearest neighbour, then each class; write the same and the pictures.

    Raises:
        FileNotFoundError: the training left no answers.
        UsageError: the file of answers is damaged, or of a training before this command.
    """
    tables = {split: read_answers(settings.training / name) for split, name in ANSWERS.items()
              if split == "grouped" or (settings.training / name).is_file()}  # fmt: skip
    figures = {split: measured(rows, split == "grouped", settings.bootstrap) for split, rows in tables.items()}
    curves = roc_of(tables["grouped"])
    written: dict[str, Any] = {**figures, "roc_auc_grouped": {name: round(c[2], 4) for name, c in curves.items()}}
    settings.out.mkdir(parents=True, exist_ok=True)
    write_json(settings.out / "metrics.json", written)
    write_confusion(settings.out / "confusion.png", figures["grouped"]["network"])
    write_roc(settings.out / "roc.png", curves)
    for line in (*table(figures), *classes_table(figures["grouped"]["network"], curves)):
        sys.stdout.write(line + "\n")


def measured(rows: pd.DataFrame, grouped: bool, repeats: int) -> dict[str, Any]:
    """Figures of the network and of the nearest neighbour on one split."""
    number = {name: i for i, name in enumerate(CLASSES)}
    label = rows["label"].map(number).to_numpy()
    groups = rows["group"].to_numpy() if grouped else None
    columns = {"network": "predicted", "nearest_neighbour": "nearest_neighbour"}
    return {
        name: figures_of(label, rows[column].map(number).to_numpy(), groups, repeats)
        for name, column in columns.items()
    }


def roc_of(rows: pd.DataFrame) -> Curves:
    """Of each class against the others: false positive rate, sensitivity and the area under it."""
    found = {}
    for name in CLASSES:
        truth, share = rows["label"] == name, rows[name].to_numpy(float)
        x, y, _ = roc_curve(truth, share)
        found[name] = (x, y, float(roc_auc_score(truth, share)))
    return found


def classes_table(figures: dict[str, Any], curves: Curves) -> Iterator[str]:
    """The grouped split class by class, and its confusion matrix."""
    yield ""
    yield f"{'grouped':10} precision  sensitivity  specificity    F1  ROC AUC   said " + " ".join(CLASSES)
    for row, name in enumerate(CLASSES):
        of = figures["per_class"][name]
        counts = " ".join(f"{n:{len(c)}d}" for n, c in zip(figures["confusion"][row], CLASSES, strict=True))
        yield (
            f"{name:10} {of['precision']:9.3f}  {of['recall']:11.3f}  {of['specificity']:11.3f} {of['f1']:5.3f}  "
            f"{curves[name][2]:7.3f}        {counts}"
        )


def main() -> None:
    """Entry point."""
    run(evaluate, SliceEvaluateSettings, "classification_slices_evaluate")


if __name__ == "__main__":
    main()
