"""A second detector is a folder of its own: trained, written, loaded and searched with by what is there."""

import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from detection import train as train_module
from detection.detect import Search
from detection.detector import InferenceSettings, NoduleDetector, load_detector
from detection.models.interface import DetectorModel, Found, Inference, Truth, build_model
from detection.train import train
from preprocessing.geometry import Geometry
from preprocessing.intake.find import find_scans
from preprocessing.preparation import Preparation
from preprocessing.prepare import PreparedScan
from preprocessing.volume import Volume
from runs.entry import UsageError
from tests.chests import simple_chest
from tests.patches import host, patches
from tests.training_settings import detection, short


@dataclass(frozen=True)
class BrightestSettings:
    kind: str = "brightest"
    edge_mm: float = 6.0
    preparation: ClassVar[Preparation] = Preparation()


class Brightest(DetectorModel):
    """Calls the brightest voxel of a patch a nodule."""

    pad_multiple = 4

    def __init__(self, settings: BrightestSettings) -> None:
        super().__init__()
        self.edge_mm = settings.edge_mm
        self.scale = torch.nn.Parameter(torch.tensor(1.0))

    def loss(self, images: torch.Tensor, truth: Truth) -> dict[str, torch.Tensor]:
        return {"loss_scale": (self.scale - 0.25).square() + 0 * images.sum() + 0 * truth.nodules.sum()}

    def find(self, image: torch.Tensor, least_score: float) -> Found:
        at = torch.tensor(np.unravel_index(int(image[0, 0].argmax()), image.shape[2:]), dtype=torch.float32)[None]
        half = self.edge_mm / 2
        score = image.max().clamp(max=1).cpu()[None]
        kept = score >= least_score
        return Found(torch.cat([at - half, at + half], 1)[kept], score[kept], at[kept])


@pytest.fixture
def brightest(monkeypatch: pytest.MonkeyPatch) -> None:
    def settings_of(values: Mapping[str, Any]) -> BrightestSettings:
        return BrightestSettings(**values)

    package, module = ModuleType("detection.models.brightest"), ModuleType("detection.models.brightest.model")
    package.__path__ = []  # type: ignore[attr-defined]
    module.build, module.settings_of = Brightest, settings_of  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.usefixtures("brightest")
def test_another_detector_is_trained_and_loaded_by_its_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chest = patches().hosts
    monkeypatch.setattr(train_module, "load_hosts", lambda *_: chest)
    usual = detection()
    quick = replace(usual.optimizer, lr=0.1, warmup_steps=1)
    settings = replace(usual, experiment="mine", out=tmp_path, trainer=short(steps=2), optimizer=quick)
    settings = replace(settings, model=BrightestSettings())
    detector = load_detector(train(settings))
    assert detector.provenance["detector"] == "mine"
    assert isinstance(detector.model, Brightest)
    assert float(detector.model.scale.detach()) < 0.999


@pytest.mark.usefixtures("brightest")
def test_what_it_finds_is_a_candidate_in_the_scans_world() -> None:
    hu = np.full((40, 44, 48), -900, np.int16)
    hu[21, 30, 17] = 300
    geometry = Geometry(hu.shape, (1.0, 1.0, 1.0), (-100.0, -50.0, 20.0), np.eye(3))
    prepared = PreparedScan(Volume(hu, geometry, "1.2"), np.ones(hu.shape, bool), geometry)
    (found,) = NoduleDetector(build_model(BrightestSettings())).detect(prepared)
    assert found.center_mm == (-100 + 17, -50 + 30, 20 + 21)
    assert found.diameter_mm == 6.0
    assert found.score == pytest.approx((300 + 1000) / 1400)
    assert asdict(BrightestSettings())["kind"] == "brightest"


@pytest.mark.usefixtures("brightest")
def test_a_detector_is_shown_scans_as_it_wants_them_and_pictures_stay_as_they_are(tmp_path: Path) -> None:
    chest = simple_chest(thickness=5)
    chest.hu[30, 70, 50] = 1500  # x = -170 + 100, y = -130 + 140, z = 150
    image = sitk.GetImageFromArray(chest.hu)
    image.SetSpacing(chest.geometry.spacing_mm)
    image.SetOrigin(chest.geometry.origin_mm)
    sitk.WriteImage(image, str(tmp_path / "ct.mha"))
    (scan,) = find_scans(tmp_path / "ct.mha")
    model = build_model(BrightestSettings())
    model.preparation = Preparation((2.0, 2.0, 5.0), (-1024.0, 2000.0), "RAS")
    search = Search(NoduleDetector(model), tmp_path / "cache")
    prepared, (found, *_) = search.run(scan)
    assert prepared.volume.geometry.spacing_mm == (1, 1, 1)
    # The scan's own spacing, so nothing is interpolated: to the voxel, and to the HU.
    assert found.center_mm == pytest.approx((-70, 10, 150))
    assert found.score == pytest.approx((1500 + 1024) / 3024)
    assert found.diameter_mm == pytest.approx((12 + 12 + 30) / 3)
    with pytest.raises(ValueError, match=r"voxels of \(2\.0, 2\.0, 5\.0\) mm, got \(1\.0, 1\.0, 1\.0\)"):
        search.detector.detect(prepared)


@pytest.mark.usefixtures("brightest")
def test_its_own_numbers_of_inference_hold_where_the_user_states_none() -> None:
    model = build_model(BrightestSettings())
    model.inference = Inference(nms_iou=0.22, max_candidates=300)
    used = NoduleDetector(model, InferenceSettings(max_candidates=5)).settings
    assert replace(used, precision="auto") == Inference(nms_iou=0.22, max_candidates=5)


def test_bf16_gives_the_candidates_of_fp32() -> None:
    chest = host([(40, 40, 40, 8), (80, 70, 60, 14), (60, 90, 90, 6)])
    noise = np.random.default_rng(0).normal(0, 20, chest.voxels.hu.shape)
    hu = (chest.voxels.hu + noise).astype(np.int16)
    grid = Geometry(hu.shape, (1, 1, 1), (-60, -60, -60), np.eye(3))
    scan = PreparedScan(Volume(hu, grid, "1.2"), chest.voxels.lung_mask, grid)
    exact, fast = (load_detector(None, InferenceSettings(precision=p)).detect(scan) for p in ("fp32", "bf16"))
    told = [c for c in exact if c.score >= 0.05]
    assert len(told) > 2
    for candidate in told:
        near = min(fast, key=lambda c: math.dist(c.center_mm, candidate.center_mm))
        assert near.score == pytest.approx(candidate.score, abs=0.02)
        assert math.dist(near.center_mm, candidate.center_mm) < 0.2
        assert near.diameter_mm == pytest.approx(candidate.diameter_mm, rel=0.02)


def test_the_precision_that_ran_is_told_and_an_unknown_one_refused() -> None:
    detector = load_detector(None, InferenceSettings(precision="bf16"))
    assert "precision=bf16" in detector.provenance["detector_inference"]
    ran = load_detector().settings.precision
    assert ran in ("bf16", "fp32")
    with pytest.raises(UsageError, match=r"inference\.precision must be one of auto, fp32, bf16; got fp16"):
        load_detector(None, InferenceSettings(precision="fp16"))
