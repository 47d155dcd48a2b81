"""The habits of programs that write tables: what parts the cells, which letters, and which decimal mark.

A German Excel saves `id;cancer` and `0,5`, "Unicode text" of any Excel is UTF-16 parted by tabs. Both say so by
themselves: by the byte order mark and by the header line. Nothing else is guessed: what is parted by commas has
decimal points.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from runs.entry import UsageError

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What may part the cells; of equally many in the header line the first one does.
SEPARATORS = (",", ";", "\t")
QUOTED = re.compile(r'"[^"]*"')
COMMA = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")
POINT = re.compile(r"\s*[+-]?\d*\.\d+([eE][+-]?\d+)?\s*")


def text_of(path: Path, name: str) -> str:
    """All of a table: UTF-8, or UTF-16 that begins with its byte order mark.

    Args:
        path: of the file.
        name: of it, for messages.

    Raises:
        FileNotFoundError: no such file.
        UsageError: other letters.
    """
    content = path.read_bytes()
    encoding = next((encoding for mark, encoding in MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    # Of UTF-16 without its mark; further down they may pad ids, as in DICOM.
    if "\0" in text.partition("\n")[0]:
        wanted = "a csv in UTF-8, or in UTF-16 with its byte order mark"
        raise UsageError(f"{name} must be {wanted}; it is neither")
    return text


def separator_of(text: str) -> str:
    """What parts the cells of a table, by its header line."""
    header = QUOTED.sub("", text.lstrip("\r\n").partition("\n")[0])
    return max(SEPARATORS, key=header.count)


def with_points(table: pd.DataFrame, text: Sequence[str], name: str) -> None:
    """Turn the decimal commas of a table that is not parted by commas into points, in place.

    Args:
        table: its cells as text.
        text: columns that hold no numbers.
        name: of the file, for messages.

    Raises:
        UsageError: a column has both.
    """
    for column in (c for c in table.columns if c not in text):
        cells = table[column].map(lambda cell: cell if isinstance(cell, str) else "")
        commas = cells.map(lambda cell: bool(COMMA.fullmatch(cell)))
        if not commas.any():
            continue
        if any(POINT.fullmatch(cell) for cell in cells):
            raise UsageError(f"{name} must have decimal commas or decimal points; {column} has both")
        table.loc[commas, column] = cells[commas].str.replace(",", ".")


def by_known_names(names: Sequence[object], known: Sequence[str]) -> dict[object, str]:
    """New names for columns that are known ones but for letter case and blanks around, where only one is meant."""
    meant: dict[str, list[object]] = {}
    for name in names:
        meant.setdefault(str(name).strip().casefold(), []).append(name)
    found = {}
    for name in known:
        columns = meant.get(name.casefold(), [])
        if name not in names and len(columns) == 1:
            found[columns[0]] = name
    return found
