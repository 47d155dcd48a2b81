"""Which earlier scan a scan is compared with."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Scan, SeriesKind
from runs.entry import UsageError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Priors:
    """Earlier scans: those under `prior=`, and earlier studies of a patient among the scans themselves.

    Attributes:
        given: found under `prior=`; none of them refused.
        own: the scans of the run.
        days: from an earlier scan to a current one, whatever the dates say; None: the dates say it.
    """

    given: Sequence[Scan] = ()
    own: Sequence[Scan] = ()
    days: float | None = None

    def of(self, scan: Scan) -> tuple[Scan, float] | None:
        """The latest earlier scan of the patient and the days between, NaN where they are not known.

        Of its series an original one before a derived one, then the one with the most files. Those under `prior=`
        need no date, and with `days` given no earlier one (anonymised studies often share a date); those of the run
        need one, before the scan's.
        """
        possible = [p for p in self.given if p.patient_id == scan.patient_id and not self._later(p, scan)]
        if not self.given:
            possible = [p for p in self.own if self._is_earlier_study(p, scan)]
        elif len(self.given) == 1 and len(self.own) == 1:
            possible = [p for p in self.given if not self._later(p, scan)]
        if not possible:
            return None
        latest = max(p.study_date for p in possible)
        chosen = min((p for p in possible if p.study_date == latest), key=_order)
        return chosen, self._days(chosen, scan)

    @staticmethod
    def _is_earlier_study(prior: Scan, scan: Scan) -> bool:
        same = bool(scan.patient_id) and prior.patient_id == scan.patient_id and prior.study_uid != scan.study_uid
        return same and not prior.refused and bool(prior.study_date) and prior.study_date < scan.study_date

    def _later(self, prior: Scan, scan: Scan) -> bool:
        """Whether it is the scan itself, or the dates, where both have one and no days are given, forbid it."""
        if prior.paths == scan.paths:
            return True
        dated = self.days is None and bool(prior.study_date and scan.study_date)
        return dated and prior.study_date >= scan.study_date

    def _days(self, prior: Scan, scan: Scan) -> float:
        if self.days is not None:
            return self.days
        then, now = _date(prior.study_date), _date(scan.study_date)
        return float((now - then).days) if then and now and now > then else math.nan


def find_priors(path: Path | None, days: float | None, scans: Sequence[Scan]) -> Priors:
    """What is under `prior=` and among the scans of the run.

    Raises:
        FileNotFoundError: no such path.
        UsageError: nothing readable there, nothing of any patient of the run, or days without an earlier scan.
    """
    if path is None:
        if days is not None:
            raise UsageError("prior_days= says how long before the scan prior= was taken; there is no prior=")
        return Priors(own=scans)
    given = [scan for scan in find_scans(path) if not scan.refused]
    if not given:
        raise UsageError("prior= must hold at least one scan that can be read; all that was found there is refused")
    priors = Priors(given, scans, days)
    paired = sum(priors.of(scan) is not None for scan in scans)
    if not paired:
        raise UsageError(
            f"none of the {len(given)} scan(s) under prior= is an earlier one of a patient of the {len(scans)} "
            "scan(s) found: the patient ids must be the same (of image files, their names) and the dates earlier"
        )
    log.info("%d of %d scans have an earlier one", paired, len(scans))
    return priors


def _order(scan: Scan) -> tuple[int, int, str]:
    return list(SeriesKind).index(scan.kind), -len(scan.paths), scan.series_uid


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None
