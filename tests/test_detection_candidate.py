"""Lists of candidates: written as LUNA16 has them, read back as they were, refused by file, column and line."""

import math
from pathlib import Path

import pytest

from detection.candidate import Candidate, read_candidates, write_candidates
from runs.entry import UsageError

HEAD = "seriesuid,coordX,coordY,coordZ,probability,diameter_mm\n"


def test_there_and_back_also_with_an_id_like_a_formula(tmp_path: Path) -> None:
    written = [Candidate("=1+1", (-1.5, 2.0, -3.25), 6.5, 0.25), Candidate("1.2", (0.0, 0.0, 0.0), math.nan, 0.5)]
    write_candidates(tmp_path / "c.csv", written)
    lines = (tmp_path / "c.csv").read_text().splitlines()
    assert lines[1:] == ["'=1+1,-1.500,2.000,-3.250,0.250000,6.500", "1.2,0.000,0.000,0.000,0.500000,nan"]
    found = read_candidates(tmp_path / "c.csv")
    assert found["=1+1"] == written[:1]
    assert math.isnan(found["1.2"][0].diameter_mm)


def test_best_first_and_without_diameters(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("seriesuid,coordX,coordY,coordZ,probability\na,1,2,3,0.1\n\na,4,5,6,1\n")
    found = read_candidates(tmp_path / "c.csv")
    assert [c.score for c in found["a"]] == [1, 0.1]
    assert all(math.isnan(c.diameter_mm) for c in found["a"])


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("a,1,2,3,1.5,6", "probability"),
        ("a,1,2,3,-0.1,6", "probability"),
        ("a,1,2,3,nan,6", "probability"),
        ("a,1,2,3,high,6", "probability"),
        ("a,1,2,3,,6", "probability"),
        ("a,inf,2,3,0.5,6", "coordX"),
        ("a,1,two,3,0.5,6", "coordY"),
        ("a,1,2,,0.5,6", "coordZ"),
        ("a,1,2,3,0.5,0", "diameter_mm"),
        ("a,1,2,3,0.5,-1", "diameter_mm"),
        ("a,1,2,3,0.5,inf", "diameter_mm"),
        ("a,1,2,3,0.5,small", "diameter_mm"),
        (",1,2,3,0.5,6", "seriesuid"),
    ],
)
def test_a_wrong_cell_is_named(row: str, column: str, tmp_path: Path) -> None:
    """The header is line 1, a good row line 2, an empty line 3."""
    (tmp_path / "mine.csv").write_text(f"{HEAD}a,1,2,3,0.5,6\n\n{row}\n")
    with pytest.raises(UsageError, match=rf"^mine\.csv: {column} in line 4 must be ") as stopped:
        read_candidates(tmp_path / "mine.csv")
    assert "\n" not in str(stopped.value)


def test_missing_columns_and_files(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("seriesuid,x,y,z,probability\na,1,2,3,0.5\n")
    with pytest.raises(UsageError, match="missing: coordX,coordY,coordZ"):
        read_candidates(tmp_path / "mine.csv")
    with pytest.raises(FileNotFoundError):
        read_candidates(tmp_path / "other.csv")
    (tmp_path / "mine.csv").write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    with pytest.raises(UsageError, match=r"mine\.csv"):
        read_candidates(tmp_path / "mine.csv")
