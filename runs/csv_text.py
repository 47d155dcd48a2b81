"""CSV as the product writes and reads it: no cell is a formula to a spreadsheet, no broken file a traceback."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from runs.entry import UsageError

# What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection").
FORMULA = re.compile(r"'*[=+\-@\t\r]")


def write_csv(path: Path, table: pd.DataFrame, **options: Any) -> None:
    """Write a table without its index; text that would be a formula gets an apostrophe in front, numbers stay.

    Letters that are no valid Unicode (from odd file names) are written as `\\udcxx`.

    Args:
        path: of the file.
        table: what to write.
        options: of `DataFrame.to_csv`.
    """
    safe = table.map(lambda cell: neutral(cell) if isinstance(cell, str) else cell)
    if any(isinstance(cell, str) and "\r" in cell for column in safe for cell in safe[column]):
        options = {"quoting": csv.QUOTE_NONNUMERIC, **options}  # pandas leaves a lone CR bare, which ends the row
    safe.to_csv(path, index=False, errors="backslashreplace", **options)


def read_csv(path: Path, text: Sequence[str] = (), **options: Any) -> pd.DataFrame:
    """Read a table; columns named in `text` are text, as `write_csv` was given it.

    Args:
        path: of the file.
        text: columns, where there are such, whose apostrophe before a formula is taken off again.
        options: of `pandas.read_csv`.

    Raises:
        FileNotFoundError: no such file.
        UsageError: the file is empty, or no CSV in UTF-8.
    """
    try:
        table: pd.DataFrame = pd.read_csv(path, **{"dtype": dict.fromkeys(text, str), "encoding": "utf-8-sig", **options})
    except pd.errors.EmptyDataError:
        raise UsageError(f"{printable(path)} must be a csv with a header line; it is empty") from None
    except UnicodeDecodeError:
        raise UsageError(f"{printable(path)} must be a csv in UTF-8; it is not") from None
    except (pd.errors.ParserError, ValueError) as error:
        raise UsageError(f"{printable(path)} is no csv: {str(error).strip()}") from None
    for name in set(text) & set(table.columns):
        table[name] = table[name].map(original, na_action="ignore")
    return table


def neutral(text: str) -> str:
    """The text, with an apostrophe in front when it begins as a formula does and is no number."""
    return f"'{text}" if FORMULA.match(text) and not _is_number(text) else text


def original(text: str) -> str:
    """The inverse of `neutral`."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def printable(path: Path) -> str:
    """The name of a file as text that can be printed and written, whatever bytes it holds."""
    return path.name.encode(errors="replace").decode()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
