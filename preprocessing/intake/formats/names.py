"""Files that a header names for its voxels: in its own folder, and no others.

A header comes from outside. The usual readers check little: MetaIO divides by zero for some patterns, and for lists
that are too short it returns memory that was never written.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PureWindowsPath

from preprocessing.intake.scan import Reason, ScanError

# A header ends within its first MiB; with a list of slices it may be longer.
HEADER_BYTES, LIST_BYTES = 1 << 20, 1 << 24
MOST_FILES = 100_000
MOST_AXES = (3, 4)
PATTERN = re.compile(r"[^%]*%0?\d{0,2}d[^%]*")


def head_of(path: Path, file_key: re.Pattern[bytes]) -> bytes:
    """The beginning of a file, with the header and, where `file_key` begins a list of files, the list.

    Raises:
        ScanError: `unreadable`: it cannot be opened.
    """
    try:
        with path.open("rb") as handle:
            head = handle.read(HEADER_BYTES)
            found = file_key.search(head)
            if found and found[1].startswith(b"LIST"):
                head += handle.read(LIST_BYTES)
    except OSError as error:
        raise ScanError(Reason.UNREADABLE, "the header cannot be opened") from error
    return head


def file_names(rest: bytes) -> list[str]:
    """A name on each line."""
    return [os.fsdecode(line.strip()) for line in rest.splitlines() if line.strip()]


def expanded(words: list[str]) -> list[str]:
    """`x%03d.raw 1 10 1`: the names from first to last.

    Raises:
        ScanError: `bad_value`: no such pattern.
    """
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


def beside(header: Path, name: str) -> Path:
    """The named file, which must not leave the folder of the header: by `..`, as an absolute path or by a link.

    Raises:
        ScanError: `bad_value`: it does.
    """
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
