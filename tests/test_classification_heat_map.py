import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import nn

from classification.bags.interface import Bag, BagInputs
from classification.heat_map import EMPTY_HU, HeatMap, heat_map
from classification.network import NoduleNetwork, NoduleOutputs
from detection.candidate import Candidate
from lungscreen.heat_maps import heat_maps, write_heat_maps
from lungscreen.report.heat_view import heat_view
from lungscreen.report.page import write_patient_page
from preprocessing.patches import WINDOW_HU
from tests.test_classification_classifier import BIG, SPECK, load_classifier, scan, shipped

SIZE = 32


class Weighted(nn.Module):
    """Log odds that are linear in the voxels: what each of them adds is known."""

    def __init__(self, weights: torch.Tensor) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, crops: torch.Tensor, diameter_mm: torch.Tensor) -> NoduleOutputs:
        value = (crops[:, 0] * self.weights).sum((1, 2, 3))
        return NoduleOutputs(torch.zeros_like(value), value, torch.zeros((len(value), 8)))


class Plain(Bag):
    """The chance is the malignancy's."""

    def __init__(self) -> None:
        super().__init__(None)

    def base(self) -> torch.Tensor:
        return torch.zeros((), dtype=torch.float64)

    def shares(self, inputs: BagInputs) -> torch.Tensor:
        return inputs.malignancy

    def chances(self, inputs: BagInputs) -> torch.Tensor:
        return inputs.malignancy.sigmoid()


def weighted(weights: torch.Tensor, candidate: Candidate, margins_mm: tuple[float, float]) -> HeatMap:
    return heat_map(cast(NoduleNetwork, Weighted(weights)), Plain(), scan(), candidate, SIZE, margins_mm)


def test_of_a_linear_answer_every_voxel_has_its_own_part() -> None:
    rng = np.random.default_rng(1)
    weights = torch.from_numpy(rng.normal(0, 0.01, (SIZE,) * 3).astype(np.float32))
    found = weighted(weights, BIG, (50.0, 50.0))
    z, y, x = found.start_zyx
    seen = scan().volume.hu[z : z + SIZE, y : y + SIZE, x : x + SIZE].astype(float)
    low, high = WINDOW_HU
    brighter = (np.clip(seen, low, high) - EMPTY_HU) / (high - low)
    assert found.values == pytest.approx(brighter * weights.numpy(), abs=1e-5)
    assert found.answer - found.empty == pytest.approx(float(found.values.sum()), abs=1e-4)
    # The window begins half its size before the voxel of the centre.
    assert found.start_zyx == tuple(np.rint(scan().volume.geometry.to_voxel(BIG.center_mm)).astype(int) - SIZE // 2)


def test_a_voxel_that_is_shown_again_beyond_the_frame_has_all_of_its_parts() -> None:
    found = weighted(torch.full((SIZE,) * 3, 0.0005), SPECK, (1.0, 3.0))
    # Diameter 4 mm: 3 voxels to either side along z are seen, 5 in plane.
    assert {tuple(np.unique(axis)) for axis in np.nonzero(found.values)} == {
        tuple(range(13, 20)),
        tuple(range(11, 22)),
    }
    assert found.answer - found.empty == pytest.approx(float(found.values.sum()), abs=1e-3)


@pytest.mark.slow
@shipped
@pytest.mark.parametrize("candidate", [BIG, SPECK])
def test_the_shipped_networks_maps_add_up(candidate: Candidate) -> None:
    classifier = load_classifier()
    found = classifier.heat_map(scan(), candidate)
    assert found.values.sum() == pytest.approx(found.answer - found.empty, rel=0.1)
    chance = classifier.assess(scan(), [candidate]).nodules[0].chance
    assert found.answer == pytest.approx(np.log(chance / (1 - chance)), abs=1e-4)


def test_a_window_beyond_the_border_is_cut() -> None:
    target = np.zeros((4, 4, 4), np.float32)
    values = np.arange(27, dtype=np.float32).reshape(3, 3, 3)
    HeatMap(values, (-1, 3, 2), 0.0, 0.0).onto(target)
    # Of the window the planes z 1-2, the row y 0 and the columns x 0-1 lie in the volume.
    assert np.argwhere(target).tolist() == [[0, 3, 2], [0, 3, 3], [1, 3, 2], [1, 3, 3]]
    assert target[target > 0].tolist() == [9, 10, 18, 19]
    HeatMap(values, (9, 9, 9), 0.0, 0.0).onto(target)
    assert target.sum() == 9 + 10 + 18 + 19


@pytest.mark.slow
@shipped
def test_the_file_lies_on_the_scan(tmp_path: Path) -> None:
    classifier = load_classifier()
    report = classifier.assess(scan(), [BIG, SPECK])
    maps = heat_maps(classifier, scan(), report, 2)
    path = write_heat_maps(tmp_path / "a", scan(), maps)
    image = sitk.ReadImage(str(path))
    assert image.GetSpacing() == pytest.approx((1, 1, 1))
    read = sitk.GetArrayFromImage(image)
    assert float(read.sum()) == pytest.approx(sum(float(m.values.sum()) for m in maps), abs=1e-3)
    # On the left lies the ball of 16 mm that was put at (25, 0, 30): what is strongest there lies in it.
    read[..., :60] = 0
    strongest = np.unravel_index(int(read.argmax()), read.shape)
    place = image.TransformIndexToPhysicalPoint(tuple(int(v) for v in reversed(strongest)))
    assert np.linalg.norm(np.asarray(place) - BIG.center_mm) < 12
    again = write_heat_maps(tmp_path / "b", scan(), maps)
    assert gzip.decompress(again.read_bytes()) == gzip.decompress(path.read_bytes())
    assert again.read_bytes() == path.read_bytes()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def picture(values: Sequence[tuple[int, int, int, float]]) -> np.ndarray:
    start = np.rint(scan().volume.geometry.to_voxel(BIG.center_mm)).astype(int) - SIZE // 2
    heat = np.zeros((SIZE,) * 3, np.float32)
    for z, y, x, value in values:
        heat[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2] = value
    z, y, x = (int(v) for v in start)
    return np.asarray(heat_view(scan(), BIG, HeatMap(heat, (z, y, x), 0.0, 0.0))).astype(int)


def test_what_raises_the_chance_is_warm_and_lies_where_it_is() -> None:
    # Voxel 16 is the middle of the window; 8 voxels further along x is to the patient's left: right on the picture.
    # 70 mm on 320 pixels: 8 mm are 37 pixels.
    drawn = picture([(16, 16, 24, 1.0), (16, 24, 16, -0.8)])
    warm, cool = drawn[..., 0] - drawn[..., 2], drawn[..., 2] - drawn[..., 0]
    across, along = np.argwhere(warm > 60).mean(0), np.argwhere(cool > 60).mean(0)
    assert across.tolist() == pytest.approx([160, 160 + 8 * 320 / 70], abs=4)
    assert along.tolist() == pytest.approx([160 + 8 * 320 / 70, 160], abs=4)
    empty = picture([])
    assert np.all(empty[..., 0] == empty[..., 2])


@pytest.mark.slow
@shipped
def test_the_page_shows_a_map_for_each_nodule_with_images(tmp_path: Path) -> None:
    classifier = load_classifier()
    report = classifier.assess(scan(), [BIG, SPECK])
    maps = heat_maps(classifier, scan(), report, 1)
    link = write_patient_page(tmp_path, report, scan(), top=2, heat_maps=maps)
    html = (tmp_path / link.file).read_text(encoding="utf-8")
    assert html.count("with its heat map") == 1
    assert html.count('<div class="views four">') == 1
    plain = write_patient_page(tmp_path, report, scan(), top=2)
    assert "heat map" not in (tmp_path / plain.file).read_text(encoding="utf-8")
