"""The figures of the exploration against values worked out by hand, from papers and from SciPy."""

import math

import numpy as np
import pytest
from scipy import stats

from lungscreen.eda.agreement import agreement, alpha, coincidences
from lungscreen.eda.comparisons import compare as compare_rows
from lungscreen.eda.comparisons import comparisons, graded, holm
from lungscreen.eda.facts import Cohort, NoduleFacts, ScanFacts
from lungscreen.eda.problems import problems
from lungscreen.eda.settings import CompareSettings, LimitSettings
from runs.bootstrap import Array

SETTINGS = CompareSettings(2.5, 3.5, min_readers=3, least_patients=2, bootstrap=50, level=0.95)
LIMITS = LimitSettings(least_mm=3.0, most_mm=100.0, disagreement=3, thick_mm=2.5, uneven=1.5)
# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C: four observers, twelve units.
OBSERVED = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
UNITS = [[float(v) for v in unit if v != "."] for unit in zip(*(row.split() for row in OBSERVED), strict=True)]


def nodule(patient: str, malignancy: tuple[float, ...], diameter: float = 8.0, series: str = "") -> NoduleFacts:
    return NoduleFacts(patient, series or f"s-{patient}", diameter, ratings={"malignancy": malignancy})


def cohort(
    scans: tuple[ScanFacts, ...] = (), nodules: tuple[NoduleFacts, ...] = (), labels: dict[str, int] | None = None
) -> Cohort:
    return Cohort("it", scans, nodules, labels or {}, "", "")


def compare(first: list[int], values: list[float], patients: list[str], settings: CompareSettings = SETTINGS):  # type: ignore[no-untyped-def]
    rows: Array = np.array(first, dtype=bool)
    return compare_rows("which", "what", rows, np.array(values, dtype=float), patients, settings)


@pytest.mark.parametrize(("scale", "value"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_that_of_the_paper(scale: str, value: float) -> None:
    table = sum(coincidences(unit, [1.0, 2.0, 3.0, 4.0, 5.0]) for unit in UNITS if len(unit) > 1)
    assert alpha(np.asarray(table), scale) == pytest.approx(value, abs=5e-4)


def test_agreement_counts_pairs_of_readers() -> None:
    found = agreement("malignancy", [(1, 1, 2), (5, 3), (4,)], ["a", "b", "c"], draws=20, level=0.95)
    assert found is not None
    # Pairs: 1-1, 1-2, 1-2 and 5-3; the last nodule has one reader.
    assert (found.pairs, found.same, found.near, found.alpha.n) == (4, 0.25, 0.75, 2)
    assert agreement("malignancy", [(4,)], ["c"], draws=20, level=0.95) is None
    kinds = agreement("calcification", [(6, 6), (3, 6)], ["a", "b"], draws=20, level=0.95)
    assert kinds is not None
    assert kinds.scale == "nominal"
    assert math.isnan(kinds.near)


def test_holm_by_hand() -> None:
    # Of four: .005 * 4, .01 * 3, .03 * 2, and .04 * 1 is raised to the one before it.
    assert holm([0.01, 0.04, 0.03, math.nan, 0.005]) == pytest.approx([0.03, 0.06, 0.06, math.nan, 0.02], nan_ok=True)
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_cliffs_delta_by_hand_and_its_test_by_scipy() -> None:
    # 3 > 1, 3 < 4, 4 > 1, 4 = 4: (2 - 1) of 4 pairs.
    small = compare([1, 1, 0, 0], [3, 4, 1, 4], ["a", "b", "c", "d"])
    assert small.delta.value == 0.25
    assert (small.medians, small.counts, small.patients) == ((3.5, 2.5), (2, 2), (2, 2))
    # Completely apart, three against three: 2 of the 20 orders are as extreme.
    apart = compare([1, 1, 1, 0, 0, 0], [4, 5, 6, 1, 2, 3], list("abcdef"))
    assert (apart.delta.value, apart.p_value) == (1.0, pytest.approx(0.1))


def test_rows_of_one_patient_are_no_more_than_that_patient() -> None:
    first, values = [1, 1, 1, 1, 0, 0, 0, 0], [3.0, 7, 5, 6, 2, 4, 1, 6.5]
    alone = compare(first, values, list("abcdefgh"))
    doubled = compare(first * 2, values * 2, list("abcdefgh") * 2)
    assert doubled.delta.value == alone.delta.value
    assert (doubled.delta.low, doubled.delta.high) == pytest.approx((alone.delta.low, alone.delta.high))
    error = (alone.delta.high - alone.delta.value) / stats.norm.ppf(0.975) if alone.delta.high < 1 else None
    low = (alone.delta.value - alone.delta.low) / stats.norm.ppf(0.975)
    assert error is None or error == pytest.approx(low)
    assert doubled.p_value == pytest.approx(2 * stats.norm.sf(alone.delta.value / low))


def test_of_a_yes_or_no_it_is_the_difference_of_shares() -> None:
    found = compare([1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 1, 0, 0, 0], list("abcdefgh"))
    assert found.delta.value == pytest.approx(3 / 4 - 1 / 4)


def test_too_few_patients_are_not_tested_however_many_rows() -> None:
    found = compare([1, 1, 1, 0, 0], [4, 5, 6, 1, 2], ["a", "a", "a", "b", "c"])
    assert (found.delta, found.note) == (None, "not tested: fewer than 2 patients in a group")
    assert math.isnan(found.p_value)
    assert compare([1, 1, 0, 0], [2, 2, 2, 2], list("abcd")).note == "the same in every row"
    unknown = compare([1, 1, 0, 0, 0], [3, 4, 1, 4, math.nan], list("abcde"))
    assert unknown.counts == (2, 2)


def test_nodules_between_the_groups_and_with_few_readers_are_left_out() -> None:
    rated = (nodule("a", (5, 4, 4)), nodule("b", (3, 3, 3)), nodule("c", (1, 1, 2)), nodule("d", (5, 5)))
    assert [n.patient_id for n in graded(cohort(nodules=rated), SETTINGS)] == ["a", "b", "c"]
    # Where nobody has three readers, one has to do.
    assert len(graded(cohort(nodules=(nodule("a", (5,)), nodule("b", (1,)))), SETTINGS)) == 2
    size = comparisons(cohort(nodules=rated), SETTINGS)[0]
    assert (size.feature, size.counts) == ("diameter (mm)", (1, 1))


def test_a_patient_counts_once_against_cancer() -> None:
    scans = tuple(ScanFacts(p, f"s-{p}", thickness_mm=t) for p, t in zip("abcd", (1, 1, 2, 3), strict=True))
    nodules = (nodule("a", (3,), 4.0), nodule("a", (3,), 9.0), nodule("b", (3,), 5.0), nodule("a", (3,), 50, "old"))
    found = comparisons(cohort((*scans, ScanFacts("a", "old")), nodules, dict(zip("abcd", (1, 1, 0, 0), strict=True))),
                        SETTINGS)  # fmt: skip
    by_name = {c.feature: c for c in found}
    assert by_name["largest nodule (mm)"].medians == (7.0, 0.0)
    assert by_name["number of nodules"].medians == (1.5, 0.0)
    assert by_name["slice thickness (mm)"].delta.value == -1.0  # type: ignore[union-attr]
    assert by_name["lung volume (ml)"].counts == (0, 0)


def test_problems_come_the_worst_first_with_whom_they_concern() -> None:
    scans = (
        ScanFacts("p1", "s-p1", "missing_slices", "3 slices are missing"),
        ScanFacts("p2", "s-p2", warnings=("noise: much of it",), thickness_mm=5.0, slice_mm=2.5, gap=2.0),
        ScanFacts("p2", "s-other", thickness_mm=1.0, slice_mm=1.0),
    )
    nodules = (
        nodule("p2", (1, 4), 2.0),
        NoduleFacts("p2", "s-p2", 150.0, center_mm=(0.0, 0.0, 0.0), in_lungs=False),
        NoduleFacts("p2", "s-p2", 9.0, center_mm=(1.0, 0.0, 0.0), in_lungs=True),
        nodule("x", (), math.nan),
    )
    found = problems(cohort(scans, nodules, {"p2": 1, "p9": 0}), LIMITS)
    codes = [problem.code for problem in found]
    assert codes[:4] == ["missing_slices", "nodule_outside", "nodule_size", "nodule_without_scan"]
    assert sorted(codes[4:-5]) == sorted(
        [
            "label_without_scan",
            "no_label",
            "nodule_size_unknown",
            "nodule_twice",
            "noise",
            "one_class",
            "slices_missing",
        ]
    )
    assert sorted(codes[-5:]) == [
        "nodule_small", "readers_disagree", "several_scans", "thick_slices", "thickness_is_no_spacing",
    ]  # fmt: skip
    assert {p.code: p.where for p in found}["nodule_without_scan"] == ("x",)
    assert problems(cohort((ScanFacts("a", "s", thickness_mm=1.0, slice_mm=1.0),)), LIMITS) == []
