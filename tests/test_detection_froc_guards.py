"""Every protocol mistake, made on purpose, is caught by its name; the same cohort without it passes in silence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from detection.evaluate import evaluate
from detection.froc.guards import Guard, judge
from preprocessing.luna16.files import series_column
from runs.guards import GuardError
from tests.froc_mistakes import ANNOTATIONS, CANDIDATES, SERIES, STOPPING, WARNING, good, uid, written


def test_without_a_mistake_no_guard_speaks(tmp_path: Path) -> None:
    report = evaluate(replace(written(tmp_path, good()), strict=True))
    assert report.cautions == []
    assert report.scored.matched.found.all()


@pytest.mark.parametrize("mistake", STOPPING)
def test_a_mistake_stops(tmp_path: Path, mistake: str) -> None:
    guard, make = STOPPING[mistake]
    with pytest.raises(GuardError) as stopped:
        evaluate(written(tmp_path, make(good())))
    assert stopped.value.guard is guard
    assert str(stopped.value).startswith(f"{guard}: ")
    assert "\n" not in str(stopped.value)


@pytest.mark.parametrize("mistake", WARNING)
def test_a_mistake_warns_and_stops_when_strict(tmp_path: Path, mistake: str) -> None:
    guard, make = WARNING[mistake]
    settings = written(tmp_path, make(good()))
    report = evaluate(settings)
    assert [caution.guard for caution in report.cautions] == [guard]
    with pytest.raises(GuardError) as stopped:
        evaluate(replace(settings, strict=True))
    assert stopped.value.guard is guard
    assert evaluate(replace(settings, strict=True, allow=(str(guard),))).cautions == report.cautions


def test_every_guard_is_tried() -> None:
    assert {guard for guard, _ in (*STOPPING.values(), *WARNING.values())} == set(Guard)


def test_an_allowed_guard_warns(tmp_path: Path) -> None:
    _, make = STOPPING["RAS"]
    report = evaluate(replace(written(tmp_path, make(good())), allow=("coordinates_ras",)))
    assert [c.guard for c in report.cautions] == [Guard.COORDINATES_RAS]
    assert report.scored.all.cpm == 0


@pytest.mark.parametrize("name", ["coordinates-ras", "missing_columns"])
def test_only_guards_that_can_be_allowed_are(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        judge([], allow=[name])


def test_messages_say_where(tmp_path: Path) -> None:
    for mistake, words in (
        ("a score that is a word", "candidates.csv: probability in line 4 is 'high'"),
        ("a score column of another name", "missing: probability; the first line has seriesuid,coordX,coordY,coordZ,"),
        (
            "one id of many cut off",
            f"candidates.csv: 1 series ids are pieces of listed ids: {uid(7)[:50]!r} of {uid(7)!r}",
        ),
        ("RAS", "0 of 20 nodules are hit as given, 20 with x and y negated"),
    ):
        with pytest.raises(GuardError) as stopped:
            evaluate(written(tmp_path, STOPPING[mistake][1](good())))
        assert words in str(stopped.value)


def test_a_perfect_detector_is_not_suspected(tmp_path: Path) -> None:
    """No candidate in nodule-free scans is what it should be, as long as there is no false positive elsewhere."""
    tables = good()
    tables[CANDIDATES] = tables[CANDIDATES][tables[CANDIDATES]["probability"] == 0.9]
    assert evaluate(written(tmp_path, tables)).cautions == []


def test_a_file_with_a_heading_only_finds_nothing(tmp_path: Path) -> None:
    tables = good()
    tables[CANDIDATES] = tables[CANDIDATES].head(0)
    report = evaluate(replace(written(tmp_path, tables), bootstraps=10))
    assert (report.scored.all.cpm, report.cautions) == (0, [])


@pytest.mark.parametrize("content", [b"", b"\n", b"a;b\n1;2\n", b'seriesuid,coordX\n"1.2,3\n', b"\xff\xfe\x00"])
def test_what_is_no_csv_is_refused(tmp_path: Path, content: bytes) -> None:
    settings = written(tmp_path, good())
    settings.candidates.write_bytes(content)
    with pytest.raises(ValueError):  # noqa: PT011, each in its own words
        evaluate(settings)


def test_one_fold_against_the_full_excluded_list(tmp_path: Path) -> None:
    tables = good()
    tables[SERIES] = tables[SERIES].head(10)
    fold = set(tables[SERIES][0])
    for name in (CANDIDATES, ANNOTATIONS):
        tables[name] = tables[name][tables[name]["seriesuid"].isin(fold)]
    assert evaluate(written(tmp_path, tables)).cautions == []


def test_the_list_of_scans_may_have_a_heading(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfseriesuid\r\n1.2\r\n\r\n1.3,more\r\n")
    assert series_column(tmp_path / "a.csv") == ["1.2", "1.3"]
