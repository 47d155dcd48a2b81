"""Zip archives, unpacked for the time of the run, within a budget: a few kB can unpack to more than any disk holds."""

from __future__ import annotations

import errno
import functools
import gzip
import shutil
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from preprocessing.intake.scan import Reason, ScanError

# CT compresses to a half or a quarter, padding and phantoms further; deflate can reach 1 to 1,032.
RATIO = 100
SPARE_BYTES = 256 * 1024**2
MOST_FILES = 1_000_000
MOST_DEPTH = 3
CHUNK = 1 << 20
OTHER_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tbz2", ".txz", ".7z", ".rar", ".bz2", ".xz", ".zst")
NO_ROOM = "the unpacked zip archive would not fit on the temporary disk"
# What zipfile raises on damaged archives.
DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, RuntimeError, EOFError, ValueError)


class OverBudgetError(ScanError):
    """An archive, with those inside it, unpacks to more than it may."""

    def __init__(self, detail: str) -> None:
        super().__init__(Reason.UNREADABLE, detail)


@dataclass(slots=True)
class Budget:
    """What all archives of one input may unpack to, together.

    Attributes:
        depth: of archives in archives.
        files: still to come.
        bytes: still to come; each archive of the input adds `RATIO` times its own size.
    """

    depth: int = MOST_DEPTH
    files: int = MOST_FILES
    bytes: int = SPARE_BYTES

    def admit(self, archive: Path, depth: int) -> None:
        """Begin with an archive: at depth 0 one of the input, deeper one that lay in another."""
        if depth >= self.depth:
            raise OverBudgetError(f"the zip archive holds archives in archives; {self.depth} levels at most")
        if depth == 0:
            self.bytes += RATIO * archive.stat().st_size

    def spend(self, files: int, size: int) -> None:
        """Count what is about to be written."""
        self.files -= files
        self.bytes -= size
        if self.files < 0:
            raise OverBudgetError(f"the zip archives hold too many files; at most {MOST_FILES:,} are unpacked")
        if self.bytes < 0:
            limit = f"at most {RATIO} times their size and {SPARE_BYTES // 1024**2} MiB are unpacked"
            raise OverBudgetError(f"the zip archive unpacks to far more than its size; {limit}")


def unpack(archive: Path, budget: Budget | None = None, depth: int = 0) -> Path:
    """Unpack into a temporary folder that is removed when the program ends, or at once when this fails.

    Args:
        archive: the file.
        budget: of the input it belongs to; a fresh one when None.
        depth: 0 for an archive of the input, 1 for one that lay in it, ...

    Raises:
        OverBudgetError: it unpacks to more than it may.
        ScanError: `unreadable`: no zip, damaged, encrypted, or larger than the free disk.
    """
    budget = budget or Budget()
    folder = None
    try:
        budget.admit(archive, depth)
        folder = Path(tempfile.mkdtemp(dir=_root().name))
        with _Counted(archive) as packed:
            _extract(packed, folder, budget)
    except (ScanError, *DAMAGE) as error:
        if folder is not None:
            remove(folder)
        if isinstance(error, ScanError):
            raise
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ScanError(Reason.UNREADABLE, NO_ROOM) from error
        raise ScanError(Reason.UNREADABLE, "the zip archive is damaged or not a zip") from error
    return folder


def is_passed_over(path: Path) -> bool:
    """Whether a file is an archive of a kind that is not unpacked."""
    return path.name.lower().endswith(OTHER_ARCHIVES)


def unpack_slice(path: Path, budget: Budget) -> Path | None:
    """A DICOM file that was packed by itself (`.dcm.gz`), unpacked as `unpack` does; None when it is none.

    Raises:
        OverBudgetError: it unpacks to more than it may.
        ScanError: `truncated`: it begins as DICOM and breaks off.
    """
    try:
        with gzip.open(path) as packed:
            head = packed.read(132)
            if head[128:] != b"DICM":
                return None
            budget.admit(path, 0)
            budget.spend(1, 0)
            target = Path(tempfile.mkdtemp(dir=_root().name)) / path.stem
            with target.open("wb") as out:
                while head:
                    budget.spend(0, len(head))
                    out.write(head)
                    head = packed.read(CHUNK)
    except ScanError:
        raise
    except DAMAGE as error:
        if path.stem.lower().endswith(".dcm"):
            raise ScanError(Reason.TRUNCATED, "a packed file of the series is damaged or cut") from error
        return None
    return target


def remove(folder: Path) -> None:
    """Give the disk back what an archive unpacked to."""
    shutil.rmtree(folder, ignore_errors=True)


def give_back() -> None:
    """Remove all that this process has unpacked: a server that goes on has no use for the last scan's files."""
    for folder in Path(_root().name).iterdir():
        remove(folder)


def _extract(packed: _Counted, folder: Path, budget: Budget) -> None:
    members = packed.infolist()
    if any(m.flag_bits & 1 for m in members):
        raise ScanError(Reason.UNREADABLE, "the zip archive is encrypted")
    stated = sum(m.file_size for m in members)
    budget.spend(len(members), stated)
    if stated > shutil.disk_usage(folder).free * 0.9:
        raise ScanError(Reason.UNREADABLE, NO_ROOM)
    # What the headers state is paid for; what comes out beyond is not.
    packed.left = stated
    packed.extractall(folder)  # strips absolute paths and '..' itself


class _Counted(zipfile.ZipFile):
    """A zip whose members give no more bytes than `left`, whatever its headers say."""

    left = 0

    def open(self, *arguments: Any, **options: Any) -> IO[bytes]:
        member = super().open(*arguments, **options)
        read = member.read

        def counted(n: int = -1) -> bytes:
            content = read(n)
            self.left -= len(content)
            if self.left < 0:
                raise OverBudgetError("the zip archive unpacks to more than its headers state")
            return content

        member.read = counted  # type: ignore[method-assign]
        return member


@functools.cache
def _root() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="lungscreen-")
