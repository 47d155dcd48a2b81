"""LIDC XML: the same objects as the table gives, and every kind of wrong file refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from preprocessing.lidc.reading import Reading
from preprocessing.lidc.table import read_table
from preprocessing.lidc.xml import read_xml, read_xml_folder
from tests.outlines import DATA, as_xml, reading, square

SCANS = DATA / "lidc_scans"
SMALL = (
    "<unblindedReadNodule><noduleID>small</noduleID><roi><imageZposition>1</imageZposition><inclusion>TRUE</inclusion>"
    "<edgeMap><xCoord>1</xCoord><yCoord>1</yCoord></edgeMap></roi></unblindedReadNodule>"
    "<nonNodule><nonNoduleID>n</nonNoduleID></nonNodule>"
)


def plain(readings: Sequence[Reading]) -> list[object]:
    return [
        (r.nodule_id, r.ratings, [(c.z_mm, c.included, c.points_xy.tolist()) for c in r.contours]) for r in readings
    ]


@pytest.mark.parametrize("patient", ["LIDC-IDRI-0001", "LIDC-IDRI-0003"])
def test_table_and_xml_hold_the_same(patient: str) -> None:
    if not SCANS.is_dir():
        pytest.skip("needs shared/data/lidc_scans")
    ((uid, readings),) = read_xml_folder(SCANS / patient).items()
    (row,) = (scan for scan in read_table() if scan.patient_id == patient)
    assert uid == row.series_uid
    assert plain(readings) == plain(row.readings)


def test_a_file_is_read_as_written(tmp_path: Path) -> None:
    written = (
        reading(square(10, 20, 4, z_mm=-7.5), square(11, 21, 1, z_mm=-7.5, included=False), nodule_id="IL & 1"),
        reading(square(0, 0, 3), malignancy=5, calcification=6),
    )
    path = tmp_path / "read.xml"
    path.write_text(as_xml("1.2.3", written, extra=SMALL))
    uid, readings = read_xml(path)
    assert uid == "1.2.3"
    assert plain(readings) == plain(written)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("</LidcReadMessage>", "", r"a\.xml is not XML"),
        ("LidcReadMessage", "IdriReadMessage", r"the root must be LidcReadMessage.*got IdriReadMessage"),
        ("<SeriesInstanceUid>1.2.3<", "<SeriesInstanceUid><", "must have a ResponseHeader/SeriesInstanceUid"),
        ("<texture>3</texture>", "", r"a\.xml: .* must have a characteristics/texture"),
        ("<texture>3<", "<texture>solid<", "texture must be a whole number, got 'solid'"),
        ("<xCoord>0<", "<xCoord>0.5<", r"xCoord must be a whole number, got '0\.5'"),
        ("<imageZposition>0.0 <", "<imageZposition>top<", "imageZposition must be a number, got 'top'"),
        ("TRUE", "MAYBE", "inclusion must be TRUE or FALSE, got MAYBE"),
        ("edgeMap", "mapEdge", r"nodule 1 is rated, so it must have contours \(roi\) with points \(edgeMap\)"),
    ],
)
def test_wrong_files_are_named(old: str, new: str, message: str, tmp_path: Path) -> None:
    text = as_xml("1.2.3", [reading(square(0, 0, 3))])
    assert old in text
    (tmp_path / "a.xml").write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_xml(tmp_path / "a.xml")


def test_a_folder_holds_each_series_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no LIDC XML file"):
        read_xml_folder(tmp_path)
    (tmp_path / "cxr.xml").write_text("<IdriReadMessage/>")
    (tmp_path / "deep").mkdir()
    for name in ("a.xml", "deep/b.xml"):
        (tmp_path / name).write_text(as_xml(name[-5], [reading(square(0, 0, 3))]))
    assert sorted(read_xml_folder(tmp_path)) == ["a", "b"]
    (tmp_path / "c.xml").write_text(as_xml("b", []))
    with pytest.raises(ValueError, match=r"two files hold readings of series b: c\.xml and b\.xml"):
        read_xml_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match="no LIDC XML file"):
        read_xml_folder(tmp_path / "none")
