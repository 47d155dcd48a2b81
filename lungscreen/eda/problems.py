"""What is wrong or odd about a cohort, the worst first."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lungscreen.eda.facts import Cohort, NoduleFacts, ScanFacts
from lungscreen.eda.settings import LimitSettings

LEVELS = ("error", "warning", "note")
MOST_READERS = 4


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of problem.

    Attributes:
        level: error (data are lost or wrong), warning (look at it) or note (know it).
        code: its kind.
        what: in words.
        where: whom it concerns, each once, sorted.
    """

    level: str
    code: str
    what: str
    where: tuple[str, ...]


def problems(cohort: Cohort, limits: LimitSettings) -> list[Problem]:
    """All of them: errors, warnings, notes, each level by how many it concerns."""
    found = [*_intake(cohort), *_truth(cohort, limits), *_readers(cohort, limits), *_cohort(cohort, limits)]
    return sorted(found, key=lambda p: (LEVELS.index(p.level), -len(p.where), p.code))


def _intake(cohort: Cohort) -> Iterator[Problem]:
    """The intake's own findings."""
    refused: dict[str, list[ScanFacts]] = defaultdict(list)
    said: dict[str, list[str]] = defaultdict(list)
    sentences: dict[str, str] = {}
    for scan in cohort.scans:
        if scan.status != "ok":
            refused[scan.status].append(scan)
        for warning in scan.warnings:
            code, _, sentence = warning.partition(": ")
            said[code].append(scan.patient_id)
            sentences.setdefault(code, sentence)
    for reason, scans in refused.items():
        yield _problem("error", reason, f"refused: {scans[0].detail}", [s.patient_id for s in scans])
    for code, patients in said.items():
        yield _problem("warning", code, sentences[code], patients)


def _truth(cohort: Cohort, limits: LimitSettings) -> Iterator[Problem]:
    for fault in cohort.faults:
        code, _, sentence = fault.partition(": ")
        yield _problem("error", code, sentence, [""])
    uids = {scan.series_uid for scan in cohort.scans}
    checks: Sequence[tuple[str, str, str, Callable[[NoduleFacts], bool]]] = (
        ("error", "nodule_without_scan", "nodules of series that are not among the scans",
         lambda n: n.series_uid not in uids),
        ("error", "nodule_outside", "centres outside of the lung mask", lambda n: n.in_lungs is False),
        ("error", "nodule_size", f"diameters above {limits.most_mm:g} mm", lambda n: n.diameter_mm > limits.most_mm),
        ("note", "nodule_small", f"diameters below {limits.least_mm:g} mm", lambda n: n.diameter_mm < limits.least_mm),
        ("warning", "nodule_size_unknown", "nodules without a diameter", lambda n: math.isnan(n.diameter_mm)),
    )  # fmt: skip
    for level, code, what, is_odd in checks:
        odd = [n.patient_id for n in cohort.nodules if is_odd(n)]
        if odd:
            yield _problem(level, code, f"{what} ({len(odd)} nodules)", odd)
    doubles = [a.patient_id for a, _ in _doubles(cohort.nodules)]
    if doubles:
        yield _problem("warning", "nodule_twice", f"two nodules in one place ({len(doubles)} pairs)", doubles)


def _doubles(nodules: Iterable[NoduleFacts]) -> Iterator[tuple[NoduleFacts, NoduleFacts]]:
    """Pairs of a series whose centres lie nearer than the smaller one's radius."""
    by_series: dict[str, list[NoduleFacts]] = defaultdict(list)
    for nodule in nodules:
        if nodule.center_mm is not None:
            by_series[nodule.series_uid].append(nodule)
    for together in by_series.values():
        for k, a in enumerate(together):
            for b in together[k + 1 :]:
                apart = float(np.linalg.norm(np.subtract(a.center_mm, b.center_mm)))  # type: ignore[arg-type]
                if apart < min(a.diameter_mm, b.diameter_mm) / 2:
                    yield a, b


def _readers(cohort: Cohort, limits: LimitSettings) -> Iterator[Problem]:
    apart = [
        n.patient_id
        for n in cohort.nodules
        if (grades := n.ratings.get("malignancy")) and max(grades) - min(grades) >= limits.disagreement
    ]
    if apart:
        what = f"readers' malignancy differs by {limits.disagreement} or more ({len(apart)} nodules)"
        yield _problem("note", "readers_disagree", what, apart)
    crowded = [n.patient_id for n in cohort.nodules if n.n_readers > MOST_READERS]
    if crowded:
        what = f"neighbours that could not be told apart: more than {MOST_READERS} outlines in one nodule"
        yield _problem("warning", "crowded_outlines", f"{what} ({len(crowded)} nodules)", crowded)


def _cohort(cohort: Cohort, limits: LimitSettings) -> Iterator[Problem]:
    read = [scan for scan in cohort.scans if scan.status == "ok"]
    checks: Sequence[tuple[str, str, str, Callable[[ScanFacts], bool]]] = (
        ("warning", "slices_missing", f"the largest distance of slices is over {limits.uneven:g} times the usual one",
         lambda s: s.gap > limits.uneven),
        ("note", "thick_slices", f"slices thicker than {limits.thick_mm:g} mm",
         lambda s: s.thickness_mm > limits.thick_mm),
        ("note", "thickness_is_no_spacing", "slice thickness and distance of slices differ: overlaps or gaps",
         lambda s: abs(s.thickness_mm - s.slice_mm) > 0.01),
    )  # fmt: skip
    for level, code, what, is_odd in checks:
        odd = [scan.patient_id for scan in read if is_odd(scan)]
        if odd:
            yield _problem(level, code, f"{what} ({len(odd)} scans)", odd)
    several = [patient for patient, n in Counter(s.patient_id for s in read).items() if n > 1]
    if several:
        yield _problem("note", "several_scans", "patients with more than one scan: split by patient", several)
    yield from _labels(cohort)


def _labels(cohort: Cohort) -> Iterator[Problem]:
    if not cohort.labels:
        return
    without = [p for p in cohort.patients if p not in cohort.labels]
    if without:
        yield _problem("warning", "no_label", "patients without a label", without)
    foreign = sorted(set(cohort.labels) - set(cohort.patients))
    if foreign:
        yield _problem("warning", "label_without_scan", "labels of patients that have no scan here", foreign)
    known = {cohort.labels[p] for p in cohort.patients if p in cohort.labels}
    if len(known) == 1:
        yield _problem("warning", "one_class", f"every label is {known.pop()}: nothing can be measured", [""])


def _problem(level: str, code: str, what: str, where: Iterable[str]) -> Problem:
    return Problem(level, code, what, tuple(sorted({w for w in where if w})))
