"""Weights come back as they went in, or not at all."""

from pathlib import Path

import pytest
import torch

from detection.detector import SHIPPED
from runs.training.weights import load_weights, save_weights


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


def test_weights_and_card_appear_together_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(TypeError):
        save_weights(path, {"a": torch.zeros(2)}, {"name": object()})
    assert list(tmp_path.iterdir()) == []
    save_weights(path, {"a": torch.zeros(2)}, {"name": "first"})
    with pytest.raises(TypeError):
        save_weights(path, {"a": torch.ones(2)}, {"name": object()})
    state, card = load_weights(path, path.parent)
    assert (state["a"].tolist(), card["name"]) == ([0, 0], "first")
    assert path.stat().st_mode & 0o777 == 0o644


def test_weights_never_stand_beside_an_earlier_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": torch.zeros(2)}, {})
    replace = Path.replace

    def fail_at_the_card(part: Path, target: Path) -> Path:
        if target.suffix == ".json":
            raise OSError("the power")
        return replace(part, target)

    monkeypatch.setattr(Path, "replace", fail_at_the_card)
    with pytest.raises(OSError, match="the power"):
        save_weights(path, {"a": torch.ones(2)}, {})
    assert list(tmp_path.iterdir()) == [path]
