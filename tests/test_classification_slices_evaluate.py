"""`classification.slices.evaluate` on answers worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classification.slices.answers import ANSWERS, read_answers, write_answers
from classification.slices.evaluate import SliceEvaluateSettings, evaluate
from classification.slices.files import Slice
from runs.entry import UsageError, compose_settings


def write(folder: Path, split: str) -> None:
    """Two slices of each class; one benign is said malignant; the neighbour is right about the first of each."""
    labels = np.array([0, 0, 1, 1, 2, 2])
    shares = np.array([[0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1], [0.1, 0.3, 0.6], [0, 0.5, 0.5], [0, 0, 1]])
    shares[4] = [0.0, 0.45, 0.55]
    slices = [Slice(Path(f"c/{i}.png"), int(label), i) for i, label in enumerate(labels)]
    neighbours = np.array([0, 1, 1, 2, 2, 0])
    write_answers(folder / ANSWERS[split], slices, np.arange(6) // 2, labels, shares, neighbours)


@pytest.mark.slow
def test_figures_of_both_splits_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "grouped")
    out = tmp_path / "out"
    overrides = [f"training={tmp_path}", f"out={out}", "bootstrap=50"]
    settings = compose_settings(SliceEvaluateSettings, "classification_slices_evaluate", overrides)
    evaluate(settings)
    assert "warning" not in capsys.readouterr().out  # no random split, nothing to warn of
    write(tmp_path, "random")
    evaluate(settings)
    printed = capsys.readouterr().out
    assert "measures memory, not skill" in printed
    found = json.loads((out / "metrics.json").read_text())
    assert found["grouped"]["network"]["accuracy"][0] == pytest.approx(5 / 6, abs=1e-4)
    assert found["random"]["nearest_neighbour"]["accuracy"][0] == 0.5
    assert found["grouped"]["network"]["confusion"] == [[2, 0, 0], [0, 1, 1], [0, 0, 2]]
    # Benign shares .8 and .3 against .1, .4, .45 and 0: of eight pairs two are in the wrong order.
    assert found["roc_auc_grouped"] == {"normal": 1.0, "benign": 0.75, "malignant": 0.875}
    # Malignant: two of three that are said so, none missed; of four others three are cleared; F1 4 / 5.
    (line,) = [line for line in printed.splitlines() if line.startswith("malignant")]
    assert line.split() == ["malignant", "0.667", "1.000", "0.750", "0.800", "0.875", "0", "0", "2"]
    for name in ("roc.png", "confusion.png"):
        assert min(Image.open(out / name).size) > 300


@pytest.mark.slow
def test_answers_of_something_else_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "grouped")
    path = tmp_path / ANSWERS["grouped"]
    text = path.read_text()
    path.write_text(text.replace(",malignant,malignant\n", ",malign,malignant\n", 1))
    with pytest.raises(UsageError, match=r"predictions.csv: predicted must be one of .*, got 'malign'"):
        read_answers(path)
    path.write_text(text.replace("nearest_neighbour", "other"))
    with pytest.raises(ValueError, match="nearest_neighbour"):
        read_answers(path)
    with pytest.raises(FileNotFoundError):
        evaluate(SliceEvaluateSettings(tmp_path / "nothing", 10, tmp_path / "out"))
