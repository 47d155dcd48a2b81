"""A scan is looked at once with the same weights and settings, and again with others."""

from dataclasses import replace
from pathlib import Path

import pytest

from detection import candidate_cache
from detection.candidate_cache import detect_cached
from detection.detector import InferenceSettings, load_detector
from preprocessing.prepare import PreparedScan
from preprocessing.resample import resample_isotropic
from tests.chests import simple_chest
from tests.weights import tiny_detector


def prepared() -> PreparedScan:
    """A chest of a dwarf: what was 6 mm is called 1 mm."""
    coarse = resample_isotropic(simple_chest(thickness=10.0), 6.0)
    volume = replace(coarse, geometry=replace(coarse.geometry, spacing_mm=(1.0, 1.0, 1.0)))
    return PreparedScan(volume, volume.hu < -500, volume.geometry)


def test_the_second_answer_is_the_first_one_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector, scan, cache = load_detector(tiny_detector(tmp_path)), prepared(), tmp_path / "cache"
    first = detect_cached(detector, scan, cache)
    assert first
    monkeypatch.setattr(type(detector), "detect", lambda *_: pytest.fail("detected again"))
    assert detect_cached(detector, scan, cache) == first


def test_other_settings_or_voxels_and_damaged_entries_are_detected_anew(tmp_path: Path) -> None:
    weights, scan, cache = tiny_detector(tmp_path), prepared(), tmp_path / "cache"
    first = detect_cached(load_detector(weights), scan, cache)
    fewer = detect_cached(load_detector(weights, InferenceSettings(max_candidates=1)), scan, cache)
    assert len(fewer) == 1
    changed = replace(scan, lung_mask=~scan.lung_mask)
    assert detect_cached(load_detector(weights), changed, cache) != first
    entries = sorted(cache.glob("*.json"))
    assert len(entries) == 3
    for entry in entries:
        entry.write_text("[{")
    assert detect_cached(load_detector(weights), scan, cache) == first


def test_the_detectors_own_source_is_part_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector, scan, cache = load_detector(tiny_detector(tmp_path)), prepared(), tmp_path / "cache"
    detect_cached(detector, scan, cache)
    digest = candidate_cache.code_digest
    changed = {"detection.models.compact.model": "changed"}
    monkeypatch.setattr(candidate_cache, "code_digest", lambda name: changed.get(name) or digest(name))
    detect_cached(detector, scan, cache)
    assert len(list(cache.glob("*.json"))) == 2


def test_without_a_cache_nothing_is_kept(tmp_path: Path) -> None:
    detect_cached(load_detector(tiny_detector(tmp_path)), prepared(), None)
    assert not (tmp_path / "cache").exists()
