"""`python -m detection.evaluate candidates=... annotations=... ...`: the official LUNA16 FROC, with guards."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detection.froc.curve import ALL, compare, score
from detection.froc.guards import check_cap, check_coordinates, check_scans, judge
from detection.froc.matching import MAX_PER_SCAN, BoolArray, match
from detection.froc.plot import write_plot
from detection.froc.report import Report, Scored, lines, write_csv, write_json
from detection.froc.strata import SIZE_EDGES_MM, flat, strata
from detection.froc.tables import Truth, read_submission, read_truth
from runs.csv_text import printable
from runs.entry import UsageError, run
from runs.guards import Caution

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluateSettings:
    """What `detection.evaluate` takes; files are described in `detection.froc.tables`.

    Attributes:
        candidates: the submission.
        annotations: what should be found.
        excluded: findings whose hits are ignored; None: there is a warning, and they count as false positives.
        seriesuids: every scan looked at.
        out: folder for `froc.json`, `froc.csv`, `froc.png`; made if missing.
        against: another submission, compared on the same bootstrap draws.
        ratings: csv with a column `texture`, for annotations without one.
        max_per_scan: the organisers count 100 candidates of a scan; None counts all.
        bootstraps: draws of scans; the organisers draw 1000; 0 for none.
        seed: of the draws.
        size_edges_mm: where the groups by size change, lower edge included.
        strict: warnings stop too.
        allow: names of guards that may not stop.
    """

    candidates: Path | None = None
    annotations: Path | None = None
    excluded: Path | None = None
    seriesuids: Path | None = None
    out: Path = Path("outputs/evaluate")
    against: Path | None = None
    ratings: Path | None = None
    max_per_scan: int | None = MAX_PER_SCAN
    bootstraps: int = 1000
    seed: int = 0
    size_edges_mm: tuple[float, ...] = SIZE_EDGES_MM
    strict: bool = False
    allow: tuple[str, ...] = ()


def evaluate(settings: EvaluateSettings) -> Report:
    """Score the submission, or say what is wrong with it.

    Raises:
        GuardError: a guard stopped the evaluation.
        UsageError: an option is missing or wrong.
    """
    files = _files(settings)
    truth = read_truth(files["annotations"], files.get("excluded"), files["seriesuids"], files.get("ratings"))
    cautions = judge(truth.cautions, settings.strict, settings.allow)
    kinds = strata(truth.nodules.value, truth.texture, settings.size_edges_mm)
    groups = {ALL: np.ones(len(truth.nodules), dtype=bool)} | flat(kinds)
    scored, more = _scored(files["candidates"], truth, groups, settings)
    cautions += more
    against = comparison = None
    if "against" in files:
        against, more = _scored(files["against"], truth, groups, settings)
        cautions += more
        comparison = compare(scored.all, against.all) if settings.bootstraps else None
    labels = {kind: list(members) for kind, members in kinds.items()}
    return Report(scored, labels, _protocol(settings, files), cautions, against, comparison)


def write(report: Report, out: Path) -> None:
    """Write `froc.json`, `froc.csv` and `froc.png` into `out`, which is made if missing."""
    out.mkdir(parents=True, exist_ok=True)
    results = report.scored.results
    write_json(out / "froc.json", report)
    write_csv(out / "froc.csv", results)
    panels = {kind: {label: results[f"{kind} {label}"] for label in labels} for kind, labels in report.strata.items()}
    other = None if report.against is None else (report.against.name, report.against.all)
    write_plot(out / "froc.png", report.scored.name, report.scored.all, panels, other)


def _scored(
    path: Path, truth: Truth, groups: dict[str, BoolArray], settings: EvaluateSettings
) -> tuple[Scored, list[Caution]]:
    candidates, cautions = read_submission(path, truth.series_uids)
    # Ids and places are judged before anything is counted: the counts would only repeat their mistake.
    kept = judge(cautions + check_coordinates(truth.nodules, candidates), settings.strict, settings.allow)
    matched = match(truth.nodules, candidates, truth.excluded, len(truth.series_uids), settings.max_per_scan)
    counted = check_scans(matched, candidates) + check_cap(matched, settings.max_per_scan)
    kept += judge(counted, settings.strict, settings.allow)
    results = score(matched, groups, settings.bootstraps, settings.seed)
    return Scored(printable(path), len(candidates), matched, results), kept


def _files(settings: EvaluateSettings) -> dict[str, Path]:
    given = {
        name: getattr(settings, name)
        for name in ("candidates", "annotations", "seriesuids", "excluded", "against", "ratings")
    }
    missing = [f"{name}=" for name in ("candidates", "annotations", "seriesuids") if given[name] is None]
    if missing:
        raise UsageError(f"{', '.join(missing)} must name a csv; see --help")
    if settings.bootstraps < 0 or (settings.max_per_scan is not None and settings.max_per_scan < 1):
        raise UsageError("bootstraps= must be at least 0 and max_per_scan= at least 1 or null")
    return {name: path for name, path in given.items() if path is not None}


def _protocol(settings: EvaluateSettings, files: dict[str, Path]) -> dict[str, Any]:
    return {
        "files": {
            name: {"name": printable(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for name, path in files.items()
        },
        "max_per_scan": settings.max_per_scan,
        "bootstraps": settings.bootstraps,
        "seed": settings.seed,
    }


def command(settings: EvaluateSettings) -> None:
    """Evaluate, write the files, and say what came of it."""
    report = evaluate(settings)
    write(report, settings.out)
    for line in lines(report):
        log.info("%s", line)
    log.info("froc.json, froc.csv and froc.png are in %s", settings.out)


def main() -> None:
    """Entry point."""
    run(command, EvaluateSettings, "detection_evaluate")


if __name__ == "__main__":
    main()
