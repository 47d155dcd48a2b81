"""A cohort that is stopped, parted, tried again: every scan has one record, and none is done twice for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from preprocessing.intake.scan import Reason, Scan, SeriesKind
from preprocessing.journal.folder import Journal
from preprocessing.journal.going import Cohort, go_through
from preprocessing.journal.record import Answer, Record, keys_of, record_of
from preprocessing.journal.settings import CohortSettings
from runs.entry import UsageError
from tests.fates import Working


class Run:
    """Goes through scans of these patients, whose files are one each."""

    def __init__(self, folder: Path, *patients: str) -> None:
        self.source, self.out, self.trace = folder / "in", folder / "out", folder / "out"
        for path in (self.source, self.out):
            path.mkdir()
        for name in patients:
            (self.source / name).write_text(name)
        self.patients, self.cleared, self.saved, self.decides = patients, 0, [""], {"detector": "tiny"}

    def scans(self) -> list[Scan]:
        return [Scan(name, f"uid of {name}", (self.source / name,)) for name in self.patients]

    def __call__(self, **options: object) -> dict[str, Record]:
        cohort = Cohort("detect", self.source, self.scans(), self.decides, self.out)
        settings = CohortSettings(**options)  # type: ignore[arg-type]
        done = go_through(cohort, Working(self.trace), settings, self.clear, self.save)
        return {record.scan.patient_id: record for record in done}

    def clear(self, out: Path) -> None:
        self.cleared += 1

    def save(self, records: Sequence[Record]) -> None:
        self.saved = [record.scan.patient_id for record in records]

    def times(self, name: str) -> int:
        return len(list(self.trace.glob(f"{name}-*")))


def test_a_record_is_read_back_as_it_was() -> None:
    scan = Scan("p\udcff", "1.2", (Path("a"), Path("b")), None, "", ("w: x",), "3.4", "20200101", SeriesKind.DERIVED)
    answer = Answer(("w: x",), {"n": [0.1, float("inf")]}, ("a.png",), {"detector": "d"})
    read = record_of(Record("k", 5, scan, "seen", answer).to_json())
    assert (read.key, read.place, read.seen, read.answer) == ("k", 5, "seen", read.answer)
    assert (read.scan.patient_id, len(read.scan.paths), read.scan.kind) == ("p\udcff", 2, SeriesKind.DERIVED)
    assert read.answer is not None
    assert (read.answer.found, read.answer.files, read.answer.warnings) == (answer.found, ("a.png",), ("w: x",))


def test_scans_that_look_alike_have_keys_of_their_own() -> None:
    same = Scan("p", "", ())
    assert len(set(keys_of([same, same, Scan("", "p", ())]))) == 3


def test_the_shards_hold_every_scan_once_whatever_the_order(tmp_path: Path) -> None:
    run = Run(tmp_path, *"abcdefgh")
    parts = {}
    for number in (1, 2, 3):
        run.out = tmp_path / f"out{number}"
        run.patients = run.patients[::-1]
        parts[number] = set(run(shard=f"{number}/3", workers=0))
    assert sorted(name for part in parts.values() for name in part) == list("abcdefgh")
    assert all(parts.values())


def test_what_is_done_stays_done_until_its_files_change(tmp_path: Path) -> None:
    run = Run(tmp_path, "a", "b", "bad", "c")
    done = run()
    assert [r.scan.refused for r in done.values()] == [None, None, Reason.TRUNCATED, None]
    assert run.saved == ["a", "b", "bad", "c"]
    run()
    assert [run.times(name) for name in run.patients] == [1, 1, 1, 1]
    (run.source / "a").write_text("A")
    (run.trace / "b.png").unlink()
    Journal(run.out).folder.joinpath(f"{keys_of(run.scans())[3]}.json").write_text("{")
    assert list(run()) == ["a", "b", "bad", "c"]
    assert [run.times(name) for name in run.patients] == [2, 2, 1, 2]
    assert run.cleared == 1
    run(retry="all")
    assert [run.times(name) for name in run.patients] == [3, 3, 2, 3]


def test_other_settings_replace_a_plain_run_and_are_refused_for_a_shard(tmp_path: Path) -> None:
    run = Run(tmp_path, "a")
    run()
    run.decides = {"detector": "large"}
    run()
    assert (run.cleared, run.times("a")) == (2, 2)
    with pytest.raises(UsageError, match="shard: none, 1/1"):
        run(shard="1/1", workers=0)
    run(shard="1/1", workers=0, retry="all")
    run.decides = {"detector": "tiny"}
    with pytest.raises(UsageError, match=r"another run \(detector: large, tiny\)"):
        run(shard="1/1", workers=0)


@pytest.mark.slow
def test_a_scan_that_ends_its_process_is_recorded_and_the_rest_goes_on(tmp_path: Path) -> None:
    run = Run(tmp_path, "dies1", "dies9", "hangs", "a")
    done = run(workers=1, scan_minutes=0.05, tries=2)
    assert {name: r.scan.refused for name, r in done.items()} == {
        "dies1": None, "dies9": Reason.WORKER_DIED, "hangs": Reason.TIME_LIMIT, "a": None,
    }  # fmt: skip
    assert [run.times(name) for name in run.patients] == [2, 2, 1, 1]
    assert done["dies9"].scan.detail.endswith("ended by SIGKILL, as for want of memory")
    assert "2 time(s)" in done["dies9"].scan.detail
    assert done["hangs"].scan.detail == "the work on it took more than 3 s"


def test_only_own_failures_are_tried_again(tmp_path: Path) -> None:
    run = Run(tmp_path, "broken", "bad", "a")
    assert run()["broken"].scan.refused == Reason.INTERNAL_ERROR
    assert run()["broken"].scan.refused == Reason.INTERNAL_ERROR
    done = run(retry="failed")
    assert done["broken"].scan.refused is None
    assert [run.times(name) for name in run.patients] == [2, 1, 1]


def test_a_run_that_was_killed_knows_what_it_was_at(tmp_path: Path) -> None:
    """A mark without a record is what a killed run leaves."""
    run = Run(tmp_path, "a", "b")
    journal = Journal(run.out)
    run()
    for key, times in zip(keys_of(run.scans()), (2, 3), strict=True):
        (journal.folder / f"{key}.json").unlink()
        for _ in range(times):
            journal.mark(key)
    done = run()
    assert {name: r.scan.refused for name, r in done.items()} == {"a": None, "b": Reason.WORKER_DIED}
    assert (run.times("a"), run.times("b")) == (2, 1)
    assert "3 time(s), with the whole run each time" in done["b"].scan.detail
    assert run(retry="failed")["b"].scan.refused is None


def test_a_run_that_is_told_to_stop_blames_no_scan(tmp_path: Path) -> None:
    run = Run(tmp_path, "a", "stops", "b")
    with pytest.raises(KeyboardInterrupt):
        run()
    assert run.saved == ["a"]
    assert not list(Journal(run.out).folder.glob("*.begun"))
    assert list(run()) == ["a", "stops", "b"]
    assert [run.times(name) for name in run.patients] == [1, 2, 1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"retry": "some"}, "retry= must be one of none, failed, all; got some"),
        ({"scan_minutes": 1.0}, "needs processes"),
        ({"scan_minutes": -1.0, "workers": 1}, "over 0"),
        ({"tries": 0}, "tries must be at least 1"),
        ({"workers": -1}, "workers must be at least 0"),
        ({"shard": "4/3"}, "part as 3/16"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        CohortSettings(**options)  # type: ignore[arg-type]
