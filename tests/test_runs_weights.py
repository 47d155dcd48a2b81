"""Weights come back as they went in, or not at all."""

from pathlib import Path

import pytest
import torch

from detection.detector import SHIPPED
from runs.weights import load_weights, save_weights


def test_round_trip_in_half_precision(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": torch.tensor([0.5, -2.0]), "n": torch.tensor(3)}, {"name": "tiny"})
    state, card = load_weights(path, path.parent)
    assert state["a"].tolist() == [0.5, -2.0]
    assert state["a"].dtype == torch.float32
    assert int(state["n"]) == 3
    assert card["name"] == "tiny"


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": torch.zeros(2)}, {})
    card = path.with_suffix(".json").read_text()
    save_weights(path, {"a": torch.ones(2)}, {})
    path.with_suffix(".json").write_text(card)
    with pytest.raises(ValueError, match="sha256"):
        load_weights(path, path.parent)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(FileNotFoundError, match="compact-v1"):
        load_weights("no-such-weights", SHIPPED)
