"""Weights by path or by name: what is here is checked, what is not says how to get it."""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.errors import HydraException

import detection.detector
from detection.convert import ConvertSettings, convert
from detection.detect import DetectSettings
from detection.detector import SHIPPED, load_detector, read_weights
from detection.models.interface import build_model
from detection.training.settings import TrainSettings
from lungscreen.classify import ClassifySettings
from runs.entry import UsageError, compose_settings
from runs.training.published import fetch_command, place_of, published_cards
from tests import formula

NAME = "monai_luna16"
PUBLISHED = compose_settings(TrainSettings, "detection_train", ["model=monai_luna16"]).model
NARROW = replace(PUBLISHED, width=4, blocks=(1, 1), pyramid_width=8)


def state() -> dict[str, torch.Tensor]:
    return formula.weights(build_model(NARROW).weights())


@pytest.fixture
def narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A narrow network in the place of the published one, and its file where the program looks for it."""
    monkeypatch.setenv("LUNGSCREEN_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cards"
    folder.mkdir()
    monkeypatch.setattr(detection.detector, "SHIPPED", folder)
    card = {**published_cards(SHIPPED)[NAME], "model": asdict(NARROW)}
    place_of(card).parent.mkdir(parents=True)
    torch.save(state(), place_of(card))
    card["source"] |= {"md5": md5(place_of(card))}
    (folder / f"{NAME}.json").write_text(json.dumps(card))
    return card


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_the_published_card_says_what_the_yaml_says_and_where_the_file_is() -> None:
    card = published_cards(SHIPPED)[NAME]
    assert card["model"] == asdict(PUBLISHED)
    assert card["preparation"] == PUBLISHED.preparation.stated()
    assert card["source"]["md5"] == "b2e732a7c2786e2f8398fa45293b1e73"
    # 190 entries of 20,912,877 numbers, all but 14 counters of four bytes.
    assert card["source"]["megabytes"] == pytest.approx(83_651_604 / 1e6, rel=0.002)
    assert card["source"]["url"].endswith(card["source"]["file"])


@pytest.mark.parametrize(("weights", "kind"), [(NAME, None), (None, NAME)])
def test_what_is_not_here_is_told_in_one_line_with_the_command(weights: str | None, kind: str | None) -> None:
    command = fetch_command(published_cards(SHIPPED)[NAME])
    assert command.startswith("curl -L --create-dirs -o ")
    with pytest.raises(UsageError) as refused:
        load_detector(weights, None, kind)
    assert str(refused.value) == f"the weights monai_luna16 (83.7 MB) are not here yet; fetch them: {command}"


def test_a_published_file_is_known_by_name_by_checksum_and_by_path(narrow: dict[str, Any], tmp_path: Path) -> None:
    elsewhere = tmp_path / "model.pt"
    elsewhere.write_bytes(place_of(narrow).read_bytes())
    for weights, kind in ((NAME, None), (None, NAME), (elsewhere, None), (elsewhere, NAME)):
        detector = load_detector(weights, None, kind)
        assert detector.provenance["detector"] == NAME
        assert detector.model.preparation.spacing_mm == (0.703125, 0.703125, 1.25)
        assert detector.settings.nms_iou == 0.22
        assert all(torch.equal(v, detector.model.weights()[k].cpu()) for k, v in state().items())


@pytest.mark.usefixtures("narrow")
def test_other_weights_of_that_network_are_taken_and_named_as_such(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.save({"model": {k: v + 1 if v.is_floating_point() else v for k, v in state().items()}}, tmp_path / "mine.pt")
    with pytest.raises(UsageError, match=r"mine\.pt has no model card: say what it holds, model=monai_luna16"):
        load_detector(tmp_path / "mine.pt")
    detector = load_detector(tmp_path / "mine.pt", None, NAME)
    assert detector.provenance["detector"] == "mine"
    assert "not the file that monai_luna16 publishes" in caplog.text


def test_a_wrong_file_under_the_name_is_refused(narrow: dict[str, Any]) -> None:
    torch.save({"a": torch.zeros(2)}, place_of(narrow))
    with pytest.raises(UsageError, match=rf"expected md5 {narrow['source']['md5']}, got .*; fetch it: curl"):
        load_detector(NAME)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>not found</html>", r"is no PyTorch file of weights alone \(.*fetch it: curl"),
        (torch.optim.SGD, r"is no PyTorch file of weights alone \("),
        ([1, 2], "must hold tensors by name, got list"),
        ({"epoch": 3}, "must hold tensors by name, got dict"),
        ("one too few", r"1 missing, the first classification_head\.cls_logits\.bias"),
        ("one too many", r"1 unknown, the first extra"),
        (
            "another shape",
            r"1 of another shape, the first classification_head\.cls_logits\.bias \(5,\) instead of \(3,\)",
        ),
    ],
    ids=["a page", "code", "a list", "numbers", "too few", "too many", "shape"],
)
def test_what_is_no_such_network_is_refused_by_what_is_wrong(tmp_path: Path, content: Any, said: str) -> None:
    path, bias = tmp_path / "model.pt", "classification_head.cls_logits.bias"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        right = state()
        made = {"one too few": {}, "one too many": {**right, "extra": torch.zeros(1)}}
        made["one too few"] = {k: v for k, v in right.items() if k != bias}
        made["another shape"] = {**right, bias: torch.zeros(5)}
        torch.save(made[content], path)
    else:
        torch.save(content, path)
    with pytest.raises(UsageError, match=said) as refused:
        load_detector(path, None, NAME)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("narrow")
def test_a_path_that_is_not_there_and_a_detector_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no weights at '.*none\.pt'; fetch the published ones: curl"):
        load_detector(tmp_path / "none.pt", None, NAME)
    with pytest.raises(UsageError, match="model must be one of compact, grt123, monai_luna16, got nope"):
        load_detector(None, None, "nope")
    with pytest.raises(FileNotFoundError, match=r"one of \['monai_luna16'\]"):
        load_detector("unheard-of")


@pytest.mark.parametrize(
    ("settings", "command", "more"),
    [
        (DetectSettings, "detect", []),
        (ClassifySettings, "classify", []),
        (ConvertSettings, "detection_convert", ["out=x.safetensors"]),
    ],
)
def test_every_command_takes_a_detectors_name(settings: Any, command: str, more: list[str]) -> None:
    """`model=` is a group of Hydra's, so on the command line it brings all numbers of the detector along."""
    assert compose_settings(settings, command, more).model is None
    assert compose_settings(settings, command, [*more, "model=monai_luna16", "weights=my model.pt"]).model == NAME
    with pytest.raises(UsageError, match="model must be one of compact, grt123, monai_luna16, got another network's"):
        compose_settings(settings, command, [*more, "model=nodule_network"])
    with pytest.raises(HydraException, match="nope"):
        compose_settings(settings, command, [*more, "model=nope"])


def test_shipped_weights_are_of_their_own_detector() -> None:
    assert load_detector(None, None, "compact").provenance["detector"] == "compact-v6"
    with pytest.raises(UsageError, match="'compact-v2' holds weights of model=compact, not of model=monai_luna16"):
        load_detector("compact-v2", None, NAME)


def test_converted_weights_are_the_same_to_the_bit_and_need_no_pickle(narrow: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out" / "monai.safetensors"
    convert(ConvertSettings(out, place_of(narrow)))
    place_of(narrow).unlink()
    model, card = read_weights(out)
    assert card["name"] == NAME
    assert card["source"] == narrow["source"]
    assert all(torch.equal(v, model.weights()[k]) for k, v in state().items())
    with pytest.raises(UsageError, match=r"must end in \.safetensors, got 'x\.pt'"):
        ConvertSettings(Path("x.pt"))
