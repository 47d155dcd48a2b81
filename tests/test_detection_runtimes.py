"""ONNX Runtime and OpenVINO in the place of torch: the same candidates, from a file that is exported once."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from detection.average import AverageSettings, average
from detection.detect import DetectSettings
from detection.detector import InferenceSettings, NoduleDetector, load_detector
from detection.models.interface import DetectorModel, Found, Truth
from detection.runtimes import chosen, exported
from preprocessing.geometry import Geometry
from preprocessing.prepare import PreparedScan
from preprocessing.volume import Volume
from runs.cache import cache_folder
from runs.entry import UsageError, compose_settings
from tests.patches import host
from tests.weights import tiny_detector

RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino"}
# What README states of fp32.
SCORE, PLACE_MM = 1e-4, 1e-2


def scan() -> PreparedScan:
    """A noisy chest with three nodules."""
    chest = host([(40, 40, 40, 8), (80, 70, 60, 14), (60, 90, 90, 6)])
    noise = np.random.default_rng(0).normal(0, 20, chest.voxels.hu.shape)
    hu = (chest.voxels.hu + noise).astype(np.int16)
    grid = Geometry(hu.shape, (1, 1, 1), (-60, -60, -60), np.eye(3))
    return PreparedScan(Volume(hu, grid, "1.2"), chest.voxels.lung_mask, grid)


def detector(runtime: str, precision: str = "fp32", tile_voxels: int | None = None) -> NoduleDetector:
    return load_detector(None, InferenceSettings(runtime=runtime, precision=precision, tile_voxels=tile_voxels))


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
# The whole chest at once, and in tiles of several sizes.
@pytest.mark.parametrize("tile_voxels", [None, 2_000_000])
def test_the_candidates_are_those_of_torch(runtime: str, tile_voxels: int | None) -> None:
    pytest.importorskip(RUNTIMES[runtime])
    chest = scan()
    expected = detector("torch", tile_voxels=tile_voxels).detect(chest)
    found = detector(runtime, tile_voxels=tile_voxels).detect(chest)
    assert len(expected) > 5
    assert len(found) == len(expected)
    for one, other in zip(expected, found, strict=True):
        assert other.score == pytest.approx(one.score, abs=SCORE)
        assert math.dist(other.center_mm, one.center_mm) < PLACE_MM
        assert other.diameter_mm == pytest.approx(one.diameter_mm, abs=PLACE_MM)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_network_of_the_coarser_levels_is_exported_too(runtime: str, tmp_path: Path) -> None:
    pytest.importorskip(RUNTIMES[runtime])
    joined = tmp_path / "joined.safetensors"
    average(AverageSettings(("compact-v4",), joined, coarse="compact-v3", levels=(1, 2)))
    made = load_detector(joined, InferenceSettings(runtime=runtime, precision="fp32"))
    for step in (1, 2):
        assert type(made.model.at_level(step).network).__module__ == f"detection.runtimes.on_{runtime}"
    found, expected = (m.detect(scan()) for m in (made, load_detector(joined, InferenceSettings(precision="fp32"))))
    assert [c.score for c in found] == pytest.approx([c.score for c in expected], abs=SCORE)


@pytest.mark.slow
def test_openvino_in_bf16_moves_scores_by_hundredths() -> None:
    pytest.importorskip("openvino")
    exact, fast = detector("torch").detect(scan()), detector("openvino", "bf16").detect(scan())
    told = [c for c in exact if c.score >= 0.05]
    assert len(told) > 2
    for candidate in told:
        near = min(fast, key=lambda c: math.dist(c.center_mm, candidate.center_mm))
        assert near.score == pytest.approx(candidate.score, abs=0.02)
        assert math.dist(near.center_mm, candidate.center_mm) < 0.3


@pytest.mark.slow
def test_a_network_is_exported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("LUNGSCREEN_CACHE", str(tmp_path / "cache"))
    weights, settings = tiny_detector(tmp_path), InferenceSettings(runtime="onnx")
    first = load_detector(weights, settings)
    assert "runtime=onnx" in first.provenance["detector_inference"]
    assert "precision=fp32" in first.provenance["detector_inference"]
    (entry,) = cache_folder("runtimes").iterdir()
    made = entry.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(exported, "_export", lambda *_: pytest.fail("exported again"))
        load_detector(weights, settings)
    assert entry.read_bytes() == made
    # Other weights have a file of their own; of the shipped detector's two networks the second is compact-v4's.
    load_detector("compact-v4", settings)
    assert len(list(cache_folder("runtimes").iterdir())) == 2
    load_detector("compact-v6", settings)
    assert len(list(cache_folder("runtimes").iterdir())) == 3


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("inference.runtime=tensorrt", "inference.runtime must be one of torch, onnx, openvino; got tensorrt"),
        ("inference.precision=int8", "inference.precision=int8 is not offered"),
    ],
)
def test_unknown_ones_are_refused(override: str, said: str) -> None:
    settings = compose_settings(DetectSettings, "detect", [override])
    with pytest.raises(UsageError) as refused:
        load_detector(settings.weights, settings.inference)
    assert said in str(refused.value)


def test_bf16_in_onnx_runtime_is_refused() -> None:
    with pytest.raises(UsageError, match=r"runtime=onnx computes in fp32, got inference\.precision=bf16"):
        detector("onnx", "bf16")


def test_a_runtime_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(chosen.PACKAGES, "openvino", ("no_such_package",))
    with pytest.raises(UsageError, match=r"needs no_such_package: pip install 'lungscreen\[openvino\]'"):
        detector("openvino")


def test_another_detector_stays_on_torch() -> None:
    class Other(DetectorModel):
        def loss(self, images: torch.Tensor, truth: Truth) -> dict[str, torch.Tensor]:
            return {}

        def find(self, image: torch.Tensor, least_score: float) -> Found:
            return Found(torch.zeros(0, 6), torch.zeros(0), torch.zeros(0, 3))

    with pytest.raises(UsageError, match="runs model=compact only, these weights are of Other"):
        NoduleDetector(Other(), InferenceSettings(runtime="onnx"))
