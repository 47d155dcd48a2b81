"""The mean of weights: by hand, with a card that names them, and only of detectors that are alike."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from detection.average import AverageSettings, average
from detection.candidate import Candidate
from detection.detector import InferenceSettings, load_detector, read_weights
from detection.levels import raised
from detection.training.settings import TrainSettings
from preprocessing.geometry import Geometry
from preprocessing.prepare import PreparedScan
from preprocessing.volume import Volume
from runs.entry import UsageError, compose_settings
from runs.training.weights import save_weights, sha256
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


def cube(shape: tuple[int, ...]) -> Geometry:
    return Geometry(shape, (1, 1, 1), (0, 0, 0), np.eye(3))


def biased(folder: Path, name: str, bias: float) -> Path:
    """The tiny detector, which finds something everywhere or, of a low bias, nowhere."""
    made = tiny_detector(folder)
    state = load_file(made)
    state["scores.3.bias"][:] = bias
    path = folder / f"{name}.safetensors"
    card = json.loads(made.with_suffix(".json").read_text())
    save_weights(path, state, {**card, "name": name})
    return path


@pytest.mark.slow
def test_the_coarser_levels_may_have_weights_of_their_own(tmp_path: Path) -> None:
    blind, seeing = biased(tmp_path, "blind", -20.0), biased(tmp_path, "seeing", 1.0)
    hu = np.full((48, 48, 48), -850, np.int16)
    prepared = PreparedScan(Volume(hu, cube(hu.shape), "1.2"), np.ones(hu.shape, bool), cube(hu.shape))

    def found(fine: Path, coarse: Path | None, levels: tuple[int, ...] = (1, 2)) -> list[Candidate]:
        out = tmp_path / "joined.safetensors"
        average(AverageSettings((str(fine),), out, coarse=coarse and str(coarse), levels=levels))
        return load_detector(out, InferenceSettings(precision="fp32")).detect(prepared)

    assert found(blind, None) == found(blind, blind) == []
    # The first level is the first network's, the second the second's: only what is large counts there.
    assert found(seeing, blind) == found(seeing, None, levels=(1,)) != []
    coarse = found(blind, seeing)
    assert coarse
    assert min(c.diameter_mm for c in coarse) > 20
    # A card that says where both came from; a later mean keeps the second network of its last.
    joined = tmp_path / "joined.safetensors"
    average(AverageSettings((str(seeing), str(joined)), tmp_path / "mean.safetensors"))
    for path in (joined, tmp_path / "mean.safetensors"):
        card = json.loads(path.with_suffix(".json").read_text())
        assert (card["model"]["coarse_network"], card["coarse"]["name"]) == (True, "seeing")
        assert torch.equal(load_file(path)["coarse.scores.3.bias"], load_file(seeing)["scores.3.bias"])
    assert load_file(tmp_path / "mean.safetensors")["scores.3.bias"].tolist() == [-9.5] * 4
    # Of such a one the coarser levels' network is taken, not the first.
    average(AverageSettings((str(blind),), tmp_path / "again.safetensors", coarse=str(joined), levels=(1, 2)))
    assert load_file(tmp_path / "again.safetensors")["coarse.scores.3.bias"].tolist() == [1.0] * 4
    with pytest.raises(UsageError, match=r"coarse_network needs model\.levels beyond the first"):
        average(AverageSettings((str(blind),), tmp_path / "no.safetensors", coarse=str(seeing), levels=(1,)))


def test_a_joined_detector_is_not_trained_but_its_first_network_may_go_on(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"detection\.average coarse= joins two trainings"):
        compose_settings(TrainSettings, "detection_train", ["model.coarse_network=true"])
    one, two = biased(tmp_path, "one", -3.0), biased(tmp_path, "two", 1.0)
    average(AverageSettings((str(one),), tmp_path / "joined.safetensors", coarse=str(two), levels=(1, 2)))
    model, _ = read_weights(one)
    model.take(load_file(tmp_path / "joined.safetensors"))
    assert model.weights()["scores.3.bias"].tolist() == [-3.0] * 4


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
