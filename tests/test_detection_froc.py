"""The FROC on scans a radiologist can count by hand, and on the published submission whose digits are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detection.candidate import read_candidates
from detection.froc.curve import ALL, froc, stratified_froc
from preprocessing.annotations import read_annotations
from tests.froc_cases import SIZES, case, froc_of, matched_of

LUNA16 = Path(__file__).parents[2] / "shared/data/luna16"


# Each case: the table; true positives, false positives, misses, ignored on excluded findings, doubles; and the
# sensitivity at 1/8, 1/4, 1/2, 1, 2, 4, 8 false positives a scan. All counted by hand.
BY_HAND = {
    "nothing missed and no false positive": (
        """
        A  nodule       0    0    0   10
        A  candidate    1    0    0   .9   hit
        B  nodule     -40   20  -99    8
        B  candidate  -40   22  -99   .3   hit: 2 mm off, radius 4 mm
        """,
        (2, 0, 0, 0, 0),
        [1, 1, 1, 1, 1, 1, 1],
    ),
    "nothing found": (
        """
        A  nodule       0    0    0   10
        A  candidate   20    0    0   .9   false: 20 mm off
        B  nodule       0    0    0   10
        """,
        (0, 1, 2, 0, 0),
        [0, 0, 0, 0, 0, 0, 0],
    ),
    "no candidate at all": (
        """
        A  nodule       0    0    0   10
        B  nothing
        """,
        (0, 0, 1, 0, 0),
        [0, 0, 0, 0, 0, 0, 0],
    ),
    "a candidate inside two nodules finds both": (
        """
        A  nodule       0    0    0   10
        A  nodule       6    0    0   10
        A  candidate    3    0    0   .9   3 mm from either, radius 5 mm
        """,
        (2, 0, 0, 0, 0),
        [1, 1, 1, 1, 1, 1, 1],
    ),
    # One false positive in two scans is half a false positive a scan; it scores higher than the hit.
    "a scan without nodules counts in the denominator": (
        """
        A  nodule       0    0    0   10
        A  candidate    0    0    0   .8   hit
        B  candidate    0    0    0   .9   false: nothing there
        """,
        (1, 1, 0, 0, 0),
        [0, 0, 1, 1, 1, 1, 1],
    ),
    # The best of the two hits stands before the false positive: found at once. By the other it would be found after.
    "a double counts nowhere, the best hit counts": (
        """
        A  nodule       0    0    0   10
        A  candidate    1    0    0   .4   hit again: a double
        A  candidate    0    2    0   .9   hit
        A  candidate   30    0    0   .6   false
        """,
        (1, 1, 0, 0, 1),
        [1, 1, 1, 1, 1, 1, 1],
    ),
    # An unknown diameter is 10 mm. Without the list the first two candidates would be false, before the hit.
    "hits on excluded findings are ignored": (
        """
        A  nodule       0    0    0   10
        A  excluded    30    0    0    ?   radius 5 mm
        A  excluded    33    0    0   20   radius 10 mm, overlaps the other
        A  excluded     1    0    0   10   lies over the nodule
        A  candidate   34    0    0   .9   ignored, once: in both findings
        A  candidate   42    0    0   .8   ignored: 9 mm from the second
        A  candidate    0    0    0   .7   hit: the nodule comes first
        """,
        (1, 0, 0, 2, 0),
        [1, 1, 1, 1, 1, 1, 1],
    ),
    # Hit and false positive come together: the curve is the straight line from (0, 0) to (1, 1).
    "a hit and a false positive of the same score": (
        """
        A  nodule       0    0    0   10
        A  candidate    0    0    0   .5   hit
        A  candidate   30    0    0   .5   false
        """,
        (1, 1, 0, 0, 0),
        [0.125, 0.25, 0.5, 1, 1, 1, 1],
    ),
    # The distance must be smaller than the radius. The false positives of A come first: one, in two scans.
    "exactly on the border is outside": (
        """
        A  nodule       0    0    0   10
        A  candidate    3    4    0   .9   false: 5 mm off, radius 5 mm
        B  nodule       0    0    0   10
        B  candidate    3  3.9    0   .8   hit: 4.92 mm off
        """,
        (1, 1, 1, 0, 0),
        [0, 0, 0.5, 0.5, 0.5, 0.5, 0.5],
    ),
    "the same place in another scan is no hit": (
        """
        A  nodule       0    0    0   10
        B  candidate    0    0    0   .9   false
        """,
        (0, 1, 1, 0, 0),
        [0, 0, 0, 0, 0, 0, 0],
    ),
    # Two scans, two nodules. False positives a scan, sensitivity: .9 -> 0.5, 0; .8 -> 0.5, 0.5; .7 -> 1, 0.5;
    # .6 -> 1.5, 1 (together, so a slope); .5 -> 2, 1.
    "a curve with steps, a level and a slope": (
        """
        A  candidate   90    0    0   .9   false
        A  nodule       0    0    0   10
        A  candidate    0    0    0   .8   hit
        A  candidate   80    0    0   .7   false
        B  candidate   90    0    0   .6   false
        B  nodule       0    0    0   10
        B  candidate    0    0    0   .6   hit
        B  candidate   80    0    0   .5   false
        """,
        (2, 4, 0, 0, 0),
        [0, 0, 0.5, 0.5, 1, 1, 1],
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_counted_by_hand(name: str) -> None:
    table, counts, sensitivity = BY_HAND[name]
    cases = case(table)
    matched = matched_of(cases)
    found = int(matched.found.sum())
    misses = len(cases.nodules) - found
    assert (found, len(matched.false_scan), misses, matched.on_excluded, matched.doubles) == counts
    result = froc_of(cases)
    assert result.at().tolist() == pytest.approx(sensitivity)
    assert result.cpm == pytest.approx(sum(sensitivity) / 7)
    assert (result.n_scans, result.n_nodules) == (len(cases.scans), len(cases.nodules))


def test_the_curve_itself() -> None:
    result = froc_of(case(BY_HAND["a curve with steps, a level and a slope"][0]))
    assert result.thresholds.tolist() == [np.inf, 0.9, 0.8, 0.7, 0.6, 0.5]
    assert result.fps_per_scan.tolist() == [0, 0.5, 0.5, 1, 1.5, 2]
    assert result.sensitivity.tolist() == [0, 0, 0.5, 0.5, 1, 1]
    assert result.at([1.25]) == pytest.approx(0.75)  # half way up the slope from 0.5 to 1
    assert result.threshold_at([0.4, 0.5, 1, 1.4, 100]).tolist() == [np.inf, 0.8, 0.7, 0.7, 0.5]


# The organisers keep what scores above the first candidate that does not fit: ties with it go too.
#   scores .9 .8 .7 .6, two fit: the third scores .7, so .9 and .8 stay
#   scores .9 .8 .8 .6, two fit: the third scores .8, so only .9 stays, and one .8 goes by the tie alone
#   scores .9 .8, two fit: nothing goes
@pytest.mark.parametrize(
    ("scores", "left", "lost_to_ties"), [("9876", 2, 0), ("9886", 1, 1), ("98", 2, 0), ("8888", 0, 2)]
)
def test_at_most_n_candidates_a_scan(scores: str, left: int, lost_to_ties: int) -> None:
    rows = "".join(f"\nA candidate {20 * i} 0 0 .{digit}" for i, digit in enumerate(scores))
    matched = matched_of(case(f"A nodule 500 0 0 10{rows}"), max_per_scan=2)
    assert len(matched.false_scan) == left
    assert matched.over_cap == len(scores) - left
    assert matched.lost_to_ties == lost_to_ties
    assert matched_of(case(f"A nodule 500 0 0 10{rows}"), max_per_scan=None).over_cap == 0


def test_a_scan_full_of_candidates_does_not_cut_the_others() -> None:
    cases = case("A nodule 0 0 0 10\nA candidate 0 0 0 .1\nB candidate 0 0 0 .9\nB candidate 9 0 0 .8")
    assert matched_of(cases, max_per_scan=1).found.tolist() == [True]


def test_what_lies_outside_the_listed_scans_does_not_count() -> None:
    cases = case(BY_HAND["nothing found"][0] + "\nC nodule 0 0 0 10\nC candidate 0 0 0 .9\nC candidate 50 0 0 .9")
    cases.scans.remove("C")
    assert froc_of(cases).n_nodules == 2
    assert froc_of(cases).cpm == 0


def test_what_has_no_answer_is_refused() -> None:
    good = case(BY_HAND["nothing found"][0])
    with pytest.raises(ValueError, match="no nodules"):
        froc([], good.candidates, good.scans)
    with pytest.raises(ValueError, match="once"):
        froc(good.nodules, good.candidates, ["A", "B", "A"])
    with pytest.raises(ValueError, match="finite"):
        froc(good.nodules, [replace(good.candidates[0], score=float("nan"))], good.scans)
    with pytest.raises(ValueError, match="finite"):
        froc(good.nodules, [replace(good.candidates[0], center_mm=(0.0, float("inf"), 0.0))], good.scans)


def test_by_size_and_texture() -> None:
    cases = case(SIZES)
    rated = [
        replace(n, ratings={} if r is None else {"texture": r})
        for n, r in zip(cases.nodules, (1, 3, None), strict=True)
    ]
    results = stratified_froc(rated, cases.candidates, cases.scans)
    after_one, never, at_once = [0, 0, 0, 1, 1, 1, 1], [0] * 7, [1] * 7
    assert {name: result.at().tolist() for name, result in results.items() if name != ALL} == {
        "size < 6 mm": never,
        "size 6-8 mm": after_one,  # the lower edge belongs to the group
        "size >= 15 mm": at_once,
        "texture non-solid": never,
        "texture part-solid": after_one,
        "texture unknown": at_once,
    }
    assert results[ALL].at().tolist() == pytest.approx([1 / 3] * 3 + [2 / 3] * 4)
    assert [results[n].n_nodules for n in (ALL, "size < 6 mm")] == [3, 1]
    assert not [name for name in stratified_froc(cases.nodules, [], cases.scans) if name.startswith("texture")]


def luna16(name: str) -> Path:
    path = LUNA16 / name
    if not path.exists():
        pytest.skip(f"needs shared/data/luna16/{name}")
    return path


def test_the_organisers_digits_from_nodules_and_candidates() -> None:
    """The published DeepLung submission; digits of the organisers' script (sensitivities, CPM, 1,000-draw band)."""
    found = read_candidates(luna16("submission_deeplung_dpn26.csv"))
    result = froc(
        read_annotations(luna16("annotations.csv")),
        [c for of_scan in found.values() for c in of_scan],
        luna16("seriesuids.csv").read_text().split(),
        read_annotations(luna16("annotations_excluded.csv")),
        bootstraps=1000,
    )
    assert [f"{v:.4f}" for v in result.at()] == ["0.6922", "0.7690", "0.8238", "0.8651", "0.8929", "0.9174", "0.9334"]
    assert f"{result.cpm:.4f}" == "0.8420"
    assert (result.n_scans, result.n_nodules) == (888, 1186)
    assert result.band is not None
    assert result.band.cpm_band == pytest.approx((0.811, 0.871), abs=0.003)
