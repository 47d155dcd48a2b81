"""The listing of a cohort in a file, so that not every shard reads the header of every slice again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Reason, Scan, SeriesKind
from preprocessing.journal.record import digest_of
from runs.cache import code_digest, load
from runs.writing import write_json

CODE = "preprocessing.intake.find"
# What is unpacked elsewhere, anew at every start.
PACKED = (".zip", ".gz")


def list_scans(source: Path, kept: Path | None) -> list[Scan]:
    """`find_scans(source)`, from a file where the same files lay there when it was written.

    The same are files of the same names and sizes, changed at the same time. A source with archives in it is always
    listed anew.

    Args:
        source: as `find_scans` takes it.
        kept: the file, made or replaced when it does not fit; its folder is made if missing. None: none is used.

    Raises:
        FileNotFoundError: nothing is there.
    """
    if kept is None or not source.exists():
        return find_scans(source)
    state = _state(source)
    found = load(kept, lambda path: _read(path, state)) if state else None
    if found is None:
        found = find_scans(source)
        if state:
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_json(kept, {"state": state, "scans": [_stored(scan) for scan in found]})
    return found


def _state(source: Path) -> str:
    """A fingerprint of what lies there, no file opened; empty where there are archives."""
    files = [str(source.absolute()), code_digest(CODE)]
    for path, size, changed in _files(source):
        if path.lower().endswith(PACKED):
            return ""
        files.append(f"{path}\0{size}\0{changed}")
    return digest_of(files)


def _files(source: Path) -> Iterator[tuple[str, int, int]]:
    """Path, bytes and time of change of every file and folder; links are followed, but never back upwards."""
    left, seen = [str(source)], set()
    while left:
        at = left.pop()
        found = Path(at).stat()
        yield at, found.st_size, found.st_mtime_ns
        real = os.path.realpath(at)
        if not Path(at).is_dir() or real in seen:
            continue
        seen.add(real)
        with os.scandir(at) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir():
                    left.append(entry.path)
                else:
                    found = entry.stat(follow_symlinks=entry.is_file())
                    yield entry.path, found.st_size, found.st_mtime_ns


def _stored(scan: Scan) -> dict[str, Any]:
    return asdict(scan) | {"paths": [str(path) for path in scan.paths]}


def _read(path: Path, state: str) -> list[Scan]:
    stored = json.loads(path.read_text(encoding="utf-8"))
    if stored["state"] != state:
        raise ValueError("of other files")
    return [_scan(values) for values in stored["scans"]]


def _scan(values: dict[str, Any]) -> Scan:
    refused = Reason(values["refused"]) if values["refused"] else None
    return Scan(
        **values
        | {
            "paths": tuple(Path(name) for name in values["paths"]),
            "refused": refused,
            "warnings": tuple(values["warnings"]),
            "kind": SeriesKind(values["kind"]),
            "frames": tuple(tuple(frames) for frames in values["frames"]),
        }
    )
