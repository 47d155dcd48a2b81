"""What goes with malignancy, and what with cancer: effect sizes with intervals, p-values corrected for their number.

The effect is Cliff's delta, P(higher in the one group) - P(lower): 0 no difference, 1 or -1 complete separation; for a
feature that is yes or no it is the difference of the shares. It is 2 * AUC - 1, so its error is DeLong's. Nodules of
one patient are not independent: their interval and test are those for clustered data (Obuchowski 1997). Patients are,
and their test is Mann and Whitney's. All p-values of a page are one family: Holm 1979 (Scand J Statist 6:65).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from classification.metrics.delong import auc_delong, compare_auc_delong
from lungscreen.eda.facts import Cohort, NoduleFacts, ScanFacts
from lungscreen.eda.settings import CompareSettings
from runs.bootstrap import Array, Estimate

NODULE_RATINGS = ("spiculation", "lobulation", "margin", "sphericity", "texture", "subtlety")
NOT_CALCIFIED = 6


@dataclass(frozen=True, slots=True)
class Comparison:
    """One feature in two groups.

    Attributes:
        question: what is compared, in words.
        feature: its name.
        delta: Cliff's, with interval; None where it was not tested.
        medians: of the first (more suspicious) group and the second.
        counts: rows of the first group and the second.
        patients: behind them; both where a patient has rows in both.
        p_value: two-sided; NaN where not tested or not defined.
        p_holm: corrected; NaN where `p_value` is.
        note: why it was not tested.
    """

    question: str
    feature: str
    delta: Estimate | None
    medians: tuple[float, float]
    counts: tuple[int, int]
    patients: tuple[int, int]
    p_value: float
    p_holm: float = math.nan
    note: str = ""


def comparisons(cohort: Cohort, settings: CompareSettings) -> list[Comparison]:
    """All tests of a page, corrected together."""
    found = [*_malignancy(cohort, settings), *_cancer(cohort, settings)]
    corrected = holm([c.p_value for c in found])
    return [replace(c, p_holm=p) for c, p in zip(found, corrected, strict=True)]


def compare(
    question: str, feature: str, first: Array, values: Array, patients: Sequence[str], settings: CompareSettings
) -> Comparison:
    """One feature, rows without a value left out.

    Args:
        question, feature: for the reader.
        first: (n,) whether a row is of the first group.
        values: (n,) of the feature, NaN where unknown.
        patients: whose row it is.
        settings: which level, and from how many patients on.
    """
    known = ~np.isnan(values)
    first, values, who = first[known], values[known], np.asarray(patients, dtype=str)[known]
    counts = (int(first.sum()), int((~first).sum()))
    owners = (len(set(who[first])), len(set(who[~first])))
    middle = tuple(float(np.median(values[side])) if side.any() else math.nan for side in (first, ~first))
    medians = (middle[0], middle[1])
    if min(owners) < settings.least_patients:
        note = f"not tested: fewer than {settings.least_patients} patients in a group"
        return Comparison(question, feature, None, medians, counts, owners, math.nan, note=note)
    if np.ptp(values) == 0:
        return Comparison(question, feature, None, medians, counts, owners, math.nan, note="the same in every row")
    alone = len(set(who)) == len(who)
    area = auc_delong(first, values, None if alone else who, settings.level)
    # The interval of the area is cut at 0 and 1, which delta's -1 and 1 are.
    delta = Estimate(2 * area.value - 1, 2 * area.low - 1, 2 * area.high - 1, area.n, area.method)
    if alone:
        p_value = float(stats.mannwhitneyu(values[first], values[~first]).pvalue)
    else:
        p_value = compare_auc_delong(first, values, np.zeros(len(values)), who, settings.level).p_value
    return Comparison(question, feature, delta, medians, counts, owners, p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """Step-down: the k-th smallest of m times m - k + 1, never below an earlier one, at most 1; NaN stays."""
    defined = sorted((p, k) for k, p in enumerate(p_values) if not math.isnan(p))
    corrected = [math.nan] * len(p_values)
    worst = 0.0
    for rank, (p, k) in enumerate(defined):
        worst = max(worst, min(1.0, p * (len(defined) - rank)))
        corrected[k] = worst
    return corrected


def graded(cohort: Cohort, settings: CompareSettings) -> list[NoduleFacts]:
    """Rated nodules with enough readers, where the cohort has any with as many."""
    rated = [n for n in cohort.nodules if not math.isnan(n.rating("malignancy"))]
    wanted = min(settings.min_readers, max((n.n_readers for n in rated), default=0))
    return [n for n in rated if n.n_readers >= wanted]


def _malignancy(cohort: Cohort, settings: CompareSettings) -> Iterable[Comparison]:
    low, high = settings.benign_to, settings.suspicious_from
    chosen = [n for n in graded(cohort, settings) if not low < n.rating("malignancy") < high]
    if not chosen:
        return
    question = f"nodules rated {high:g} and more against those up to {low:g}"
    suspicious = np.array([n.rating("malignancy") >= high for n in chosen])
    patients = [n.patient_id for n in chosen]
    features: dict[str, Callable[[NoduleFacts], float]] = {"diameter (mm)": lambda n: n.diameter_mm}
    features |= {name: _rating(name) for name in NODULE_RATINGS}
    features["calcified"] = _calcified
    if any(n.upper is not None for n in chosen):
        features["in an upper lobe"] = lambda n: math.nan if n.upper is None else float(n.upper)
    features["in the upper third"] = lambda n: math.nan if n.place is None else float(n.place[2] >= 2 / 3)
    features["on the right"] = lambda n: math.nan if n.place is None else float(n.place[0] < 0.5)
    for name, value in features.items():
        values = np.array([value(n) for n in chosen], dtype=np.float64)
        yield compare(question, name, suspicious, values, patients, settings)


def _calcified(nodule: NoduleFacts) -> float:
    """The rating names kinds, 6 for none; yes where most readers saw some kind."""
    given = nodule.ratings.get("calcification", ())
    return float(np.mean([kind != NOT_CALCIFIED for kind in given]) > 0.5) if given else math.nan


def _rating(name: str) -> Callable[[NoduleFacts], float]:
    return lambda nodule: nodule.rating(name)


def _cancer(cohort: Cohort, settings: CompareSettings) -> Iterable[Comparison]:
    """One row a patient, the first of their scans; features of the scanner should make no difference."""
    scans: dict[str, ScanFacts] = {}
    for scan in cohort.scans:
        if scan.status == "ok" and scan.patient_id in cohort.labels:
            scans.setdefault(scan.patient_id, scan)
    if not scans:
        return
    sizes: dict[str, list[float]] = {}
    for nodule in cohort.nodules:
        if scans.get(nodule.patient_id) is not None and scans[nodule.patient_id].series_uid == nodule.series_uid:
            sizes.setdefault(nodule.patient_id, []).append(nodule.diameter_mm)
    features: dict[str, Callable[[ScanFacts], float]] = {
        "largest nodule (mm)": lambda s: float(np.nanmax([0.0, *sizes.get(s.patient_id, [])])),
        "number of nodules": lambda s: float(len(sizes.get(s.patient_id, []))),
        "lung volume (ml)": lambda s: s.lungs.volume_ml if s.lungs else math.nan,
        "share below -950 HU": lambda s: s.lungs.below_950 if s.lungs else math.nan,
        "slice thickness (mm)": lambda s: s.thickness_mm,
        "pixel (mm)": lambda s: s.pixel_mm,
    }
    cancer = np.array([cohort.labels[p] == 1 for p in scans])
    for name, value in features.items():
        values = np.array([value(s) for s in scans.values()], dtype=np.float64)
        yield compare("patients with cancer against those without", name, cancer, values, list(scans), settings)
