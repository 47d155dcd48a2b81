"""The mean of weights: by hand, with a card that names them, and only of detectors that are alike."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from detection.average import AverageSettings, average
from detection.detector import load_detector
from detection.levels import raised
from runs.entry import UsageError, compose_settings
from runs.training.weights import sha256
from tests.weights import tiny_detector


def other(path: Path, to: Path, factor: float) -> Path:
    """The same weights times a factor."""
    state = {k: (v * factor if v.is_floating_point() else v) for k, v in load_file(path).items()}
    save_file(state, to)
    card = json.loads(path.with_suffix(".json").read_text())
    to.with_suffix(".json").write_text(json.dumps({**card, "name": to.stem, "sha256": sha256(to)}))
    return to


def test_the_mean_of_once_and_three_times_is_twice(tmp_path: Path) -> None:
    one = tiny_detector(tmp_path)
    three = other(one, tmp_path / "three.safetensors", 3.0)
    out = tmp_path / "mean.safetensors"
    average(AverageSettings((str(one), str(three)), out, coarse_logit=1.5))
    first, mean = load_file(one), load_file(out)
    for key, values in mean.items():
        wanted = 2 * first[key].float() if values.is_floating_point() else first[key]
        torch.testing.assert_close(values.float(), wanted.float(), rtol=2e-3, atol=1e-6)
    card = json.loads(out.with_suffix(".json").read_text())
    assert (card["name"], card["model"]["coarse_logit"]) == ("mean", 1.5)
    assert [c["name"] for c in card["mean_of"]] == ["tiny", "three"]
    # No path of anybody's machine.
    assert str(tmp_path) not in json.dumps(card)
    assert load_detector(out).model.coarse_logit == 1.5
    # One alone is itself, with another number, and may be told to look at other levels.
    average(AverageSettings((str(one),), tmp_path / "same.safetensors", levels=(1, 2, 4)))
    assert load_detector(tmp_path / "same.safetensors").model.levels == (1, 2, 4)
    with pytest.raises(UsageError, match=r"model.levels must be one of \[1\], \[1, 2\], \[1, 2, 4\], got \[1, 4\]"):
        average(AverageSettings((str(one),), tmp_path / "other.safetensors", levels=(1, 4)))
    assert torch.equal(load_file(tmp_path / "same.safetensors")["stem.0.weight"], first["stem.0.weight"])


def test_detectors_that_differ_are_refused_by_the_key(tmp_path: Path) -> None:
    one = tiny_detector(tmp_path)
    out = tmp_path / "mean.safetensors"
    with pytest.raises(UsageError, match=r"of detectors that differ in head_width, widths"):
        average(AverageSettings((str(one), "compact-v3"), out))
    assert not out.exists()
    with pytest.raises(UsageError, match=r"must end in \.safetensors"):
        AverageSettings((str(one),), tmp_path / "mean.pt")
    with pytest.raises(UsageError, match="at least one"):
        compose_settings(AverageSettings, "detection_average", ["weights=[]", "out=a.safetensors"])


def test_scores_of_masses_are_raised_by_their_logits() -> None:
    scores = torch.tensor([0.5, 0.2, 0.2])
    boxes = torch.tensor([[0.0, 0, 0, 30, 30, 30], [5.0, 5, 5, 45, 45, 45], [0.0, 0, 0, 29, 29, 29]])
    # Odds of 1 and of 1 to 4, times e; under 30 mm they stay.
    e = 2.718281828
    torch.testing.assert_close(raised(boxes, scores, 1.0), torch.tensor([e / (1 + e), e / (4 + e), 0.2]))
    torch.testing.assert_close(raised(boxes, scores, 0.0), scores)
