"""Zip archives, unpacked for the time of the run."""

from __future__ import annotations

import functools
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path

from preprocessing.scan import Reason, ScanError


def unpack(archive: Path) -> Path:
    """Unpack into a temporary folder that is removed when the program ends.

    Raises:
        ScanError: `unreadable`: no zip, damaged, encrypted, or larger than the free disk.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            members = packed.infolist()
            if any(m.flag_bits & 1 for m in members):
                raise ScanError(Reason.UNREADABLE, "the zip archive is encrypted")
            root = Path(_root().name)
            if sum(m.file_size for m in members) > shutil.disk_usage(root).free * 0.9:
                raise ScanError(Reason.UNREADABLE, "the unpacked zip archive would not fit on the temporary disk")
            folder = Path(tempfile.mkdtemp(dir=root))
            packed.extractall(folder)  # strips absolute paths and '..' itself
            return folder
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, RuntimeError, EOFError) as error:
        raise ScanError(Reason.UNREADABLE, "the zip archive is damaged or not a zip") from error


@functools.cache
def _root() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="lungscreen-")
