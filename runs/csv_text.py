"""CSV as the product writes and reads it: no cell is a formula to a spreadsheet, no broken file a traceback."""

from __future__ import annotations

import csv
import io
import math
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from runs.csv_dialect import by_known_names, separator_of, text_of, with_points
from runs.entry import UsageError

# What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection").
FORMULA = re.compile(r"'*[=+\-@\t\r]")
# Columns of a wrong file that an error shows.
MOST_NAMED = 12


def write_csv(path: Path, table: pd.DataFrame, **options: Any) -> None:
    """Write a table without its index; text that would be a formula gets an apostrophe in front, numbers stay.

    Letters that are no valid Unicode (from odd file names) are written as `\\udcxx`.

    Args:
        path: of the file.
        table: what to write.
        options: of `DataFrame.to_csv`.
    """
    safe = table.map(lambda cell: unicode(neutral(cell)) if isinstance(cell, str) else cell)
    if any(isinstance(cell, str) and "\r" in cell for column in safe for cell in safe[column]):
        options = {"quoting": csv.QUOTE_NONNUMERIC, **options}  # pandas leaves a lone CR bare, which ends the row
    safe.to_csv(path, index=False, **options)


def read_csv(path: Path, text: Sequence[str] = (), known: Sequence[str] = (), **options: Any) -> pd.DataFrame:
    """Read a table; columns named in `text` are text, as `write_csv` was given it.

    Cells may be parted by commas, semicolons or tabs; in the latter two, numbers may have decimal commas.

    Args:
        path: of the file.
        text: columns, where there are such, whose apostrophe before a formula is taken off again.
        known: further columns; these and `text` may be in other letter case.
        options: of `pandas.read_csv`.

    Raises:
        FileNotFoundError: no such file.
        UsageError: the file is empty, or no CSV in UTF-8 or UTF-16.
    """
    name = printable(path)
    content = text_of(path, name)
    separator = separator_of(content)
    names = _first_line(content, separator)
    renamed = by_known_names(names, (*text, *known))
    asked: dict[Any, Any] = {column: str for column in names if renamed.get(column, column) in text}
    options = {"dtype": asked, "sep": separator, **options}
    try:
        with warnings.catch_warnings():
            # Cells beyond the header would be dropped: decimal commas, or columns without a name.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table: pd.DataFrame = pd.read_csv(io.StringIO(content), **options)
    except pd.errors.ParserWarning:
        wanted = "cells parted by commas and decimal points, as many in each row as in the header"
        raise UsageError(f"{name} must be a csv with {wanted}; it has longer rows") from None
    except pd.errors.EmptyDataError:
        raise UsageError(f"{name} must be a csv with a header line; it is empty") from None
    except (pd.errors.ParserError, ValueError) as error:
        raise UsageError(f"{name} is no csv: {str(error).strip()}") from None
    table = table.rename(columns=renamed)
    if separator != ",":
        with_points(table, text, name)
    for column in set(text) & set(table.columns):
        table[column] = table[column].map(original, na_action="ignore")
    return table


def cells_of(path: Path) -> list[list[str]]:
    """The rows of a file without a fixed header, those that hold something.

    Raises:
        FileNotFoundError: no such file.
        UsageError: no CSV in UTF-8 or UTF-16.
    """
    content = text_of(path, printable(path))
    try:
        rows = list(csv.reader(io.StringIO(content, newline=""), delimiter=separator_of(content)))
    except csv.Error as error:
        raise UsageError(f"{printable(path)} is no csv: {error}") from None
    return [row for row in rows if any(cell.strip() for cell in row)]


def _first_line(content: str, separator: str) -> list[str]:
    try:
        return next((row for row in csv.reader(io.StringIO(content), delimiter=separator) if row), [])
    except csv.Error:  # pandas has the words for it
        return []


def read_lines(
    path: Path, needed: Sequence[str], text: Sequence[str] = (), optional: Sequence[str] = ()
) -> pd.DataFrame:
    """Every cell as it stands, for those who judge each; the index is the line in the file, the header being line 1.

    Args:
        path: of the file.
        needed: columns that must be there.
        text: see `read_csv`.
        optional: columns that may be there, too.

    Raises:
        FileNotFoundError: no such file.
        UsageError: no CSV, or a column is missing.
    """
    table = read_csv(
        path, text, (*needed, *optional), dtype=str, na_filter=False, index_col=False, skip_blank_lines=False
    )
    if fault := missing_columns(path, table, needed):
        raise UsageError(fault)
    table.index = pd.RangeIndex(2, len(table) + 2)
    blank = (table.fillna("") == "").all(axis=1)
    return table[~blank]


def missing_columns(path: Path, table: pd.DataFrame, needed: Sequence[str]) -> str:
    """What to say when columns are missing: those needed, those missing and those there; nothing when all are there.

    Args:
        path: of the file.
        table: read from it.
        needed: columns that must be there.
    """
    missing = [name for name in needed if name not in table.columns]
    if not missing:
        return ""
    there = ",".join(map(str, table.columns[:MOST_NAMED])) or "nothing"
    more = ",..." if len(table.columns) > MOST_NAMED else ""
    return (
        f"{printable(path)} must have the columns {','.join(needed)}; missing: {','.join(missing)}; "
        f"the first line has {there}{more}"
    )


def numbers(
    path: Path, table: pd.DataFrame, column: str, fits: Callable[[float], bool] = math.isfinite, wanted: str = ""
) -> list[float]:
    """One column of `read_lines` as numbers.

    Args:
        path: of the file.
        table: of `read_lines`.
        column: its name.
        fits: what a value must satisfy; an empty cell is NaN.
        wanted: the same in words.

    Raises:
        UsageError: naming the file, the column and the line of the first cell at fault.
    """
    found = []
    for line, cell in table[column].items():
        value = _value(cell)
        if value is None or not fits(value):
            words = wanted or "a finite number"
            raise UsageError(f"{printable(path)}: {column} in line {line} must be {words}, got {cell!r}")
        found.append(value)
    return found


def neutral(text: str) -> str:
    """The text, with an apostrophe in front when it begins as a formula does and is no number."""
    return f"'{text}" if FORMULA.match(text) and not _is_number(text) else text


def original(text: str) -> str:
    """The inverse of `neutral`."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def unicode(text: str) -> str:
    """The text, letters that are no valid Unicode (bytes of odd file names) as `\\udcxx`: no table takes them."""
    return text.encode(errors="backslashreplace").decode()


def printable(path: Path) -> str:
    """The name of a file as text that can be printed and written, whatever bytes it holds."""
    return path.name.encode(errors="replace").decode()


def _is_number(text: str) -> bool:
    return bool(text) and _value(text) is not None


def _value(text: Any) -> float | None:
    try:
        return float(text) if str(text).strip() else math.nan
    except ValueError:
        return None
