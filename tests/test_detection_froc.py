"""The FROC on scans a radiologist can count by hand, and on the published submission whose digits are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detection.candidate import Candidate, read_candidates
from detection.froc.band import GRID
from detection.froc.curve import ALL, RATES, FrocResult, compare, froc, score, stratified_froc
from detection.froc.matching import Matched, Points, match, points
from preprocessing.annotations import Nodule, read_annotations
from runs.bootstrap import multiplicities
from runs.seeds import stream
from tests.froc_cases import Case, case

LUNA16 = Path(__file__).parents[2] / "shared/data/luna16"


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


def test_with_one_scan_every_draw_is_that_scan() -> None:
    result = froc_of(case(SIZES), bootstraps=20)
    assert result.band is not None
    low, high = result.band.at_rates
    assert low.tolist() == high.tolist() == result.at().tolist()
    assert result.band.cpm_interval == pytest.approx((result.cpm, result.cpm))


def test_with_two_scans_the_band_is_as_wide_as_it_gets() -> None:
    """One nodule found, one missed: a draw finds both (1 in 4), one (1 in 2) or neither (1 in 4)."""
    result = froc_of(case("A nodule 0 0 0 10\nA candidate 0 0 0 .9\nB nodule 0 0 0 10"), bootstraps=1000)
    assert result.band is not None
    assert [v.tolist() for v in result.band.at_rates] == [[0] * 7, [1] * 7]
    assert set(result.band.cpm_draws) == {0, 0.5, 1}
    assert result.band.mean.mean() == pytest.approx(0.5, abs=0.05)


def test_draws_without_any_nodule_are_left_out() -> None:
    """B holds no nodule: a quarter of the draws is B twice and has no sensitivity; all others find the nodule."""
    result = froc_of(case("A nodule 0 0 0 10\nA candidate 0 0 0 .9\nB nothing"), bootstraps=200)
    assert result.band is not None
    assert 20 < np.isnan(result.band.cpm_draws).sum() < 80
    assert result.band.cpm_band == result.band.cpm_interval == (1, 1)


def random_case(seed: int, n_scans: int = 12) -> Case:
    """Coarse scores, so that there are many ties; one scan in three without nodules."""
    rng = np.random.default_rng(seed)
    made = Case(scans=[f"scan-{i}" for i in range(n_scans)])
    for i, uid in enumerate(made.scans):
        for k in range(i % 3):
            made.nodules.append(Nodule(uid, (100.0 * k, 0.0, 0.0), 10.0))
        for x, s in zip(rng.choice([0.0, 100.0, 200.0, 300.0, 302.0], 6), rng.integers(1, 8, 6), strict=True):
            made.candidates.append(Candidate(uid, (x + rng.normal(0, 3), 0.0, 0.0), 5.0, s / 8))
        made.excluded.append(Nodule(uid, (300.0, 0.0, 0.0), float("nan")))
    return made


def test_each_draw_is_the_curve_of_the_scans_drawn() -> None:
    """Scans drawn twice are there twice, under two names; the plain FROC of such a cohort is the draw's."""
    cases = random_case(3)
    band = froc_of(cases, bootstraps=8, seed=5).band
    assert band is not None
    for draw, weights in enumerate(
        next(multiplicities(stream("detection.froc.curve.bootstrap", 5), len(cases.scans), 8, 8)).astype(int)
    ):
        drawn = Case()
        for uid, times in zip(cases.scans, weights, strict=True):
            for name in (f"{uid} #{k}" for k in range(times)):
                drawn.scans.append(name)
                for kind in ("nodules", "excluded", "candidates"):
                    items = [replace(i, series_uid=name) for i in getattr(cases, kind) if i.series_uid == uid]
                    getattr(drawn, kind).extend(items)
        assert froc_of(drawn).cpm == pytest.approx(band.cpm_draws[draw], abs=1e-12)


def test_order_does_not_matter_and_seeds_do() -> None:
    cases = random_case(1)
    turned = replace(cases, candidates=cases.candidates[::-1], excluded=cases.excluded[::-1])
    first, second = (froc_of(c, bootstraps=300) for c in (cases, turned))
    assert first.band is not None
    assert second.band is not None
    assert first.band.cpm_draws.tolist() == second.band.cpm_draws.tolist()
    other = froc_of(cases, bootstraps=300, seed=1).band
    assert other is not None
    assert other.cpm_draws.tolist() != first.band.cpm_draws.tolist()


def test_the_band_is_kept_at_the_seven_rates() -> None:
    assert GRID[::16].tolist() == list(RATES)


def test_a_submission_against_itself_and_against_a_better_one() -> None:
    """In each of four scans the first finds the nodule and the second does not: every draw says 1 to 0.

    p: no draw of 99 on the other side, with one added: 2 * 1 / 100.
    """
    found = case("\n".join(f"{s} nodule 0 0 0 10\n{s} candidate 0 0 0 .9" for s in "ABCD"))
    better, worse = froc_of(found, bootstraps=99), froc_of(replace(found, candidates=[]), bootstraps=99)
    outcome = compare(better, worse)
    between = outcome.difference
    assert (between.value, between.low, between.high, between.n) == (1, 1, 1, 4)
    assert outcome.p_value == pytest.approx(0.02)
    assert compare(worse, better).difference.value == -1
    same = compare(better, better)
    between = same.difference
    assert (between.value, between.low, between.high, same.p_value) == (0, 0, 0, 1)
    for wrong in (froc_of(found), froc_of(found, bootstraps=98), froc_of(found, bootstraps=99, seed=1)):
        with pytest.raises(ValueError, match="compare needs"):
            compare(better, wrong)


def test_groups_share_the_draws_of_the_whole() -> None:
    cases = random_case(2)
    matched = matched_of(cases)
    everyone = np.ones(len(cases.nodules), dtype=bool)
    results = score(matched, {ALL: everyone, "same": everyone}, 50)
    for result in results.values():
        assert result.band is not None
    assert results[ALL].band.low.tolist() == results["same"].band.low.tolist()  # type: ignore[union-attr]


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
