"""LUNA16 and LIDC-IDRI as they come: which scans, whose, in which part, and what is true of them."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from preprocessing.annotations import read_annotations
from preprocessing.archives import lidc, luna16
from preprocessing.archives.archive import Archive
from preprocessing.archives.stored import pixel_grid
from preprocessing.prepare import prepare_scan
from preprocessing.splits import SplitSettings, fold_of
from tests.collections import PLACES, UID, small_chest, write_lidc, write_luna16

SHARED = Path(__file__).parents[2] / "shared/data"
NOBODY = SplitSettings(held_out_fold=None, held_out_patients=())


GRID = small_chest("x").geometry


@pytest.fixture
def luna(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One scan in subset 0, two in subset 3; the first of each belong to one patient."""
    monkeypatch.setattr(luna16, "read_patients", lambda: {f"{UID}0.1": "P1", f"{UID}3.1": "P1", f"{UID}3.2": "P2"})
    write_luna16(tmp_path / "luna", {0: 1, 3: 2})
    return tmp_path / "luna"


def test_subsets_are_parts_and_ids_are_luna16s(luna: Path) -> None:
    archive = luna16.open_luna16([luna], None, None)
    assert [scan.series_uid for scan in archive.scans] == [f"{UID}0.1", f"{UID}3.1", f"{UID}3.2"]
    assert [scan.patient_id for scan in archive.scans] == ["P1", "P1", "P2"]
    assert [scan.series_uid for scan in archive.members(3)] == [f"{UID}3.1", f"{UID}3.2"]
    assert archive.parts == 10
    # The subset folders themselves will do.
    same = luna16.open_luna16([luna / "subset3", luna / "subset0"], None, None)
    assert [scan.series_uid for scan in same.scans] == [scan.series_uid for scan in archive.scans]


def test_nodules_are_true_and_excluded_findings_ignored(luna: Path) -> None:
    archive = luna16.open_luna16([luna], None, None)
    truth = archive.truth(f"{UID}3.2", None)
    assert [(n.center_mm, n.diameter_mm) for n in truth.nodules] == [(PLACES[0][:3], 18.0)]
    # -1 in the file: 10 mm, as LUNA16 counts.
    assert [(p.center_mm, p.diameter_mm) for p in truth.ignored] == [(PLACES[1][:3], 10.0)]


def test_a_held_out_subset_is_held_out_by_patient(luna: Path) -> None:
    """P1 has a scan in subset 0 too: it teaches nothing either, nor does a nodule of P1's anywhere else."""
    split = luna16.open_luna16([luna], None, None).split(replace(NOBODY, held_out_subset=3))
    assert [split.trains(p) for p in ("P1", "P2", "P3")] == [False, False, True]
    assert "subset 3 of LUNA16" in split.describe()


@pytest.mark.parametrize(
    ("name", "option"), [("annotations.csv", "data.annotations="), ("annotations_excluded.csv", "data.excluded=")]
)
def test_a_list_that_is_nowhere_is_asked_for(luna: Path, name: str, option: str) -> None:
    (luna / name).unlink()
    with pytest.raises(ValueError, match=f"no {name}.*{option}"):
        luna16.open_luna16([luna], None, None)


def test_what_is_no_luna16_is_refused(luna: Path) -> None:
    shutil.copytree(luna / "subset0", luna / "subset1")
    with pytest.raises(ValueError, match=f"must lie in one subset.*{UID}0.1"):
        luna16.open_luna16([luna], None, None)
    with pytest.raises(ValueError, match="subset0 to subset9"):
        luna16.open_luna16([luna.parent], luna / "annotations.csv", luna / "annotations_excluded.csv")
    archive = Archive("LUNA16", (), {}, 10, "held_out_subset", None)
    with pytest.raises(ValueError, match=r"held_out_subset must be 0 to 9, got 10"):
        archive.split(replace(NOBODY, held_out_subset=10))
    with pytest.raises(ValueError, match="LIDC-IDRI has none"):
        replace(archive, name="LIDC-IDRI", setting="held_out_fold").split(replace(NOBODY, held_out_subset=3))


def test_lidc_series_are_those_of_the_table_with_their_readers_nodules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write_lidc(tmp_path, ["LIDC-IDRI-0001", "LIDC-IDRI-0002", "LIDC-IDRI-0009"])
    monkeypatch.setattr(lidc, "read_table", lambda: table[:2])
    archive = lidc.open_lidc([tmp_path], 3)
    assert [scan.patient_id for scan in archive.scans] == ["LIDC-IDRI-0001", "LIDC-IDRI-0002"]
    assert archive.part == {scan.series_uid: fold_of(scan.patient_id) for scan in archive.scans}
    truth = archive.truth(table[0].series_uid, GRID)
    (nodule,), (ignored,) = truth.nodules, truth.ignored
    # A pixel is 3.5 mm wide.
    assert np.allclose(nodule.center_mm, PLACES[0][:3], atol=1.8)
    assert nodule.diameter_mm == pytest.approx(18, abs=3)
    assert nodule.n_readers == 3
    assert np.allclose(ignored.center_mm, PLACES[1][:3], atol=1.8)
    assert len(lidc.open_lidc([tmp_path], 1).truth(table[0].series_uid, GRID).nodules) == 2


def test_a_folder_without_lidc_series_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lidc(tmp_path, ["X"])
    monkeypatch.setattr(lidc, "read_table", list)
    with pytest.raises(ValueError, match="none among 1"):
        lidc.open_lidc([tmp_path], 3)


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "lidc_scans").is_dir(), reason="no real LIDC scans here")
def test_truth_of_tcias_files_is_luna16s() -> None:
    """The table's outlines in the grid of the DICOM files, against the official centres and diameters."""
    archive = lidc.open_lidc([SHARED / "lidc_scans"], 3)
    official = read_annotations(SHARED / "luna16/annotations.csv")
    found = 0
    for scan in archive.scans:
        ours = archive.truth(scan.series_uid, pixel_grid(scan, prepare_scan(scan))).nodules
        theirs = [n for n in official if n.series_uid == scan.series_uid]
        assert len(ours) == len(theirs)
        for nodule in theirs:
            near = min(ours, key=lambda n: np.linalg.norm(np.subtract(n.center_mm, nodule.center_mm)))
            assert np.linalg.norm(np.subtract(near.center_mm, nodule.center_mm)) < 0.1
            assert near.diameter_mm == pytest.approx(nodule.diameter_mm, abs=0.25)
            found += 1
    assert found == 4
