"""Where derived things are kept between runs; everything in it can be deleted at any time, also while a run uses it.

A cache never stops a run: what cannot be read is made again, what cannot be written is not kept, with one warning.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar
from zipfile import BadZipFile

import platformdirs

from runs.writing import whole

log = logging.getLogger(__name__)

Kept = TypeVar("Kept")
LIMIT_BYTES = 20 * 1024**3
# Left behind by a killed run, when older.
STALE_SECONDS = 24 * 3600
# Roots that were complained of in this run.
_warned: set[Path] = set()
# What readers raise on damaged entries.
DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile)


def cache_folder(kind: str) -> Path:
    """The folder for one kind of thing, under `LUNGSCREEN_CACHE` or the user's cache folder; not yet made."""
    root = os.environ.get("LUNGSCREEN_CACHE") or platformdirs.user_cache_dir("lungscreen")
    return Path(root).expanduser() / kind


def load(entry: Path, read: Callable[[Path], Kept]) -> Kept | None:
    """What `read` makes of the entry, or None when it is missing or damaged: it is then made again."""
    try:
        found = read(entry)
    except DAMAGE:
        return None
    with suppress(OSError):
        os.utime(entry)  # what was used last goes last
    return found


def store(entry: Path, write: Callable[[BinaryIO], None], size: int = 0, limit: int = LIMIT_BYTES) -> None:
    """Keep an entry, whole or not at all, then drop the oldest of its folder beyond the limit.

    Args:
        entry: its path; the ending tells its kind from others in the folder.
        write: writes the content to an open file.
        size: about how many bytes that will be; nothing is begun that the disk cannot hold.
        limit: of bytes in the folder.
    """
    folder = entry.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < 2 * size:
            _warn_once(folder.parent, "the disk is full")
            return
        with whole(entry) as part, part.open("xb") as handle:
            write(handle)
    except OSError as error:
        _warn_once(folder.parent, error.strerror or type(error).__name__)
    prune(folder, entry.suffix, limit)


def prune(folder: Path, suffix: str, limit: int) -> None:
    """Drop the entries of an ending that were used longest ago until the others fit; others may prune meanwhile."""
    entries = sorted(_sized(folder, suffix), reverse=True)
    total = 0
    for _, size, path in entries:
        total += size
        if total > limit:
            with suppress(OSError):
                path.unlink(missing_ok=True)
    drop_stale(folder)


def drop_stale(folder: Path) -> None:
    """Drop what killed writers left behind; what others may be writing stays."""
    old = time.time() - STALE_SECONDS
    for used, _, path in _sized(folder, ".tmp"):
        if used < old:
            with suppress(OSError):
                path.unlink(missing_ok=True)


@functools.cache
def code_digest(module: str) -> str:
    """A fingerprint of the source of a module and of all our modules it imports, directly or not.

    Ours are the packages beside this one, without this one: how a command starts changes no result.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, source in sorted(_sources(module).items()):
        digest.update(f"{name}\0{len(source)}\0".encode())
        digest.update(source)
    return digest.hexdigest()


def _sized(folder: Path, suffix: str) -> Iterator[tuple[float, int, Path]]:
    """When used, bytes, path; what vanishes while we look is passed over."""
    try:
        paths = [path for path in folder.iterdir() if path.suffix == suffix]
    except OSError:
        return
    for path in paths:
        with suppress(OSError):
            found = path.stat()
            yield found.st_mtime, found.st_size, path


def _warn_once(root: Path, why: str) -> None:
    if root in _warned:
        return
    _warned.add(root)
    log.warning("the cache in %s cannot be used (%s); the run goes on without it", root, why)


def _sources(module: str) -> dict[str, bytes]:
    """Source by name of a module and what it imports."""
    found: dict[str, bytes] = {}
    left = [module]
    while left:
        name = left.pop()
        if name in found or not _is_ours(name):
            continue
        # Found, not imported: what only an extra needs may not be installed.
        found[name] = _file(name).read_bytes()
        left += _imported(found[name], name)
    return found


def _imported(source: bytes, name: str) -> list[str]:
    """Names of the modules that a module's source imports; of `from a import b` both a and, where it is one, a.b."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [found for found in names if found != name]


def _is_ours(name: str) -> bool:
    root = Path(__file__).parents[1]
    top, *_ = name.split(".")
    ours = (root / top / "__init__.py").is_file() and top != Path(__file__).parent.name
    return ours and _file(name).is_file()


def _file(name: str) -> Path:
    """Where the source of a module beside this package is, or would be."""
    at = Path(__file__).parents[1].joinpath(*name.split("."))
    return at / "__init__.py" if at.is_dir() else at.with_suffix(".py")
