"""The slice classifier: views without what tells scanners apart, groups, figures by hand, training and answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from PIL import Image

from classification.slices.engine import chances, probabilities
from classification.slices.figures import figures_of, per_class_of
from classification.slices.files import CLASSES, Slice, find_slices, read_slice
from classification.slices.groups import grouped_folds, groups_of, nearest, random_folds
from classification.slices.network import SliceNetwork
from classification.slices.pictures import grad_cam
from classification.slices.predict import SlicePredictSettings, load_slice_network, predict
from classification.slices.settings import SliceTrainSettings
from classification.slices.train import train
from classification.slices.views import VIEW, body_of, view_of
from preprocessing.geometry import Geometry
from preprocessing.volume import Volume
from runs.entry import UsageError, compose_settings
from runs.seeds import stream
from tests.series import slice_files, write_series


def chest(spot: float = 0.0, size: int = 128, shift: int = 0, wide: float = 0.0) -> npt.NDArray[np.float32]:
    """A body with two lungs, the couch below it; `spot` is the radius of a tumour in the left lung, in hundredths.

    The body is `wide` less wide and as much deeper, the lungs the other way.
    """
    y, x = np.mgrid[:size, :size] / size
    x = x - shift / size
    image = np.full((size, size), 0.12)
    image[((x - 0.5) / (0.42 - wide)) ** 2 + ((y - 0.5) / (0.3 + wide)) ** 2 < 1] = 0.8
    for middle in (0.32, 0.68):
        image[((x - middle) / (0.1 + wide / 2)) ** 2 + ((y - 0.5) / (0.2 - wide)) ** 2 < 1] = 0.2
    image[(x - 0.68) ** 2 + (y - 0.5) ** 2 < (spot / 100) ** 2] = 0.8
    image[(y > 0.9) & (y < 0.92)] = 1.0
    return image.astype(np.float32)


def test_the_body_is_what_is_left() -> None:
    body = body_of(chest())
    assert body[64, 64]
    assert body[64, 41]  # a lung
    assert not body[116, 64]  # the couch
    assert not body[2, 2]


def test_views_do_not_depend_on_size_window_or_place() -> None:
    plain = view_of(chest())
    assert plain.shape == VIEW
    for other in (chest(size=256), chest() * 0.6 + 0.2, chest(shift=4)):
        assert np.abs(view_of(other) - plain).mean() < 0.02
    # Text burnt into a corner is gone.
    marked = chest()
    marked[2:8, 2:40] = 1
    np.testing.assert_allclose(view_of(marked), plain, atol=1e-6)
    assert np.abs(view_of(chest(spot=8)) - plain).mean() > 0.005


def write_folder(root: Path, n: int = 6) -> Path:
    """Normal chests, benign ones with a small and malignant ones with a large spot, each a little different."""
    for name, spot in (("Normal cases", 0), ("Bengin cases", 5), ("Malignant cases", 12)):
        (root / name).mkdir(parents=True)
        for i in range(n):
            noise = stream("tests.slices", spot, i).normal(0, 0.05, (128, 128))
            grey = np.clip(chest(spot, wide=0.02 * (3 * (i % 2) + i // 2)) + noise, 0, 1)
            Image.fromarray((grey * 255).astype(np.uint8)).save(root / name / f"{name[:-1]} ({i + 1}).png")
    return root


def test_folders_name_the_class_and_files_the_number(tmp_path: Path) -> None:
    slices = find_slices(write_folder(tmp_path))
    assert [s.label for s in slices] == [0] * 6 + [1] * 6 + [2] * 6
    assert [s.number for s in slices[:6]] == [1, 2, 3, 4, 5, 6]
    assert find_slices(slices[7].path) == [slices[7]]
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        find_slices(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no slice"):
        find_slices(tmp_path / "empty")


def test_what_is_no_slice_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UsageError, match=r"'text.png' cannot be read as one slice"):
        read_slice(tmp_path / "text.png")
    Image.new("L", (20, 300)).save(tmp_path / "strip.png")
    with pytest.raises(UsageError, match="at least 64 x 64 pixels"):
        read_slice(tmp_path / "strip.png")


def test_a_dicom_slice_is_shown_in_the_lung_window(tmp_path: Path) -> None:
    hu = np.full((3, 80, 80), -600, np.int16)
    hu[:, :40] = 400
    write_series(tmp_path, Volume(hu, Geometry(hu.shape, (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), np.eye(3)), "1.2.3"))
    grey = read_slice(slice_files(tmp_path)[0])
    # (-600 + 1350) / 1500
    assert grey[60, 10] == pytest.approx(0.5)
    assert grey[10, 10] == 1


def slices_of(labels: list[int], numbers: list[int]) -> list[Slice]:
    return [Slice(Path(f"{i}.png"), label, n) for i, (label, n) in enumerate(zip(labels, numbers, strict=True))]


def test_runs_and_copies_are_one_group() -> None:
    # 1 and 2 are alike and neighbours, 3 is alike but far in number, 4 is another chest, 5 a copy of it elsewhere.
    thumbs = np.eye(4, dtype=np.float32)[[0, 0, 0, 1, 1]]
    thumbs[1] = [0.9, np.sqrt(1 - 0.81), 0, 0]
    thumbs[2] = [0.85, 0, np.sqrt(1 - 0.85**2), 0]
    groups = groups_of(slices_of([0, 0, 0, 0, 2], [1, 2, 9, 10, 1]), thumbs)
    assert groups[0] == groups[1]
    assert groups[3] == groups[4]
    assert len({int(groups[0]), int(groups[2]), int(groups[3])}) == 3


def test_folds_keep_groups_together_and_random_ones_do_not() -> None:
    labels = np.repeat([0, 1, 2], 40)
    groups = np.arange(120) // 4
    folds = grouped_folds(labels, groups, 5)
    assert all(len(set(folds[groups == g])) == 1 for g in range(30))
    assert np.bincount(folds).tolist() == [24] * 5
    random = random_folds(labels, 5, stream("tests.slices", 9))
    assert np.bincount(random).tolist() == [24] * 5
    assert any(len(set(random[groups == g])) > 1 for g in range(30))


def test_the_nearest_neighbour_is_of_another_fold() -> None:
    thumbs = np.array([[1, 0], [1, 0], [0.8, 0.6], [0, 1]], np.float32)
    said = nearest(thumbs, np.array([0, 0, 1, 2]), np.array([0, 0, 1, 1]))
    assert said.tolist() == [1, 1, 0, 0]


def test_figures_by_hand() -> None:
    # Truth 4 normal, 2 benign, 4 malignant; one benign is said malignant, one malignant normal.
    confusion = np.array([[4, 0, 0], [0, 1, 1], [1, 0, 3]])
    found = per_class_of(confusion)
    assert found["normal"] == {"precision": 0.8, "recall": 1.0, "specificity": 0.8333, "f1": 0.8889}
    assert found["benign"] == {"precision": 1.0, "recall": 0.5, "specificity": 1.0, "f1": 0.6667}
    assert found["malignant"]["f1"] == 0.75
    label = np.repeat([0, 0, 1, 1, 2, 2], [4, 0, 1, 1, 1, 3])
    said = np.repeat([0, 0, 1, 2, 0, 2], [4, 0, 1, 1, 1, 3])
    figures = figures_of(label, said, np.arange(10) // 2, 200)
    assert figures["confusion"] == confusion.tolist()
    assert figures["accuracy"][0] == 0.8
    assert figures["macro_f1"][0] == pytest.approx((0.8889 + 0.6667 + 0.75) / 3, abs=1e-4)
    assert 0.4 < figures["accuracy"][1] < 0.8 < figures["accuracy"][2] <= 1


def test_large_groups_and_common_classes_are_shown_less_often() -> None:
    labels, groups = np.array([0, 0, 0, 0, 0, 1]), np.array([0, 0, 0, 0, 1, 2])
    learning = replace(settings(Path(), Path()).learning, class_power=0.5, group_power=0.5)
    found = chances(labels, groups, learning)
    assert found.sum() == pytest.approx(1)
    assert found[4] / found[0] == pytest.approx(2)  # 4 ** .5
    assert found[:5].sum() / found[5] == pytest.approx(5**0.5)


def settings(source: Path, out: Path, *more: str) -> SliceTrainSettings:
    overrides = [
        f"input={source}", f"out={out}", "network.widths=[4,8]", "trainer.steps=40", "trainer.batch=8", "folds=2",
        "trainer.checkpoint_steps=10", "trainer.log_steps=10", "trainer.threads=1", "bootstrap=50", "learning.lr=0.02",
        "trainer.ema_decay=0.8", *more,
    ]  # fmt: skip
    return compose_settings(SliceTrainSettings, "classification_slices_train", overrides)


@pytest.mark.slow
def test_from_a_folder_to_weights_that_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_folder(tmp_path / "in")
    path = train(settings(source, tmp_path / "out"))
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["data"]["n"] == {"normal": 6, "benign": 6, "malignant": 6}
    assert str(tmp_path) not in json.dumps(card)
    assert set(card["figures"]) == {"grouped", "random"}
    assert "measures memory, not skill" in capsys.readouterr().out
    answers = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert len(answers) == 18
    assert np.allclose(answers[list(CLASSES)].sum(axis=1), 1, atol=1e-5)
    assert all((tmp_path / "out" / name).is_file() for name in ("confusion.png", "heat_maps.png", "figures.json"))
    before = path.read_bytes()
    assert train(settings(source, tmp_path / "out")) == path
    assert path.read_bytes() == before
    with pytest.raises(UsageError, match="seed"):
        train(settings(source, tmp_path / "out", "seed=1"))
    again = train(settings(source, tmp_path / "again", "random_split=false"))
    assert set(json.loads(again.with_suffix(".json").read_text())["figures"]) == {"grouped"}
    # And as a user asks it.
    said = tmp_path / "said.csv"
    assert predict(SlicePredictSettings(source, said, path)) == 0
    assert len(pd.read_csv(said)) == 18


def test_slices_without_a_class_or_too_few_are_refused(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", 2)
    with pytest.raises(UsageError, match=r"at least 3 slices, one a fold; got 2 normal"):
        train(settings(source, tmp_path / "out", "folds=3"))
    (source / "Normal cases").rename(source / "others")
    with pytest.raises(UsageError, match="2 of 6 slices lie in no folder of a class"):
        train(settings(source, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_network_can_learn_one_batch_by_heart(tmp_path: Path) -> None:
    slices = find_slices(write_folder(tmp_path, 2))
    views = np.stack([view_of(read_slice(s.path)) for s in slices])
    labels = torch.tensor([s.label for s in slices])
    torch.manual_seed(0)
    network = SliceNetwork((8, 16, 16), 3, 0.0)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(100):
        loss = torch.nn.functional.cross_entropy(network(torch.from_numpy(views)[:, None]), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.05
    assert probabilities(network, views).argmax(1).tolist() == labels.tolist()


def test_grad_cam_by_hand() -> None:
    network = SliceNetwork((1, 1), 3, 0.0)
    maps = torch.zeros(1, 1, 4, 4)
    maps[0, 0, 1, 2] = 2.0
    network.features = lambda views: maps  # type: ignore[method-assign]
    with torch.no_grad():
        network.head[1].weight[:] = torch.tensor([[1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])
        network.head[1].bias[:] = 0
    view = np.zeros((4, 4), np.float32)
    # Class 0 is spoken for where the map is, class 2 spoken against.
    assert grad_cam(network, view, 0)[1, 2] == 1
    assert grad_cam(network, view, 0).sum() == 1
    assert not grad_cam(network, view, 2).any()


def test_a_folder_goes_past_what_cannot_be_read(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", 1)
    (source / "broken.jpg").write_text("no picture")
    out = tmp_path / "out.csv"
    assert predict(SlicePredictSettings(source, out)) == 0
    rows = pd.read_csv(out)
    assert rows["problem"].notna().sum() == 1
    assert rows["predicted"].notna().sum() == 3
    assert predict(SlicePredictSettings(source / "broken.jpg", out)) == 1
    with pytest.raises(UsageError, match=r"must end in \.csv"):
        SlicePredictSettings(source, tmp_path / "out.txt")


def test_weights_of_something_else_are_refused() -> None:
    detector = Path(__file__).parents[1] / "detection" / "weights" / "compact-v6.safetensors"
    with pytest.raises(UsageError, match="holds no slice classifier"):
        load_slice_network(detector)
