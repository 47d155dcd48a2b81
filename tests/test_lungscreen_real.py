"""Both stages on real CT: nodules found by LUNA16's own rule, nothing outside the lungs, twice the same bytes."""

import filecmp
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from detection.candidate import read_candidates
from lungscreen.classify import ClassifySettings, classify
from preprocessing.annotations import read_annotations
from preprocessing.intake.find import find_scans
from preprocessing.prepare import prepare_scan

DATA = Path("../shared/data")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (DATA / "lidc_scans").is_dir(), reason="shared/data is not there"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("real")
    assert classify(ClassifySettings(input=DATA / "lidc_scans", out=out / "lidc", cache=False)) == 0
    return out


def test_every_luna16_nodule_is_among_the_ten_best(results: Path) -> None:
    found = read_candidates(results / "lidc" / "candidates.csv")
    truth = [n for n in read_annotations(DATA / "luna16" / "annotations.csv") if n.series_uid in found]
    assert len(truth) == 4
    for nodule in truth:
        best = sorted(found[nodule.series_uid], key=lambda c: -c.score)[:10]
        distances = [np.linalg.norm(np.subtract(c.center_mm, nodule.center_mm)) for c in best]
        assert min(distances) < nodule.diameter_mm / 2


def test_both_patients_get_a_probability_and_a_page(results: Path) -> None:
    patients = pd.read_csv(results / "lidc" / "patients.csv")
    assert patients["id"].tolist() == ["LIDC-IDRI-0001", "LIDC-IDRI-0003"]
    assert patients["cancer"].between(0, 1).all()
    nodules = pd.read_csv(results / "lidc" / "nodules.csv")
    for row in patients.itertuples():
        survival = row.leak + nodules.loc[nodules["id"] == row.id, "contribution"].sum()
        assert row.cancer == pytest.approx(1 - np.exp(-survival), abs=1e-5)
    assert (results / "lidc" / "report" / "index.html").stat().st_size > 1000


def test_the_same_input_gives_the_same_bytes(results: Path) -> None:
    classify(ClassifySettings(input=DATA / "lidc_scans", out=results / "again", cache=False))
    names = ["candidates.csv", "nodules.csv", "patients.csv", "scans.csv"]
    assert filecmp.cmpfiles(results / "lidc", results / "again", names, shallow=False)[0] == names


def test_jpeg_2000_and_thick_slices_go_through_and_candidates_lie_in_the_lungs(results: Path) -> None:
    assert classify(ClassifySettings(input=DATA / "chest_ct", out=results / "chest", cache=False)) == 0
    found = read_candidates(results / "chest" / "candidates.csv")
    scans = find_scans(DATA / "chest_ct")
    assert sorted(found) == sorted(scan.series_uid for scan in scans)
    for scan in scans:
        prepared = prepare_scan(scan)
        for candidate in found[scan.series_uid]:
            index = np.rint(prepared.volume.geometry.to_voxel(candidate.center_mm)).astype(int)
            assert prepared.lung_mask[tuple(index)]
