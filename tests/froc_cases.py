"""Scans small enough to count by hand, written as tables: one row a nodule, an excluded finding or a candidate."""

from __future__ import annotations

from dataclasses import dataclass, field

from detection.candidate import Candidate
from detection.froc.curve import FrocResult, froc
from detection.froc.matching import Matched, Points, match, points
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


def froc_of(cases: Case, **options: object) -> FrocResult:
    return froc(cases.nodules, cases.candidates, cases.scans, cases.excluded, **options)  # type: ignore[arg-type]


def matched_of(cases: Case, max_per_scan: int | None = 100) -> Matched:
    def columns(items: list[Nodule] | list[Candidate], value: list[float]) -> Points:
        return points(cases.scans, [i.series_uid for i in items], [i.center_mm for i in items], value)[0]

    return match(
        columns(cases.nodules, [n.diameter_mm for n in cases.nodules]),
        columns(cases.candidates, [c.score for c in cases.candidates]),
        columns(cases.excluded, [n.diameter_mm for n in cases.excluded]),
        len(cases.scans),
        max_per_scan,
    )


# Nodules of 5, 6 and 20 mm, texture 1, 3 and unknown. Found: the 6 mm one after one false positive a scan (score .8
# after .9), and the 20 mm one before it (.95).
SIZES = """
A  nodule       0    0    0    5   missed
A  nodule     100    0    0    6
A  nodule     200    0    0   20
A  candidate  200    0    0  .95   hit
A  candidate  300    0    0  .90   false
A  candidate  100    0    0  .80   hit
"""
