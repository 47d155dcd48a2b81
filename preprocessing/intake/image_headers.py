"""Which files hold the voxels of a MetaImage or NRRD file: beside a header they may lie in files it names.

MetaImage: https://itk.org/Wiki/MetaIO/Documentation, `ElementDataFile`; NRRD: teem.sourceforge.net/nrrd/format.html,
section 5, `data file`. A header comes from outside: what it names must lie in its own folder. The readers themselves
check little: MetaIO divides by zero for some patterns, writes past its arrays for an odd NDims, and for lists that are
too short returns memory that was never written; the NRRD reader writes long lines past the end of its messages. What
would end the process is refused here.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from pathlib import Path, PureWindowsPath

from preprocessing.intake.scan import Reason, ScanError

# A header ends within its first MiB; with a list of slices it may be longer.
HEADER_BYTES, LIST_BYTES = 1 << 20, 1 << 24
MOST_FILES = 100_000
PATTERN = re.compile(r"[^%]*%0?\d{0,2}d[^%]*")
META_KEY = re.compile(rb"^[ \t]*ElementDataFile\s*[=:][ \t]*([^\r\n]*)", re.MULTILINE)
META_SIZE = re.compile(rb"^[ \t]*DimSize\s*[=:]([ \t\d]*)", re.MULTILINE)
META_AXES = re.compile(rb"^[ \t]*NDims\s*[=:][ \t]*([^\r\n]*)", re.MULTILINE)
NRRD_KEY = re.compile(rb"^data ?file:(?!=)[ \t]*([^\r\n]*)", re.MULTILINE | re.IGNORECASE)
NRRD_LINE_BYTES = 500
NRRD_END = re.compile(rb"\r?\n\r?\n")


def data_files(path: Path) -> tuple[Path, ...]:
    """The files, beside the header itself, that its voxels are read from; empty when they follow in the same file.

    Raises:
        ScanError: `unreadable`: the header cannot be read or does not end; `bad_value`: it names files outside its
            folder, or not as many as it has slices.
    """
    ending = path.suffix.lower()
    if ending in (".nii", ".gz"):
        _check_nifti(path)
    if ending not in (".mhd", ".mha", ".nrrd"):
        return ()
    try:
        with path.open("rb") as handle:
            head = handle.read(HEADER_BYTES)
            if _lists(head):
                head += handle.read(LIST_BYTES)
    except OSError as error:
        raise ScanError(Reason.UNREADABLE, "the header cannot be opened") from error
    names = _nrrd_names(head) if ending == ".nrrd" else _meta_names(head)
    return tuple(_beside(path, name) for name in names)


def _check_nifti(path: Path) -> None:
    """The voxels of a .nii lie in it (magic `n+1`, or `n+2` of NIfTI-2); those of a pair lie in an .img beside it."""
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as handle:
            head = handle.read(348)
    except (OSError, EOFError, zlib.error) as error:
        raise ScanError(Reason.UNREADABLE, "the header cannot be opened") from error
    if head[344:347] != b"n+1" and head[4:7] != b"n+2":
        raise ScanError(Reason.UNREADABLE, "the file must be a NIfTI with its voxels in it")


def _lists(head: bytes) -> bool:
    return any(found and found[1].startswith(b"LIST") for found in (META_KEY.search(head), NRRD_KEY.search(head)))


def _meta_names(head: bytes) -> list[str]:
    """`LOCAL`, a name, a pattern with first, last and step, or `LIST` and a name on each line to the end."""
    found = META_KEY.search(head)
    # With two of them it would be anybody's guess which one is read.
    if found is None or head.count(b"ElementDataFile") != 1:
        raise ScanError(Reason.UNREADABLE, "the header must have one ElementDataFile, at its end")
    axes = META_AXES.findall(head[: found.start()])
    if len(axes) != 1 or axes[0].strip() not in (b"2", b"3", b"4"):
        raise ScanError(Reason.BAD_VALUE, "the header must have one NDims, from 2 to 4")
    value = os.fsdecode(found[1].strip())
    if value in ("LOCAL", "Local", "local"):
        return []
    if not value.startswith("LIST") and "%" not in value:
        return [value]
    if value.startswith("LIST"):
        names = _lines(head[found.end() :]) if value.split() in (["LIST"], ["LIST", "2D"]) else []
    else:
        names = _expanded(value.split())
    size = META_SIZE.search(head)
    slices = int((size[1].split() or [b"0"])[-1]) if size else 0
    if len(names) != slices:
        raise ScanError(Reason.BAD_VALUE, f"the header must name one file for each slice: {slices}, got {len(names)}")
    return names


def _nrrd_names(head: bytes) -> list[str]:
    """A name, a pattern with first, last and step, or `LIST` and a name on each line to the end."""
    if not head.startswith(b"NRRD"):
        raise ScanError(Reason.UNREADABLE, "the header is none of NRRD")
    end = NRRD_END.search(head)
    header = head[: end.start() if end else None]
    if any(len(line) > NRRD_LINE_BYTES and not _is_free(line) for line in header.splitlines()):
        raise ScanError(Reason.BAD_VALUE, f"a field of the header must be shorter than {NRRD_LINE_BYTES} letters")
    found = NRRD_KEY.search(header)
    if found is None:
        if end is None:
            raise ScanError(Reason.UNREADABLE, "the header has no end")
        return []
    value = os.fsdecode(found[1])
    if value.startswith("LIST"):
        return _lines(head[found.end() :])
    return _expanded(value.split()) if "%" in value else [value]


def _is_free(line: bytes) -> bool:
    """Comments, and pairs of a key and its value, may be of any length."""
    return line.startswith(b"#") or (b":=" in line and b": " not in line.partition(b":=")[0])


def _lines(rest: bytes) -> list[str]:
    return [os.fsdecode(line.strip()) for line in rest.splitlines() if line.strip()]


def _expanded(words: list[str]) -> list[str]:
    """`x%03d.raw 1 10 1`: the names from first to last."""
    pattern, *numbers = words
    try:
        first, last, step = (int(number) for number in numbers[:3])
        count = (last - first) // step + 1
    except (ValueError, ZeroDivisionError):
        count = 0
    if not PATTERN.fullmatch(pattern) or not 0 < count <= MOST_FILES:
        wanted = f"one %d, and first, last and step of at most {MOST_FILES} numbers"
        raise ScanError(Reason.BAD_VALUE, f"the header's pattern of data files must have {wanted}")
    return [pattern % number for number in range(first, first + count * step, step)]


def _beside(header: Path, name: str) -> Path:
    """The named file, which must not leave the folder of the header: by `..`, as an absolute path or by a link."""
    windows = PureWindowsPath(name)
    found = header.parent / name
    away = bool(windows.drive or windows.root) or ".." in windows.parts
    try:
        away = away or not found.resolve().is_relative_to(header.parent.resolve())
    except (OSError, RuntimeError, ValueError):  # a ring of links; a NUL in the name
        away = True
    if away:
        raise ScanError(
            Reason.BAD_VALUE, "the header must name its voxels in its own folder; it names a file outside of it"
        )
    return found
