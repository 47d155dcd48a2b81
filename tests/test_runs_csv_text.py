"""No cell of ours is a formula, and what we wrote we read back."""

import warnings
from pathlib import Path

import pandas as pd
import pytest

from runs.csv_text import cells_of, missing_columns, neutral, numbers, original, read_csv, read_lines, write_csv
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
    write_csv(tmp_path / "a.csv", pd.DataFrame({"id": ["ct\udce9", "ct\udcea"]}, dtype=object))
    assert (tmp_path / "a.csv").read_text() == "id\nct\\udce9\nct\\udcea\n"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'a,b\n1,2,"3\n', b"a\n1,2\n1,2,3\n"])
def test_what_is_no_csv_is_said_by_name(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_bytes(content)
    with pytest.raises(UsageError, match=r"^bad\.csv"):
        read_csv(tmp_path / "bad.csv")


def test_missing_columns_are_named_with_those_there(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,size\n1,2\n")
    with pytest.raises(UsageError, match=r"^a\.csv must have the columns id,cancer; missing: cancer; .* has id,size$"):
        read_lines(tmp_path / "a.csv", ("id", "cancer"))
    assert missing_columns(tmp_path / "a.csv", read_csv(tmp_path / "a.csv"), ("id", "size")) == ""


ROWS = 'id,cancer\nGrün 1,0.5\n"a;b,c",-1e-3\n'
SEMICOLONS = 'id;cancer\nGrün 1;0,5\n"a;b,c";-1,0e-3\n'
TABS = 'ID\tCancer \nGrün 1\t0,5\n"a;b,c"\t-,001\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-sig"])
@pytest.mark.parametrize("content", [ROWS, SEMICOLONS, TABS, ROWS.replace("\n", "\r\n"), "ID, CANCER" + ROWS[9:]])
def test_tables_of_other_habits_are_read(content: str, encoding: str, tmp_path: Path) -> None:
    written = b"\xfe\xff" + content.encode("utf-16-be") if encoding == "utf-16-be-sig" else content.encode(encoding)
    (tmp_path / "a.csv").write_bytes(written)
    table = read_lines(tmp_path / "a.csv", ("id", "cancer"), ("id",))
    assert table["id"].tolist() == ["Grün 1", "a;b,c"]
    assert numbers(tmp_path / "a.csv", table, "cancer") == [0.5, -0.001]
    assert cells_of(tmp_path / "a.csv")[1][0] == "Grün 1"


def test_commas_stay_in_text_and_in_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id;cancer;note\n1,5;1;3,2 mm\n")
    table = read_lines(tmp_path / "a.csv", ("id", "cancer"), ("id",))
    assert table.iloc[0].tolist() == ["1,5", "1", "3,2 mm"]


def test_a_formula_keeps_its_text_under_a_name_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ID;x\n'=1+1;1,0\n007;2,0\n")
    table = read_csv(tmp_path / "a.csv", ("id",))
    assert table["id"].tolist() == ["=1+1", "007"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"id,cancer\na,0,5\n", "decimal points"),
        (b"id;cancer\na;0.5\nb;0,5\n", "decimal commas or decimal points; cancer has both"),
        (b"id;Krebs\na;0,5\n", "missing: cancer; the first line has id,Krebs"),
        (b"id,Cancer,CANCER\na,0.5,1\n", "missing: cancer; the first line has id,Cancer,CANCER"),
        ("id,cancer\na,0.5\n".encode("utf-16-le"), "UTF-16 with its byte order mark; it is neither"),
        ("id,cancer\na,0.5\n".encode("utf-32"), "UTF-8, or in UTF-16"),
        ("id,cancer\nGrün,0.5\n".encode("latin-1"), "UTF-8, or in UTF-16"),
    ],
)
def test_tables_that_may_mean_two_things_end_in_one_line(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UsageError) as caught:
            read_lines(tmp_path / "a.csv", ("id", "cancer"), ("id",))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
