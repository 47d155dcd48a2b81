"""LUNA16 as files and as rules: volume headers, the list of its 888 series, and how those were chosen from LIDC.

Source of the choice: https://luna16.grand-challenge.org/Data/ and Setio et al., Med Image Anal 42 (2017): no slices
thicker than 2.5 mm, no uneven spacing or missing slices, 888 of the 1,018 LIDC scans.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from preprocessing.geometry import Geometry
from preprocessing.intake.scan import Reason
from preprocessing.lidc.reading import LidcScan
from runs.csv_text import cells_of, original, read_lines
from runs.entry import UsageError

MAX_THICKNESS_MM = 2.5
_UNEVEN = 0.01
_HEADER_COLUMNS = ("seriesuid", "dim_size_xyz", "element_spacing_xyz_mm", "offset_xyz_mm", "transform_matrix")
_HEADER_KEYS = {"dimsize": 3, "elementspacing": 3, "offset": 3, "transformmatrix": 9}
# What separates the rule from the 888; patients with a single scan each. The five with copies: the table lists a
# position once, and https://huggingface.co/datasets/YongchengYAO/LIDC-IDRI-Lite names them.
_COPIES = "it has slices at one position, which the table does not show"
DEVIATIONS = {
    "LIDC-IDRI-0085": _COPIES,
    "LIDC-IDRI-0146": _COPIES,
    "LIDC-IDRI-0418": _COPIES,
    "LIDC-IDRI-0572": _COPIES,
    "LIDC-IDRI-0979": _COPIES,
    "LIDC-IDRI-0107": "no reason is known",
    "LIDC-IDRI-0123": "LUNA16 cut it to 219 of its 236 slices, which are even",
}


def why_not(scan: LidcScan, max_thickness_mm: float = MAX_THICKNESS_MM) -> str | None:
    """Why the published rule leaves a scan out of LUNA16, or None."""
    if scan.slice_thickness_mm > max_thickness_mm:
        return f"slices of {scan.slice_thickness_mm:g} mm are thicker than {max_thickness_mm:g} mm"
    gaps = np.diff(scan.slice_z_mm)
    if gaps.max() - gaps.min() > _UNEVEN * scan.slice_spacing_mm:
        return f"the slice spacing runs from {gaps.min():g} to {gaps.max():g} mm"
    return None


def chosen(scans: Iterable[LidcScan], max_thickness_mm: float = MAX_THICKNESS_MM) -> set[str]:
    """Series of LUNA16 without its list: the rule, turned round for the scans in `DEVIATIONS`."""
    return {
        scan.series_uid
        for scan in scans
        if (why_not(scan, max_thickness_mm) is None) != (scan.patient_id in DEVIATIONS)
    }


def differences(scans: Iterable[LidcScan], listed: set[str], max_thickness_mm: float = MAX_THICKNESS_MM) -> list[str]:
    """One sentence for every scan on which the rule and a list disagree."""
    found = []
    for scan in scans:
        reason = why_not(scan, max_thickness_mm)
        if (reason is None) != (scan.series_uid in listed):
            what = "fits the rule but is not listed" if reason is None else f"is listed although {reason}"
            known = DEVIATIONS.get(scan.patient_id, "no reason is known")
            found.append(f"{scan.patient_id} {scan.series_uid} {what}: {known}")
    return found


def read_series(path: Path) -> list[str]:
    """The series UIDs of a LUNA16 `seriesuids.csv`, one a line, in file order; a header line is passed over.

    Raises:
        FileNotFoundError: there is no such file.
        UsageError: it is empty, a line is not a UID, or one comes twice.
    """
    uids = [",".join(row) for row in _series_rows(path)]
    wrong = [uid for uid in uids if not uid.replace(".", "").isdigit()]
    if wrong or not uids:
        raise UsageError(f"{path.name} must hold one series UID a line; got {wrong[0] if wrong else 'nothing'}")
    twice = [uid for uid, times in Counter(uids).items() if times > 1]
    if twice:
        raise UsageError(f"{path.name} must list a series once; twice: {twice[0]}")
    return uids


def series_column(path: Path) -> list[str]:
    """The first column of a list of series as it stands, for those who judge it themselves.

    Raises:
        FileNotFoundError: there is no such file.
        UsageError: it is no text.
    """
    return [original(row[0]) for row in _series_rows(path)]


def _series_rows(path: Path) -> list[list[str]]:
    """The rows of the csv without empty ones and without the heading `seriesuid`; where it is not the first column, as
    in `scans.csv`, that column alone, of what is a scan at all."""
    if not path.is_file():
        raise FileNotFoundError(f"no such list of series: {path}")
    rows = cells_of(path)
    heading = [cell.strip().lower() for cell in rows[0]] if rows else []
    if "seriesuid" not in heading:
        return [row for row in rows if row[0].strip()]
    at = heading.index("seriesuid")
    rows = [row for row in rows[1:] if _cell(row, at)]
    if "reason" in heading:
        # A refused scan is scored, for its nodules are missed; a lung mask that lay beside the scans is none.
        why = heading.index("reason")
        rows = [row for row in rows if _cell(row, why) != Reason.LABEL_MAP]
    return [row[at : at + 1] for row in rows] if at else rows


def _cell(row: list[str], at: int) -> str:
    return row[at].strip() if at < len(row) else ""


def read_headers(path: Path) -> dict[str, Geometry]:
    """Geometry by series UID, out of a folder of `.mhd` files in any nesting or a CSV with the same values.

    The columns of the CSV are `seriesuid,dim_size_xyz,element_spacing_xyz_mm,offset_xyz_mm,transform_matrix`, the
    numbers of one field parted by blanks. 14 of LUNA16's 888 headers have x and y flipped.

    Raises:
        FileNotFoundError: no such path, or no `.mhd` file under it.
        UsageError: a column, key or number is missing or wrong, or a series comes twice.
    """
    if path.is_dir():
        rows = [(file.stem, *_mhd_fields(file)) for file in sorted(path.rglob("*.mhd"))]
        if not rows:
            raise FileNotFoundError(f"no .mhd file under {path}")
    elif path.is_file():
        table = read_lines(path, _HEADER_COLUMNS, ("seriesuid",))
        rows = list(table[list(_HEADER_COLUMNS)].itertuples(index=False, name=None))
    else:
        raise FileNotFoundError(f"no headers at {path}: neither a csv file nor a folder of .mhd files")
    found: dict[str, Geometry] = {}
    for uid, *fields in rows:
        if uid in found:
            raise UsageError(f"{path.name} must hold a series once; twice: {uid}")
        found[uid] = _geometry(uid, fields)
    return found


def _mhd_fields(path: Path) -> list[str]:
    """Keys are those of MetaImage; `Position` and `Origin` are its older names for `Offset`.

    Not read by SimpleITK, which takes a missing spacing for 1, a missing offset for 0 and a word for 0.
    """
    values = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition("=")
        name = key.strip().lower()
        values["offset" if name in ("position", "origin") else name] = value.strip()
    missing = [key for key in _HEADER_KEYS if key not in values]
    if missing:
        raise UsageError(f"{path.name} is no MetaImage header of a volume; missing: {missing}")
    return [values[key] for key in _HEADER_KEYS]


def _geometry(uid: str, fields: list[str]) -> Geometry:
    numbers = []
    for (key, count), field in zip(_HEADER_KEYS.items(), fields, strict=True):
        try:
            numbers.append(np.array(field.split(), dtype=np.float64))
        except ValueError:
            raise UsageError(f"header of {uid}: {key} must be numbers, got {field!r}") from None
        if len(numbers[-1]) != count:
            raise UsageError(f"header of {uid}: {key} must have {count} numbers, got {field!r}")
    size, spacing, offset, matrix = numbers
    shape = size[::-1].astype(int)
    try:
        # MetaImage writes the axes one after the other: they are the columns of our direction.
        return Geometry(shape.tolist(), spacing.tolist(), offset.tolist(), matrix.reshape(3, 3).T)
    except ValueError as error:
        raise UsageError(f"header of {uid}: {error}") from None
