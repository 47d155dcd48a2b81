"""Scans small enough to count by hand, written as tables: one row a nodule, an excluded finding or a candidate."""

from __future__ import annotations

from dataclasses import dataclass, field

from detection.candidate import Candidate
from preprocessing.annotations import Nodule

UNKNOWN = float("nan")


@dataclass
class Case:
    """The rows of a table; a scan with the single row `nothing` was looked at and holds neither."""

    scans: list[str] = field(default_factory=list)
    nodules: list[Nodule] = field(default_factory=list)
    excluded: list[Nodule] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)


def case(table: str) -> Case:
    """Columns: scan, what, x, y, z, then the diameter in mm (`?` where unknown) or the score, then free words."""
    made = Case()
    for line in filter(str.strip, table.splitlines()):
        scan, what, *rest = line.split()
        if scan not in made.scans:
            made.scans.append(scan)
        if what == "nothing":
            continue
        x, y, z = (float(v) for v in rest[:3])
        number = UNKNOWN if rest[3] == "?" else float(rest[3])
        if what == "candidate":
            made.candidates.append(Candidate(scan, (x, y, z), UNKNOWN, number))
        else:
            {"nodule": made.nodules, "excluded": made.excluded}[what].append(Nodule(scan, (x, y, z), number))
    return made
