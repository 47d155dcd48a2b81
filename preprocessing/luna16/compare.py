"""Our nodules beside LUNA16's official ones: how many meet, how well, and each that does not by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from preprocessing.annotations import Nodule
from preprocessing.geometry import FloatArray

FAR_MM = 3.0
NEAR_MM = 1.0


@dataclass(frozen=True, slots=True)
class Pair:
    """An official nodule and the one of ours that stands for it, or one of them alone.

    Attributes:
        official, ours: None where the other has no partner in its series.
        error_mm: distance of the centres; infinite without a partner.
    """

    official: Nodule | None
    ours: Nodule | None
    error_mm: float


def pair_up(official: Iterable[Nodule], ours: Iterable[Nodule]) -> list[Pair]:
    """One to one within each series, as many pairs within 3 mm as can be and then the least sum of distances."""
    theirs, mine = _by_series(official), _by_series(ours)
    return [pair for uid in sorted(theirs.keys() | mine.keys()) for pair in _pairs(theirs[uid], mine[uid])]


def summary(pairs: Sequence[Pair]) -> list[str]:
    """The comparison as lines of text; nothing further than 1 mm goes unnamed."""
    known = [pair for pair in pairs if pair.official is not None]
    if not known:
        return ["no official nodule lies in these series"]
    errors = np.array([pair.error_mm for pair in known])
    met = [pair for pair in known if pair.ours is not None and pair.error_mm <= FAR_MM]
    within = ", ".join(f"{(errors <= limit).sum()} within {limit:g} mm" for limit in (FAR_MM, NEAR_MM, 0.1, 0.01))
    lines = [
        f"{len(known)} official nodules, {sum(pair.ours is not None for pair in pairs)} here",
        f"centres: {within}; median error {np.median(errors):.4f} mm",
    ]
    if met:
        sizes = np.array([p.ours.diameter_mm - p.official.diameter_mm for p in met if p.ours and p.official])
        middle = round(float(np.median(sizes)), 4) + 0.0  # no minus before a zero
        lines.append(
            f"diameters of the {len(met)}: median error {middle:+.4f} mm, median of its size "
            f"{np.median(np.abs(sizes)):.4f} mm, {100 * np.mean(np.abs(sizes) <= 0.25):.1f} % within 0.25 mm"
        )
    return lines + list(_named(pairs))


def _named(pairs: Sequence[Pair]) -> Iterator[str]:
    for pair in sorted(pairs, key=lambda pair: pair.error_mm):
        if pair.official is None and pair.ours is not None:
            yield f"  here only:    {_place(pair.ours)}"
        elif pair.official is not None and pair.ours is None:
            yield f"  not found:    {_place(pair.official)}: no nodule here is left for it"
        elif pair.official is not None and pair.error_mm > NEAR_MM:
            what = "off centre:  " if pair.error_mm <= FAR_MM else "not matched: "
            yield f"  {what} {_place(pair.official)}: the nodule here is {pair.error_mm:.2f} mm away"


def _place(nodule: Nodule) -> str:
    x, y, z = nodule.center_mm
    return f"{nodule.series_uid} ({x:.1f}, {y:.1f}, {z:.1f}) {nodule.diameter_mm:.1f} mm"


def _by_series(nodules: Iterable[Nodule]) -> defaultdict[str, list[Nodule]]:
    found: defaultdict[str, list[Nodule]] = defaultdict(list)
    for nodule in nodules:
        found[nodule.series_uid].append(nodule)
    return found


def _pairs(theirs: list[Nodule], mine: list[Nodule]) -> Iterator[Pair]:
    rows: set[int] = set()
    columns: set[int] = set()
    if theirs and mine:
        away = _distances(theirs, mine)
        far = 1e6 * (away > FAR_MM)
        for i, j in zip(*linear_sum_assignment(away + far), strict=True):
            rows.add(int(i))
            columns.add(int(j))
            yield Pair(theirs[i], mine[j], float(away[i, j]))
    yield from (Pair(nodule, None, float("inf")) for i, nodule in enumerate(theirs) if i not in rows)
    yield from (Pair(None, nodule, float("inf")) for j, nodule in enumerate(mine) if j not in columns)


def _distances(theirs: list[Nodule], mine: list[Nodule]) -> FloatArray:
    a, b = np.array([n.center_mm for n in theirs]), np.array([n.center_mm for n in mine])
    return np.asarray(np.linalg.norm(a[:, None] - b, axis=2))
