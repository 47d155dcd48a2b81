"""LUNA16's headers, list and rule, and the comparison with its truth, on cases small enough to check by eye."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from preprocessing.annotations import Nodule
from preprocessing.geometry import Triple
from preprocessing.luna16.compare import pair_up, summary
from preprocessing.luna16.files import chosen, differences, read_headers, read_series, series_column, why_not
from tests.outlines import scan

COLUMNS = "seriesuid,dim_size_xyz,element_spacing_xyz_mm,offset_xyz_mm,transform_matrix\n"
ROW = "1.2,512 256 100,0.5 0.25 2,180 170 -300,-1 0 0 0 -1 0 0 0 1\n"


def test_csv_of_headers(tmp_path: Path) -> None:
    path = tmp_path / "headers.csv"
    path.write_text(COLUMNS + ROW)
    geometry = read_headers(path)["1.2"]
    assert (geometry.shape_zyx, geometry.spacing_mm, geometry.origin_mm) == (
        (100, 256, 512),
        (0.5, 0.25, 2),
        (180, 170, -300),
    )
    # Ten columns, twenty rows, three slices from the first voxel; x and y run backwards.
    assert geometry.to_world([3, 20, 10]).tolist() == [175, 165, -294]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("uid,size\n1.2,3\n", "headers.csv must have the columns seriesuid,.*missing"),
        (COLUMNS + ROW + ROW, r"must hold a series once; twice: 1\.2"),
        (
            COLUMNS + ROW.replace("512 256 100", "512 256"),
            r"header of 1\.2: dimsize must have 3 numbers, got '512 256'",
        ),
        (COLUMNS + ROW.replace("0.25", "wide"), r"header of 1\.2: elementspacing must be numbers, got '0\.5 wide 2'"),
        (COLUMNS + ROW.replace("0.25", "0"), r"header of 1\.2: spacing_mm must be positive"),
        (COLUMNS + ROW.replace("-1 0 0 0 -1", "-1 0 0 0 -2"), r"header of 1\.2: direction must be orthonormal"),
    ],
)
def test_wrong_headers_are_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "headers.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_headers(tmp_path / "headers.csv")


def test_mhd_files_as_simpleitk_reads_them(tmp_path: Path) -> None:
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    image = sitk.Image(4, 3, 2, sitk.sitkInt16)
    image.SetSpacing((0.5, 0.75, 2.5))
    image.SetOrigin((-10.5, 20.25, -300))
    image.SetDirection(rotation.ravel().tolist())
    (tmp_path / "subset0").mkdir()
    sitk.WriteImage(image, str(tmp_path / "subset0/1.2.3.mhd"))
    (geometry,) = (read_headers(tmp_path)[uid] for uid in ["1.2.3"])
    assert geometry.shape_zyx == (2, 3, 4)
    assert geometry.to_world([1, 2, 3]) == pytest.approx(np.array(image.TransformIndexToPhysicalPoint((3, 2, 1))))


def test_missing_headers_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no \.mhd file under"):
        read_headers(tmp_path)
    with pytest.raises(FileNotFoundError, match="neither a csv file nor a folder"):
        read_headers(tmp_path / "none.csv")
    (tmp_path / "1.mhd").write_text("NDims = 3\nDimSize = 1 2 3\n")
    with pytest.raises(ValueError, match=r"1\.mhd is no MetaImage header of a volume; missing: \['elementspacing'"):
        read_headers(tmp_path)


def test_list_of_series(tmp_path: Path) -> None:
    path = tmp_path / "seriesuids.csv"
    path.write_text("seriesuid\r\n1.2.3\r\n1.2.10\r\n\r\n")
    assert read_series(path) == ["1.2.3", "1.2.10"]
    for text, message in {
        "": "one series UID a line; got nothing",
        "1.2,3\n": "got 1.2,3",
        "1.2\nx\n": "got x",
        "1.2\n1.2\n": "must list a series once; twice: 1.2",
    }.items():
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_series(path)
    with pytest.raises(FileNotFoundError, match="no such list of series"):
        read_series(tmp_path / "none.csv")


def test_scans_csv_of_a_search_is_a_list_of_series_too(tmp_path: Path) -> None:
    """Refused ones count as looked at, a folder without a series does not."""
    path = tmp_path / "scans.csv"
    path.write_text("patient_id,seriesuid,status\nP1,1.2.3,ok\nP2,1.2.10,refused\nbroken,,refused\n")
    assert series_column(path) == read_series(path) == ["1.2.3", "1.2.10"]


def test_the_rule() -> None:
    assert why_not(scan(thickness=2.5)) is None
    assert why_not(scan(thickness=3.0)) == "slices of 3 mm are thicker than 2.5 mm"
    assert why_not(scan(thickness=3.0), max_thickness_mm=3.0) is None
    assert why_not(scan(slices=(0, 2, 4, 8, 10))) == "the slice spacing runs from 2 to 4 mm"
    assert why_not(scan(slices=(0, 1.5, 3, 4.5001, 6))) is None


def test_rule_and_list_are_compared_scan_by_scan() -> None:
    scans = [
        scan(uid="1", patient="LIDC-IDRI-0001"),
        scan(uid="2", patient="LIDC-IDRI-0002", thickness=5.0),
        scan(uid="3", patient="LIDC-IDRI-0123", slices=(0, 2, 3)),  # listed by LUNA16 against the rule
        scan(uid="4", patient="LIDC-IDRI-0107"),  # not listed, though it fits
    ]
    assert chosen(scans) == {"1", "3"}
    first, second = differences(scans, {"2", "3"})[:2]
    assert first == "LIDC-IDRI-0001 1 fits the rule but is not listed: no reason is known"
    assert second == "LIDC-IDRI-0002 2 is listed although slices of 5 mm are thicker than 2.5 mm: no reason is known"
    assert [line.split()[0] for line in differences(scans, {"1", "3"})] == ["LIDC-IDRI-0123", "LIDC-IDRI-0107"]


def at(uid: str, *center_mm: float, diameter: float = 6.0) -> Nodule:
    x, y, z = center_mm
    place: Triple = (x, y, z)
    return Nodule(uid, place, diameter)


def test_nodules_are_paired_within_their_series() -> None:
    official = [at("a", 0, 0, 0), at("a", 10, 0, 0), at("b", 0, 0, 0), at("c", 5, 5, 5)]
    ours = [at("a", 10, 0, 0.5, diameter=6.2), at("a", 0, 2, 0, diameter=5.0), at("b", 0, 0, 9), at("d", 5, 5, 5)]
    pairs = pair_up(official, ours)
    assert [pair.error_mm for pair in pairs] == [2.0, 0.5, 9.0, float("inf"), float("inf")]
    assert summary(pairs) == [
        "4 official nodules, 4 here",
        "centres: 2 within 3 mm, 1 within 1 mm, 0 within 0.1 mm, 0 within 0.01 mm; median error 5.5000 mm",
        "diameters of the 2: median error -0.4000 mm, median of its size 0.6000 mm, 50.0 % within 0.25 mm",
        "  off centre:   a (0.0, 0.0, 0.0) 6.0 mm: the nodule here is 2.00 mm away",
        "  not matched:  b (0.0, 0.0, 0.0) 6.0 mm: the nodule here is 9.00 mm away",
        "  not found:    c (5.0, 5.0, 5.0) 6.0 mm: no nodule here is left for it",
        "  here only:    d (5.0, 5.0, 5.0) 6.0 mm",
    ]


def test_as_many_pairs_as_can_be() -> None:
    # Each official nodule alone would take the middle one: 1 and 2.5 mm. Both are met at 2.5 and 2.9 mm.
    official = [at("a", 0, 0, 0), at("a", 3.5, 0, 0)]
    ours = [at("a", 1, 0, 0), at("a", -2.9, 0, 0)]
    assert sorted(pair.error_mm for pair in pair_up(official, ours)) == pytest.approx([2.5, 2.9])


def test_nothing_to_compare_is_said() -> None:
    assert summary(pair_up([], [at("a", 0, 0, 0)])) == ["no official nodule lies in these series"]
