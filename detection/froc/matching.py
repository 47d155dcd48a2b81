"""Which candidate hits which nodule: the matching rules of LUNA16 (Setio et al. 2017, arXiv 1612.08012).

Written from the organisers' published rules, and digit for digit what their script counts:

- A candidate hits a finding when its centre is closer to the finding's centre than the radius: d² < r², so a centre
  exactly on the border is outside. A finding of unknown diameter (-1 in the files) has one of 10 mm.
- A nodule counts with its best hit; further hits in it are doubles and count nowhere.
- A candidate inside two nodules finds both. One that hits no nodule but an excluded finding is ignored.
- Of a scan with more than `max_per_scan` candidates those above the score of the next one stay: ties there all go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from preprocessing.annotations import UNKNOWN_DIAMETER_MM

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MAX_PER_SCAN = 100
# Wider than any rounding of a difference of coordinates: the exact comparison follows.
SLACK_MM = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Candidates, nodules or excluded findings as columns.

    Attributes:
        scan: (N,) position in the list of series.
        center_mm: (N, 3) world LPS mm, x, y, z.
        value: (N,) score of a candidate; diameter of a finding in mm, negative or NaN where unknown.
    """

    scan: IntArray
    center_mm: FloatArray
    value: FloatArray

    def __len__(self) -> int:
        return len(self.scan)

    def only(self, which: BoolArray) -> Points:
        """Those with True in `which` (N,)."""
        return Points(self.scan[which], self.center_mm[which], self.value[which])


def points(
    series_uids: Sequence[str], series: Sequence[str], center_mm: npt.ArrayLike, value: npt.ArrayLike
) -> tuple[Points, BoolArray]:
    """Columns for the scans that are scored; what lies in other scans is left out, as in the organisers' script.

    Args:
        series_uids: the scans that are scored, each once.
        series: (N,) the scan of each point.
        center_mm: (N, 3) world LPS mm.
        value: (N,) see `Points`.

    Returns:
        The points, and which of the N they are (N,).
    """
    position = {uid: i for i, uid in enumerate(series_uids)}
    scan = np.array([position.get(uid, -1) for uid in series], dtype=np.int64)
    centers = np.asarray(center_mm, dtype=np.float64).reshape(len(scan), 3)
    values = np.asarray(value, dtype=np.float64).reshape(len(scan))
    listed = scan >= 0
    return Points(scan, centers, values).only(listed), listed


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """What the candidates of all scans came to.

    Attributes:
        n_scans: scans scored, with and without nodules.
        nodule_scan: (N,) the scan of each nodule, in the order given.
        nodule_score: (N,) score of its best hit, -inf for a missed one.
        false_scan: (F,) the scan of each false positive.
        false_score: (F,) its score.
        on_excluded: candidates ignored because they hit an excluded finding and no nodule.
        doubles: further hits in nodules already found.
        over_cap: candidates beyond `max_per_scan`, not counted.
        lost_to_ties: those of `over_cap` that went only because the next score was the same.
    """

    n_scans: int
    nodule_scan: IntArray
    nodule_score: FloatArray
    false_scan: IntArray
    false_score: FloatArray
    on_excluded: int
    doubles: int
    over_cap: int
    lost_to_ties: int

    @property
    def found(self) -> BoolArray:
        """(N,) which nodules were hit at all."""
        return self.nodule_score > -np.inf


def match(
    nodules: Points, candidates: Points, excluded: Points, n_scans: int, max_per_scan: int | None = MAX_PER_SCAN
) -> Matched:
    """Hits, misses and false positives of every scan.

    Args:
        nodules: what should be found; `value` is the diameter.
        candidates: what was found; `value` is the score, finite.
        excluded: findings that are neither: hits on them are ignored.
        n_scans: length of the list the points refer to.
        max_per_scan: see the module; None counts all.
    """
    kept, lost_to_ties = _best_of_each_scan(candidates, n_scans, max_per_scan)
    best = candidates.only(kept)
    nodule, hit = inside(nodules, best)
    _, ignored = inside(excluded, best)
    score = np.full(len(nodules), -np.inf)
    np.maximum.at(score, nodule, best.value[hit])
    hits = np.bincount(nodule, minlength=len(nodules))
    on_nodule, on_excluded = (np.zeros(len(best), dtype=bool) for _ in range(2))
    on_nodule[hit] = True
    on_excluded[ignored] = True
    false = best.only(~on_nodule & ~on_excluded)
    return Matched(
        n_scans=n_scans,
        nodule_scan=nodules.scan,
        nodule_score=score,
        false_scan=false.scan,
        false_score=false.value,
        on_excluded=int((on_excluded & ~on_nodule).sum()),
        doubles=int(np.maximum(hits - 1, 0).sum()),
        over_cap=int((~kept).sum()),
        lost_to_ties=lost_to_ties,
    )


def inside(findings: Points, candidates: Points) -> tuple[IntArray, IntArray]:
    """All pairs (index of finding, index of candidate) with the candidate's centre strictly inside the finding."""
    unknown = ~(findings.value >= 0)
    radius = np.where(unknown, UNKNOWN_DIAMETER_MM, findings.value) / 2
    # Complex numbers sort by their real, then by their imaginary part: here by scan, then by height.
    key = candidates.scan + 1j * candidates.center_mm[:, 2]
    order = np.argsort(key)
    reach = 1j * (radius + SLACK_MM)
    middle = findings.scan + 1j * findings.center_mm[:, 2]
    first = np.searchsorted(key[order], middle - reach, "left")
    count = np.searchsorted(key[order], middle + reach, "right") - first
    finding = np.repeat(np.arange(len(findings)), count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - first, count)
    candidate = order[place]
    x, y, z = (findings.center_mm[finding] - candidates.center_mm[candidate]).T
    hit = x * x + y * y + z * z < radius[finding] ** 2
    return finding[hit], candidate[hit]


def _best_of_each_scan(candidates: Points, n_scans: int, limit: int | None) -> tuple[BoolArray, int]:
    """Which candidates count, and how many of the others were among the best `limit` by rank alone."""
    if limit is None:
        return np.ones(len(candidates), dtype=bool), 0
    order = np.lexsort((-candidates.value, candidates.scan))
    count = np.bincount(candidates.scan, minlength=n_scans)
    rank = np.empty(len(candidates), dtype=np.int64)
    rank[order] = np.arange(len(candidates)) - np.repeat(np.cumsum(count) - count, count)
    bar = np.full(n_scans, -np.inf)
    next_one = rank == limit
    bar[candidates.scan[next_one]] = candidates.value[next_one]
    kept = (count[candidates.scan] <= limit) | (candidates.value > bar[candidates.scan])
    return kept, int((~kept & (rank < limit)).sum())
