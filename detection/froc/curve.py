"""The official LUNA16 figure: sensitivity at seven rates of false positives a scan, their mean (CPM), and its spread.

The curve is the organisers' (Setio et al. 2017, arXiv 1612.08012, and their evaluation script): candidates sorted by
score, false positives divided by *all* scans, missed nodules in the denominator, straight lines between the points.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from detection.candidate import Candidate
from detection.froc.band import Band, bands, curves, interval
from detection.froc.matching import (
    MAX_PER_SCAN,
    BoolArray,
    FloatArray,
    IntArray,
    Matched,
    Points,
    match,
    points,
)
from detection.froc.strata import flat, strata
from preprocessing.annotations import Nodule
from runs.bootstrap import Comparison, Estimate, p_value

RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
ALL = "all"


@dataclass(frozen=True, slots=True, eq=False)
class FrocResult:
    """One FROC curve: its corners, between which it is straight.

    Attributes:
        fps_per_scan: (K,) false positives a scan, rising from 0.
        sensitivity: (K,) share of the nodules found.
        thresholds: (K,) candidates with at least this score are counted; the first is inf.
        n_scans: scans in the denominator, with and without nodules.
        n_nodules: nodules in the denominator.
        band: of the bootstrap, or None without one.
    """

    fps_per_scan: FloatArray
    sensitivity: FloatArray
    thresholds: FloatArray
    n_scans: int
    n_nodules: int
    band: Band | None = None

    def at(self, rates: Sequence[float] | FloatArray = RATES) -> FloatArray:
        """Sensitivity (R,) at rates (R,) of false positives a scan; beyond its last point the curve stays level."""
        return np.interp(rates, self.fps_per_scan, self.sensitivity)

    def threshold_at(self, rates: Sequence[float] | FloatArray = RATES) -> FloatArray:
        """Scores (R,) to cut at so that at most `rates` (R,) false positives a scan remain."""
        return self.thresholds[np.searchsorted(self.fps_per_scan, rates, "right") - 1]

    @property
    def cpm(self) -> float:
        """Competition performance metric: mean sensitivity at the seven rates."""
        return float(self.at().mean())


def froc(
    nodules: Iterable[Nodule],
    candidates: Iterable[Candidate],
    series_uids: Sequence[str],
    excluded: Iterable[Nodule] = (),
    max_per_scan: int | None = MAX_PER_SCAN,
    bootstraps: int = 0,
    seed: int = 0,
) -> FrocResult:
    """The official LUNA16 FROC.

    Args:
        nodules: what should be found.
        candidates: what was found, in any order.
        series_uids: every scan looked at, each once, those without nodules too. What lies in other scans is left out.
        excluded: findings whose hits are ignored.
        max_per_scan: see `matching`; None counts all.
        bootstraps: draws of scans for the band; 1000 in the organisers' script, 0 for none.
        seed: of the draws.

    Raises:
        ValueError: a scan is listed twice, a score or a centre is not finite, or the scans hold no nodule.
    """
    matched, _ = _match(nodules, candidates, series_uids, excluded, max_per_scan)
    return score(matched, {ALL: np.ones(len(matched.nodule_scan), dtype=bool)}, bootstraps, seed)[ALL]


def stratified_froc(
    nodules: Iterable[Nodule],
    candidates: Iterable[Candidate],
    series_uids: Sequence[str],
    excluded: Iterable[Nodule] = (),
    max_per_scan: int | None = MAX_PER_SCAN,
    bootstraps: int = 0,
    seed: int = 0,
) -> dict[str, FrocResult]:
    """As `froc`, by group of nodules: `all`, `size < 6 mm`, ..., `texture solid`, ... (see `strata`).

    Texture is `Nodule.ratings["texture"]`; where no nodule has it there are no groups by texture.
    """
    matched, truth = _match(nodules, candidates, series_uids, excluded, max_per_scan)
    diameter = np.array([n.diameter_mm for n in truth])
    texture = np.array([n.ratings.get("texture", np.nan) for n in truth])
    groups = strata(diameter, texture if np.isfinite(texture).any() else None)
    return score(matched, {ALL: np.ones(len(truth), dtype=bool)} | flat(groups), bootstraps, seed)


def score(
    matched: Matched, groups: Mapping[str, BoolArray], bootstraps: int = 1000, seed: int = 0
) -> dict[str, FrocResult]:
    """A curve for each group of nodules, all against the same false positives and on the same draws.

    Hits on nodules outside the group count neither for nor against it.

    Args:
        matched: from `match`.
        groups: name to (N,) which nodules belong to it; none may be empty.
        bootstraps: draws of scans; 0 for none.
        seed: of the draws.

    Raises:
        ValueError: a group without nodules has no sensitivity.
    """
    for name, members in groups.items():
        if not members.any():
            raise ValueError(f"no nodules to find ({name}): sensitivity is undefined")
    thresholds, scans = _corners(matched), matched.n_scans
    false = _counts(thresholds, matched.false_score, matched.false_scan, scans)
    found = {
        name: _counts(thresholds, matched.nodule_score[hit], matched.nodule_scan[hit], scans)
        for name, hit in ((name, members & matched.found) for name, members in groups.items())
    }
    nodules = {name: np.bincount(matched.nodule_scan[m], minlength=scans) for name, m in groups.items()}
    spread = bands(false, found, nodules, bootstraps, seed) if bootstraps else {}
    once = np.ones((1, scans))
    fps = curves(once, false)[0] / scans
    return {
        name: FrocResult(
            fps_per_scan=fps,
            sensitivity=curves(once, found[name])[0] / members.sum(),
            thresholds=thresholds,
            n_scans=scans,
            n_nodules=int(members.sum()),
            band=spread.get(name),
        )
        for name, members in groups.items()
    }


def compare(first: FrocResult, second: FrocResult) -> Comparison:
    """Difference in CPM between two submissions, first minus second, on the same bootstrap draws.

    Raises:
        ValueError: the draws differ: other scans, seeds or numbers of draws, or no bootstrap at all.
    """
    a, b = first.band, second.band
    if a is None or b is None or first.n_scans != second.n_scans:
        raise ValueError("compare needs two bootstrapped results of the same scans")
    if a.seed != b.seed or len(a.cpm_draws) != len(b.cpm_draws):
        raise ValueError("compare needs the same seed and number of draws on both sides")
    differences = a.cpm_draws - b.cpm_draws
    low, high = interval(differences)
    method = f"bootstrap by scan, {len(differences)} draws, order statistics"
    difference = Estimate(first.cpm - second.cpm, float(low), float(high), first.n_scans, method)
    return Comparison(difference, p_value(differences))


def _match(
    nodules: Iterable[Nodule],
    candidates: Iterable[Candidate],
    series_uids: Sequence[str],
    excluded: Iterable[Nodule],
    max_per_scan: int | None,
) -> tuple[Matched, list[Nodule]]:
    """The outcome, and the nodules in its order: those of the listed scans."""
    if len(set(series_uids)) != len(series_uids):
        raise ValueError("series_uids must list each scan once")
    listed = set(series_uids)
    truth = [n for n in nodules if n.series_uid in listed]
    found = [c for c in candidates if c.series_uid in listed]
    ignored = [n for n in excluded if n.series_uid in listed]
    if not np.isfinite([c.score for c in found]).all():
        raise ValueError("scores of candidates must be finite")
    columns = (
        _columns(series_uids, truth, [n.diameter_mm for n in truth]),
        _columns(series_uids, found, [c.score for c in found]),
        _columns(series_uids, ignored, [n.diameter_mm for n in ignored]),
    )
    return match(*columns, len(series_uids), max_per_scan), truth


def _columns(series_uids: Sequence[str], items: Sequence[Nodule | Candidate], value: Sequence[float]) -> Points:
    centers = np.array([item.center_mm for item in items], dtype=np.float64).reshape(-1, 3)
    if not np.isfinite(centers).all():
        raise ValueError("centres must be finite")
    return points(series_uids, [item.series_uid for item in items], centers, value)[0]


def _corners(matched: Matched) -> FloatArray:
    """Thresholds (K,), inf first, falling, between which every curve of these scans is straight.

    Between two hits only false positives are added: the curve runs level, and its inner points can go.
    """
    hits = matched.nodule_score[matched.found]
    scores = np.unique(np.concatenate([hits, matched.false_score]))[::-1]
    is_hit = np.isin(scores, hits)
    before_hit = np.append(is_hit[1:], True)
    return np.concatenate([[np.inf], scores[is_hit | before_hit]])


def _counts(thresholds: FloatArray, scores: FloatArray, scans: IntArray, n_scans: int) -> sparse.csr_array:
    """(n_scans, K): how many of the marks of a scan each threshold adds."""
    place = np.searchsorted(-thresholds, -scores)
    return sparse.csr_array((np.ones(len(scores)), (scans, place)), shape=(n_scans, len(thresholds)))
