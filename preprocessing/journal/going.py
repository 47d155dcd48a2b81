"""Go through a cohort with a journal: all or a part of it, past scans that end their process, killed and gone on."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from preprocessing.cohort import attempt
from preprocessing.intake.scan import Reason, Scan
from preprocessing.journal.folder import Identity, Journal
from preprocessing.journal.record import Answer, Record, cohort_digest, digest_of, keys_of, record_of, seen_of
from preprocessing.journal.settings import CohortSettings, Retry
from runs.isolated import Lost, isolated
from runs.lock import held

log = logging.getLogger(__name__)

Work = Callable[[Scan], Answer]
Save = Callable[[Sequence[Record]], None]
# What may go better another time: nothing is known to be wrong with the files.
OWN_FAILURES = (Reason.WORKER_DIED, Reason.TIME_LIMIT, Reason.INTERNAL_ERROR, Reason.UNREADABLE)
# Tables are written whole: not after every scan of thousands, and never for most of the time.
SAVE_SECONDS = 20.0
SAVE_SHARE = 0.05
# A shard that is started elsewhere after its process was killed: how long that one may take to be gone.
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """What is to be done.

    Attributes:
        command: `detect` or `classify`.
        source: what the scans were found under.
        scans: all of them.
        decides: all settings that decide the results, by name.
        out: folder of results.
    """

    command: str
    source: Path
    scans: Sequence[Scan]
    decides: Mapping[str, str]
    out: Path


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A scan as it is handed out."""

    key: str
    place: int
    scan: Scan
    seen: str

    def record(self, scan: Scan, answer: Answer | None = None) -> Record:
        return Record(self.key, self.place, scan, self.seen, answer)


@dataclass(frozen=True)
class _Attempts:
    """Made in the process that works: its answer to a job is a scan with its state, and what it came to."""

    start: Callable[[], Work]

    def __call__(self) -> Callable[[_Job], tuple[Scan, Answer | None]]:
        work = self.start()

        def judged(job: _Job) -> tuple[Scan, Answer | None]:
            said: list[Answer] = []

            def heard(scan: Scan) -> tuple[str, ...]:
                said.append(work(scan))
                return said[0].warnings

            scan = attempt(job.scan, heard)
            return scan, None if scan.refused else said[0]

        return judged


def go_through(
    cohort: Cohort, start: Callable[[], Work], settings: CohortSettings, clear: Callable[[Path], None], save: Save
) -> list[Record]:
    """Work on every scan of the part that is asked for, and leave a record of each.

    Args:
        cohort: what is to be done.
        start: called in each process that works, makes what works on a scan there; can be pickled.
        settings: which part, and how.
        clear: takes the results of another run out of the folder.
        save: writes the tables of all records so far; called now and then, at the end, and when the run is stopped.

    Returns:
        A record for each scan of the part, in the order of the cohort.

    Raises:
        UsageError: the folder holds results that are not to be replaced, or another process works there.
    """
    with held(cohort.out, PATIENCE_SECONDS if settings.shard else 0.0), _stoppable():
        journal = Journal(cohort.out)
        jobs = _jobs(cohort, settings)
        identity = Identity(
            cohort.command, settings.shard or "", cohort_digest(cohort.scans), len(cohort.scans), len(jobs),
            cohort.decides,
        )  # fmt: skip
        if settings.retry == Retry.ALL or not journal.belongs_to(identity):
            clear(cohort.out)
            journal.begin(identity)
        return _Going(cohort.out, journal, settings, save).through(jobs, start)


class _Going:
    """One run through the jobs of a part."""

    def __init__(self, out: Path, journal: Journal, settings: CohortSettings, save: Save) -> None:
        self.out, self.journal, self.settings, self.save = out, journal, settings, save
        self.done: dict[str, Record] = {}
        self.running: set[str] = set()
        self.next_save = time.monotonic() + SAVE_SECONDS

    def through(self, jobs: Sequence[_Job], start: Callable[[], Work]) -> list[Record]:
        open_jobs = deque(job for job in jobs if not self._is_settled(job))
        limit = self.settings.scan_minutes
        answers = isolated(
            open_jobs, _Attempts(start), self.settings.processes, None if limit is None else 60 * limit, self._begin
        )
        try:
            with closing(answers), tqdm(desc="scans", unit="scan", delay=1, total=len(jobs)) as bar:
                bar.update(len(self.done))
                for job, said in answers if open_jobs else ():
                    self._take(job, said, open_jobs)
                    bar.update(len(self.done) - bar.n)
                    self._save_now_and_then()
        finally:
            for key in self.running:
                self.journal.unmark(key)
            self.save(self._in_order())
        return self._in_order()

    def _is_settled(self, job: _Job) -> bool:
        """Whether there is nothing to do for a scan; its record is then among those done."""
        again = self.settings.retry == Retry.FAILED
        found = self.journal.load(job.key)
        if found is not None and found.seen == job.seen and self._stands(found, again):
            self.done[job.key] = replace(found, place=job.place)
            return True
        if job.scan.refused:
            self._keep(job.record(job.scan))
            return True
        if again:
            self.journal.forget(job.key)
        if self.journal.begun(job.key) < self.settings.tries:
            return False
        self._keep(job.record(self._died(job.scan, "with the whole run each time")))
        return True

    def _stands(self, found: Record, again: bool) -> bool:
        if found.answer is None:
            return not (again and found.scan.refused in OWN_FAILURES)
        return all((self.out / name).is_file() for name in found.answer.files)

    def _begin(self, job: _Job) -> None:
        self.journal.mark(job.key)
        self.running.add(job.key)

    def _take(self, job: _Job, said: tuple[Scan, Answer | None] | Lost, open_jobs: deque[_Job]) -> None:
        self.running.discard(job.key)
        if not isinstance(said, Lost):
            self._keep(job.record(*said))
        elif said.too_long:
            detail = f"the work on it {said.how}"
            self._keep(job.record(replace(job.scan, refused=Reason.TIME_LIMIT, detail=detail)))
        elif self.journal.begun(job.key) < self.settings.tries:
            log.warning("a scan was lost: %s; it is tried again", said.how)
            open_jobs.append(job)
        else:
            self._keep(job.record(self._died(job.scan, said.how)))

    def _died(self, scan: Scan, how: str) -> Scan:
        detail = f"the work on it ended its process {self.settings.tries} time(s), {how}"
        return replace(scan, refused=Reason.WORKER_DIED, detail=detail)

    def _keep(self, record: Record) -> None:
        self.journal.keep(record)
        # As it will be read back: tables of a run that was not interrupted say the same to the last digit.
        self.done[record.key] = record_of(record.to_json())

    def _save_now_and_then(self) -> None:
        began = time.monotonic()
        if began < self.next_save:
            return
        self.save(self._in_order())
        ended = time.monotonic()
        self.next_save = ended + max(SAVE_SECONDS, (ended - began) / SAVE_SHARE)

    def _in_order(self) -> list[Record]:
        return sorted(self.done.values(), key=lambda record: record.place)


def _jobs(cohort: Cohort, settings: CohortSettings) -> list[_Job]:
    part = settings.part()
    listed = enumerate(zip(keys_of(cohort.scans), cohort.scans, strict=True))
    mine = [(key, place, scan) for place, (key, scan) in listed if part.holds(scan.patient_id)]
    # What is said of a scan may come of others of the same patient: an earlier one, a second study.
    seen: dict[str, list[str]] = {}
    for _, _, scan in mine:
        seen.setdefault(scan.patient_id, []).append(seen_of(scan, cohort.source))
    digests = {patient: digest_of(each) for patient, each in seen.items()}
    return [_Job(key, place, scan, digests[scan.patient_id]) for key, place, scan in mine]


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM, as a cluster sends it before it takes the node away, stops a run as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
