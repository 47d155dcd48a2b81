"""NLST: cancer within a year of a screen, out of the trial's participant table (`nlst_prsn`).

The columns are those of the Cancer Data Access System's dictionary of the participant data set: `pid`; `scr_days0`,
`scr_days1`, `scr_days2`, days from randomisation to each screen; `candx_days`, days to the diagnosis of lung cancer;
`fup_days`, days of follow-up. The Imaging Data Commons serve the table without `fup_days`: `canc_free_days`, days to
when a participant was last known to be free of lung cancer, stands in. A negative number, an empty cell and SAS's
codes for nothing (`.`, `.N`, `.M`) mean that there is none.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from classification.labels.interface import TruthSettings, by_id
from classification.metrics.guards import Guard
from runs.checks import above
from runs.csv_text import missing_columns, numbers, printable, read_lines
from runs.entry import UsageError
from runs.guards import GuardError

SCREENS = (0, 1, 2)
FOLLOW_UP = ("fup_days", "canc_free_days")
NOTHING = (".", ".N", ".M", "NA", "nan", "None")


@dataclass(frozen=True, kw_only=True)
class NlstSettings(TruthSettings):
    """Which scans, and how far ahead.

    Attributes:
        screens: of the years 0, 1, 2.
        within_days: of the screen a diagnosis counts; without one, follow-up must reach so far.
        id: of a scan in the predictions, with {pid} and, for several screens, {screen} in it.
    """

    screens: tuple[int, ...]
    within_days: int
    id: str

    def __post_init__(self) -> None:
        above("truth.within_days", self.within_days, 0)
        if not self.screens or not set(self.screens) <= set(SCREENS):
            raise UsageError(f"truth.screens must be some of 0, 1, 2; got {list(self.screens)}")
        wanted = ["{pid}"] + ["{screen}"] * (len(set(self.screens)) > 1)
        if not all(part in self.id for part in wanted):
            raise UsageError(f"truth.id must hold {' and '.join(wanted)}; got {self.id}")


SETTINGS = NlstSettings


def read(path: Path, settings: NlstSettings) -> pd.DataFrame:
    """See `interface.reader`; beside `cancer` a column `patient`, for `group=patient` where there are several screens.

    Raises:
        GuardError: a participant stands in several rows.
    """
    needed = ("pid", "candx_days", *(f"scr_days{screen}" for screen in settings.screens))
    table = read_lines(path, needed, ("pid",), FOLLOW_UP)
    follow_up = next((name for name in FOLLOW_UP if name in table), None)
    if follow_up is None:
        raise UsageError(missing_columns(path, table, (*needed, FOLLOW_UP[0])))
    twice = table["pid"][table["pid"].duplicated()].unique()
    if len(twice):
        detail = f"{printable(path)}: {len(twice)} pid(s) stand in several rows, such as {twice[0]!r}"
        raise GuardError(Guard.DUPLICATE_IDS, detail)
    table = table.replace(dict.fromkeys(NOTHING, ""))
    pids = table["pid"].tolist()
    diagnosed, followed = (_days(path, table, name) for name in ("candx_days", follow_up))
    rows, left_out = {}, Counter[str]()
    for screen in sorted({*settings.screens}):
        for pid, day, cancer, end in zip(
            pids, _days(path, table, f"scr_days{screen}"), diagnosed, followed, strict=True
        ):
            label = label_of(day, cancer, end, settings.within_days)
            if label in ("0", "1"):
                name = settings.id.replace("{pid}", pid).replace("{screen}", str(screen))
                rows[name] = {"cancer": label, "patient": pid}
            else:
                left_out[label] += 1
    return by_id(path, rows, left_out)


def label_of(screened: float, diagnosed: float, followed: float, within: int) -> str:
    """`1`, `0`, or why there is no label; all in days from randomisation, NaN for none."""
    if math.isnan(screened):
        return "without the screen"
    if diagnosed < screened:
        return "diagnosed before the screen"
    if diagnosed - screened <= within:
        return "1"
    if diagnosed > screened or followed - screened >= within:
        return "0"
    return "not followed for long enough"


def _days(path: Path, table: pd.DataFrame, column: str) -> list[float]:
    found = numbers(path, table, column, lambda v: not math.isinf(v), "a number of days")
    return [math.nan if day < 0 else day for day in found]
