"""No cell of ours is a formula, and what we wrote we read back."""

import warnings
from pathlib import Path

import pandas as pd
import pytest

from runs.csv_text import missing_columns, neutral, original, read_csv, read_lines, write_csv
from runs.entry import UsageError

FORMULAS = ["=1+1", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''-x"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_get_an_apostrophe_and_lose_it_again(text: str) -> None:
    assert neutral(text) == "'" + text
    assert original(neutral(text)) == text


@pytest.mark.parametrize("text", ["", "LIDC-IDRI-0001", "-3.5", "+1e-4", "'quoted'", "1.2.3", "o'=x"])
def test_other_text_and_numbers_stay(text: str) -> None:
    assert neutral(text) == original(text) == text


def test_a_table_there_and_back(tmp_path: Path) -> None:
    table = pd.DataFrame({"id": FORMULAS, "x": [-1.5] * len(FORMULAS), "note": ["-0.5"] * len(FORMULAS)})
    write_csv(tmp_path / "one.csv", table[:1])
    assert (tmp_path / "one.csv").read_text() == "id,x,note\n'=1+1,-1.5,-0.5\n"
    write_csv(tmp_path / "a.csv", table)
    assert read_csv(tmp_path / "a.csv", ("id",))["id"].tolist() == FORMULAS


def test_names_that_are_no_unicode_can_be_written(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", pd.DataFrame({"id": ["ct\udce9", "ct\udcea"]}))
    assert (tmp_path / "a.csv").read_text() == "id\nct\\udce9\nct\\udcea\n"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00a", b'a,b\n1,2,"3\n', b"a\n1,2\n1,2,3\n"])
def test_what_is_no_csv_is_said_by_name(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_bytes(content)
    with pytest.raises(UsageError, match=r"^bad\.csv"):
        read_csv(tmp_path / "bad.csv")


def test_missing_columns_are_named_with_those_there(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,size\n1,2\n")
    with pytest.raises(UsageError, match=r"^a\.csv must have the columns id,cancer; missing: cancer; .* has id,size$"):
        read_lines(tmp_path / "a.csv", ("id", "cancer"))
    assert missing_columns(tmp_path / "a.csv", read_csv(tmp_path / "a.csv"), ("id", "size")) == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"id;cancer\na;0,5\n", "decimal points"),
        (b"id;cancer\na;0.5\n", "the first line has id;cancer"),
        (b"id,cancer\na,0,5\n", "decimal points"),
        ("id,cancer\na,0.5\n".encode("utf-16"), "UTF-8"),
        (b"ID,Cancer\na,0.5\n", "the first line has ID,Cancer"),
    ],
)
def test_tables_of_other_habits_end_in_one_line(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UsageError) as caught:
            read_lines(tmp_path / "a.csv", ("id", "cancer"), ("id",))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
