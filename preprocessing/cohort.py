"""Many scans, one after the other: past a bad one, with a row for each in `scans.csv`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Reason, Scan, ScanError, in_kind
from preprocessing.prepare import PreparedScan, PrepareSettings, prepare_scan
from runs.csv_text import write_csv
from runs.entry import UsageError

log = logging.getLogger(__name__)

Work = Callable[[Scan], Sequence[str]]
Save = Callable[[Sequence[Scan]], None]
# Tables are written whole, so not after every scan of thousands.
SAVE_SECONDS = 20.0

COLUMNS = ("patient_id", "seriesuid", "status", "reason", "detail", "files", "warnings")


def for_each_scan(scans: Sequence[Scan], work: Work, save: Save | None = None) -> list[Scan]:
    """Hand every scan to `work`, one after the other, and go past those that fail.

    Args:
        scans: from `find_scans`; refused ones are passed over.
        work: what to do with a scan; returns all warnings to state of it.
        save: writes the results of the scans that it is handed; called now and then, at the end, and when the run
            is stopped, so that what is finished is never lost.

    Returns:
        The scans in their order with what became of them: `refused` and `detail` for those that failed in `work`,
        the warnings for the others.
    """
    done: list[Scan] = []
    saved = time.monotonic()
    try:
        for scan in tqdm(scans, desc="scans", unit="scan", delay=1):
            done.append(scan if scan.refused else attempt(scan, work))
            if save is not None and time.monotonic() - saved > SAVE_SECONDS:
                save(done)
                saved = time.monotonic()
    finally:
        if save is not None:
            save(done)
    return done


def attempt(scan: Scan, work: Work) -> Scan:
    """The scan with the warnings of `work`, or refused when it failed: one scan must never end a cohort."""
    try:
        warnings = tuple(work(scan))
    except ScanError as error:
        return replace(scan, refused=error.reason, detail=error.detail)
    except Exception as error:  # one scan must never end a cohort; the traceback is there for whoever wants it
        # Only the kind of error: its text may quote the file.
        log.warning("a scan failed with %s; the run goes on (debug logging shows where)", type(error).__name__)
        log.debug("traceback", exc_info=True)
        return replace(scan, refused=Reason.INTERNAL_ERROR, detail=in_kind(error))
    return replace(scan, warnings=warnings)


def every_scan(
    folders: Sequence[str | Path],
    held_out_patients: Sequence[str],
    cache: Path | None,
    settings: PrepareSettings | None = None,
) -> Iterator[tuple[Scan, PreparedScan]]:
    """The prepared scans of several folders, for training, which must not silently run on fewer than asked.

    Args:
        folders: as `find_scans` takes them.
        held_out_patients: ids that are passed over.
        cache: of prepared scans, or None.
        settings: of the preparation.

    Raises:
        FileNotFoundError: a folder does not exist.
        UsageError: a scan is refused.
    """
    scans = [scan for folder in folders for scan in find_scans(Path(folder))]
    for scan in tqdm(scans, desc="chests", unit="scan", disable=not scans):
        if scan.patient_id in held_out_patients:
            continue
        try:
            if scan.refused is not None:
                raise ScanError(scan.refused, scan.detail)
            prepared = prepare_scan(scan, settings, cache)
        except ScanError as error:
            raise UsageError(f"a scan to train on was refused ({error.reason}): {error.detail}") from error
        yield scan, prepared


def write_scans(path: Path, scans: Sequence[Scan]) -> None:
    """`scans.csv`: one row per series, the refused ones too; several warnings are joined by ` | `."""
    rows = [
        (s.patient_id, s.series_uid, "refused" if s.refused else "ok", s.refused or "", s.detail, len(s.paths),
         " | ".join(s.warnings))
        for s in scans
    ]  # fmt: skip
    write_csv(path, pd.DataFrame(rows, columns=list(COLUMNS)))


def summary(scans: Sequence[Scan]) -> str:
    """One line for the terminal, without a word about any patient."""
    refused = [s for s in scans if s.refused]
    reasons = sorted({str(s.refused) for s in refused})
    return f"{len(scans) - len(refused)} scan(s) read, {len(refused)} refused" + (
        f" ({', '.join(reasons)}; see scans.csv)" if refused else ""
    )
