"""What is kept of a scan that was worked on: all that the tables say of it, and no pixel."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from preprocessing.intake.scan import Reason, Scan, SeriesKind


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the work on a scan came to.

    Attributes:
        warnings: all that are to be stated of it.
        found: what the tables need, of plain types as JSON has them.
        files: what was written besides, below the folder of results.
        made_by: names and checksums of the weights, and how they were applied.
    """

    warnings: tuple[str, ...]
    found: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    made_by: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One scan and what became of it.

    Attributes:
        key: its name among the records, see `keys_of`.
        place: in the list of the whole cohort.
        scan: its state after the work; read back, its paths are as many as they were and lead nowhere.
        seen: fingerprint of the files of its patient when it was worked on.
        answer: None when it was refused.
    """

    key: str
    place: int
    scan: Scan
    seen: str
    answer: Answer | None

    def to_json(self) -> str:
        """The inverse of `record_of`."""
        scan, answer = self.scan, self.answer
        stored: dict[str, Any] = {
            "key": self.key, "place": self.place, "seen": self.seen, "patient_id": scan.patient_id,
            "series_uid": scan.series_uid, "files": len(scan.paths), "refused": scan.refused, "detail": scan.detail,
            "warnings": scan.warnings, "study_uid": scan.study_uid, "study_date": scan.study_date, "kind": scan.kind,
        }  # fmt: skip
        if answer is not None:
            stored["answer"] = {"found": answer.found, "files": answer.files, "made_by": answer.made_by}
        return json.dumps(stored, default=float)


def record_of(text: str) -> Record:
    """A record out of its JSON.

    Raises:
        ValueError, KeyError, TypeError: damaged.
    """
    stored = json.loads(text)
    warnings = tuple(stored["warnings"])
    scan = Scan(
        stored["patient_id"],
        stored["series_uid"],
        (Path(),) * stored["files"],
        Reason(stored["refused"]) if stored["refused"] else None,
        stored["detail"],
        warnings,
        stored["study_uid"],
        stored["study_date"],
        SeriesKind(stored["kind"]),
    )
    kept = stored.get("answer")
    answer = None if kept is None else Answer(warnings, kept["found"], tuple(kept["files"]), kept["made_by"])
    return Record(stored["key"], stored["place"], scan, stored["seen"], answer)


def keys_of(scans: Sequence[Scan]) -> list[str]:
    """A name for each scan that no other of the list has, from its patient and series; usable as a file name."""
    times: dict[tuple[str, str], int] = {}
    keys = []
    for scan in scans:
        who = (scan.patient_id, scan.series_uid)
        times[who] = times.get(who, 0) + 1
        keys.append(digest_of([*who, times[who]]))
    return keys


def cohort_digest(scans: Sequence[Scan]) -> str:
    """A fingerprint of a list of scans: who they are, in how many files of how many bytes, in which order.

    Wherever the files lie and whenever they were copied there; no file is read.
    """
    rows = [[s.patient_id, s.series_uid, s.refused, len(s.paths), sum(map(_bytes, s.paths))] for s in scans]
    return digest_of(rows)


def seen_of(scan: Scan, source: Path) -> str:
    """A fingerprint of a scan's files as they lie there now, by their sizes and when they were changed.

    Args:
        scan: what to look at.
        source: the folder or file it was found under; what was unpacked elsewhere is new at every start, and only
            its size counts.
    """
    seen = [[_bytes(path), _changed(path) if path.is_relative_to(source) else 0] for path in scan.paths]
    return digest_of([scan.refused, scan.detail, *seen])


def digest_of(value: Any) -> str:
    """32 hex digits of anything that JSON can say."""
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=16).hexdigest()


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
