"""A cohort on disk: same bytes every time, whole patients or none, truth that fits the pixels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from phantom.chest import Chest, ChestSettings, simulate, simulate_chest
from phantom.lesions import library
from phantom.make import CohortSettings, make_cohort
from preprocessing.annotations import read_annotations
from preprocessing.intake.find import find_scans
from preprocessing.intake.volume_reader import read_volume
from preprocessing.lidc.shapes import NoduleShape
from preprocessing.splits import SplitSettings
from runs.entry import compose_settings
from runs.seeds import stream

SMALL = ChestSettings(matrix=96, targets_per_lung=60, thickness_mm=5.0, mean_nodules=4.0)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:  # conftest's patch comes after fixtures of a module
        patch.setenv("LUNGSCREEN_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        return make_cohort(tmp_path_factory.mktemp("made") / "cohort (1)", 2, 1, SMALL, workers=1)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_tables_agree(cohort: Path) -> None:
    labels = pd.read_csv(cohort / "labels.csv")
    nodules = pd.read_csv(cohort / "nodules.csv")
    summary = json.loads((cohort / "cohort.json").read_text())
    assert list(labels.columns) == ["id", "cancer"]
    assert list(labels["id"]) == ["PHANTOM-0001", "PHANTOM-0002"] == sorted(summary["probabilities"])
    assert labels["cancer"].mean() == summary["prevalence"]
    assert len(nodules) == summary["nodules"] == len(read_annotations(cohort / "annotations.csv")) > 0
    for patient, probability in summary["probabilities"].items():
        risks = nodules.loc[nodules["patient_id"] == patient, "risk"]
        assert probability == pytest.approx(1 - 0.995 * np.prod(1 - risks), abs=1e-5)


def test_what_is_read_back_is_brighter_at_the_nodules(cohort: Path) -> None:
    scans = {scan.series_uid: scan for scan in find_scans(cohort / "dicom")}
    assert sorted(scan.patient_id for scan in scans.values()) == ["PHANTOM-0001", "PHANTOM-0002"]
    assert not any(scan.refused for scan in scans.values())
    volumes = {uid: read_volume(scan) for uid, scan in scans.items()}
    nodules = read_annotations(cohort / "annotations.csv")
    for nodule in nodules:
        volume = volumes[nodule.series_uid]
        k, j, i = np.round(volume.geometry.to_voxel(nodule.center_mm)).astype(int)
        box = volume.hu[k, max(j - 6, 0) : j + 7, max(i - 6, 0) : i + 7]
        if nodule.diameter_mm > 6:  # smaller ones drown in 5 mm slices and 3.5 mm pixels
            assert volume.hu[k, j, i] > np.percentile(box, 25) + 100
    assert any(nodule.diameter_mm > 6 for nodule in nodules)


def test_a_deleted_patient_comes_back_and_the_other_stays(cohort: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(cohort, copy)
    shutil.rmtree(copy / "dicom/PHANTOM-0002")
    (copy / "labels.csv").unlink()
    (copy / "part/PHANTOM-0002").mkdir(parents=True)  # what a killed run leaves
    (copy / "part/PHANTOM-0002/half.dcm").write_bytes(b"half")
    kept = next((copy / "dicom/PHANTOM-0001").iterdir()).stat().st_mtime_ns
    make_cohort(copy, 2, 1, SMALL, workers=1)
    assert contents(copy) == contents(cohort)
    assert next((copy / "dicom/PHANTOM-0001").iterdir()).stat().st_mtime_ns == kept


@pytest.mark.slow
def test_two_workers_write_the_same_bytes(cohort: Path, tmp_path: Path) -> None:
    assert contents(make_cohort(tmp_path / "other", 2, 1, SMALL, workers=2)) == contents(cohort)


def test_a_patient_depends_on_seed_and_number_only(cohort: Path, tmp_path: Path) -> None:
    one = make_cohort(tmp_path / "one", 1, 1, SMALL, workers=1)
    assert contents(one / "dicom/PHANTOM-0001") == contents(cohort / "dicom/PHANTOM-0001")


@pytest.mark.parametrize(
    ("numbers", "match"),
    [
        ({"patients": 0}, "patients"),
        ({"seed": -1}, "seed"),
        ({"workers": 3}, "workers"),
        ({"seed": 2}, "another seed"),
        ({"patients": 1}, "more than the 1"),
        ({"outlines": "all"}, "other settings"),
        ({"outlines": "mine"}, "held_out, training, all; got 'mine'"),
    ],
)
def test_wrong_use_is_refused(cohort: Path, numbers: dict[str, Any], match: str) -> None:
    before = contents(cohort)
    with pytest.raises(ValueError, match=match):
        make_cohort(cohort, **{"patients": 2, "seed": 1, "chest": SMALL, "workers": 1, **numbers})
    assert contents(cohort) == before


def test_other_things_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match=r"thesis\.txt"):
        make_cohort(tmp_path, 1, 0, SMALL)
    with pytest.raises(ValueError, match="got a file"):
        make_cohort(tmp_path / "thesis.txt", 1, 0, SMALL)


def test_yaml_and_dataclass_agree() -> None:
    settings = compose_settings(CohortSettings, "phantom", ["out=somewhere", "chest.thickness_mm=2.5"])
    assert settings == CohortSettings(out=Path("somewhere"), chest=ChestSettings(thickness_mm=2.5))


@pytest.mark.parametrize(("outlines", "sides"), [("held_out", {True}), ("training", {False}), ("all", {True, False})])
def test_nodules_have_the_outlines_of_the_patients_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outlines: str, sides: set[bool]
) -> None:
    pools: list[tuple[NoduleShape, ...]] = []

    def watched(*args: Any, shapes: tuple[NoduleShape, ...], **more: Any) -> Chest:
        pools.append(shapes)
        return simulate_chest(*args, shapes=shapes, **more)

    monkeypatch.setattr("phantom.make.simulate_chest", watched)
    make_cohort(tmp_path, 1, 0, SMALL, workers=1, outlines=outlines)
    (pool,) = pools
    assert {SplitSettings().holds_out(shape.patient_id) for shape in pool} == sides
    summary = json.loads((tmp_path / "cohort.json").read_text())
    assert summary["outlines"] == outlines
    assert summary["split"] == (None if outlines == "all" else SplitSettings().describe())


def test_a_chest_to_learn_from_is_never_one_of_a_cohort(cohort: Path) -> None:
    (first,) = find_scans(cohort / "dicom/PHANTOM-0001")
    learnt, _ = simulate(stream("classification.background", 1, 0), SMALL, shapes=library(SplitSettings()))
    made, _ = simulate(stream("phantom.cohort.scan", 1, 0), SMALL, shapes=library(SplitSettings(), held_out=True))
    hu = read_volume(first).hu
    assert hu.shape == made.hu.shape
    assert learnt.hu.shape != hu.shape or not np.array_equal(learnt.hu, made.hu)
