"""Intervals of the FROC: each draw of scans is a cohort of its own, and two submissions share the draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detection.candidate import Candidate
from detection.froc.band import GRID
from detection.froc.curve import ALL, RATES, compare, score
from preprocessing.annotations import Nodule
from runs.bootstrap import multiplicities
from runs.seeds import stream
from tests.froc_cases import SIZES, Case, case, froc_of, matched_of


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
