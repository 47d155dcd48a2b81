"""`python -m classification.calibrate predictions=... labels=... out=...`: a site's calibration by its outcomes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from classification.calibration.fitting import METHODS, cross_fitted, fit_map
from classification.calibration.maps import Calibration, log_odds_between
from classification.calibration.operating import OperatingPoint, line, operating_points
from classification.calibration.stored import FORMAT, map_as_json
from classification.labels.interface import chosen, reader
from classification.metrics.estimates import MetricSettings, PatientMetrics, compare, patient_metrics
from classification.metrics.predictions import MatchedRows, read_matched, read_table
from classification.metrics.written import files_written, plain
from runs.bootstrap import Comparison
from runs.checks import at_least
from runs.entry import UsageError, run
from runs.guards import GuardError
from runs.writing import write_json

log = logging.getLogger(__name__)

CALIBRATION = "calibration.json"
# What a calibration changes, and the ranking, which it should not.
FIGURES = ("expected_calibration_error", "brier", "log_loss", "roc_auc")


@dataclass(frozen=True, kw_only=True)
class CalibrateSettings(MetricSettings):
    """What `classification.calibrate` takes, beside the choices in `MetricSettings`.

    Attributes:
        predictions: csv `id,cancer[,...]`, cancer a probability; of a `patients.csv` that is calibrated already its
            column `uncalibrated`.
        labels: csv `id,cancer`, cancer 0 or 1, or a collection's table that `truth` says how to read.
        truth: how labels are read: a dataclass with `kind`, or from YAML a mapping that becomes it.
        group: column that says which rows belong together (scans of a patient), or None.
        method: a key of `METHODS`.
        prevalence: of cancer where the calibration will be used, or None: as among the labels.
        folds: of cross-fitting.
        out: folder for calibration.json and the plots; made if missing.
        strict: warnings stop too.
        plots: draw them.
    """

    predictions: Path | None = None
    labels: Path | None = None
    truth: Any = None
    group: str | None = None
    method: str
    prevalence: float | None = None
    folds: int
    out: Path = Path("outputs/calibrate")
    strict: bool = False
    plots: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "truth", chosen(self.truth))
        if self.method not in METHODS:
            raise UsageError(f"method must be one of {', '.join(METHODS)}; got {self.method}")
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise UsageError(f"prevalence must lie between 0 and 1, got {self.prevalence:g}")
        if self.method == "none" and self.prevalence is None:
            raise UsageError("method=none changes nothing but the prevalence: give one, prevalence=...")
        at_least("folds", self.folds, 2)


def calibrate(settings: CalibrateSettings) -> None:
    """Write calibration.json and the plots, print the figures.

    Raises:
        FileNotFoundError: no such file.
        UsageError: a setting without meaning, too few patients, or a guard that stops (`metrics.guards.Guard`).
    """
    if settings.predictions is None or settings.labels is None:
        raise UsageError("predictions=... and labels=... must each name a csv with the columns id,cancer")
    column, classifier = source_of(settings.predictions)
    read = reader(settings.truth)
    rows = read_matched(settings.predictions, settings.labels, None, settings.group, read, column)
    for caution in rows.cautions:
        if settings.strict:
            raise GuardError(caution.guard, caution.message)
        log.warning("%s", caution)
    calibration = fitted(rows, settings, classifier)
    choices = MetricSettings(**{f.name: getattr(settings, f.name) for f in fields(MetricSettings)})
    after = cross_fitted(settings.method, rows.probability, rows.label, rows.groups, settings.folds, settings.seed)
    measured = {
        "before": patient_metrics(rows.label, rows.probability, choices, rows.groups),
        "after": patient_metrics(rows.label, after, choices, rows.groups),
    }
    differences = compare(rows.label, after, rows.probability, choices, rows.groups)
    points = operating_points(rows.label, calibration(rows.probability), choices, rows.groups)
    out = settings.out
    out.mkdir(parents=True, exist_ok=True)
    stored = {
        "format": FORMAT,
        "words": calibration.words,
        "method": settings.method,
        "map": map_as_json(calibration.curve),
        "log_odds": calibration.log_odds,
        "prevalence": {"of_the_labels": float(rows.label.mean()), "stated": settings.prevalence},
        "classifier": classifier,
        "use": "research only, not a medical device",
    }
    write_json(out / CALIBRATION, stored | plain(report(settings, rows, measured, differences, points)))
    if settings.plots:
        # Imported here: the figures need no drawing library.
        from classification.metrics.plots import write_plots

        write_plots(out, measured)
    sys.stdout.write("\n".join(_said(settings, rows, measured, differences, points)) + "\n")
    log.info("%s: give it as calibration=...; research use only, not a medical device", out / CALIBRATION)


def source_of(predictions: Path) -> tuple[str, str]:
    """Which column of a file is calibrated, and the checksum of the classifier that made it, where the file says so.

    Raises:
        UsageError: it holds answers of several classifiers.
    """
    table = read_table(predictions)
    column = "uncalibrated" if "uncalibrated" in table.columns else "cancer"
    made_by = sorted({*table.get("classifier", ())} - {""})
    if len(made_by) > 1:
        raise UsageError(
            f"predictions must be of one classifier; {predictions.name} has those of {', '.join(made_by)}"
        )
    return column, made_by[0] if made_by else ""


def fitted(rows: MatchedRows, settings: CalibrateSettings, classifier: str) -> Calibration:
    """The calibration fitted to all patients."""
    curve = fit_map(settings.method, rows.probability, rows.label)
    own, n = float(rows.label.mean()), len(rows.label)
    words = f"{settings.method}, fitted to {n:,} patients, {int(rows.label.sum()):,} of them with cancer"
    if settings.prevalence is None:
        return Calibration(curve, 0.0, words, classifier)
    words += f", for a prevalence of {settings.prevalence:g} instead of {own:.3g}"
    return Calibration(curve, log_odds_between(own, settings.prevalence), words, classifier)


def report(
    settings: CalibrateSettings,
    rows: MatchedRows,
    measured: Mapping[str, PatientMetrics],
    differences: Mapping[str, Comparison],
    points: tuple[OperatingPoint, ...],
) -> dict[str, Any]:
    """What calibration.json says beside the map: no clock, no folders."""
    files = {"predictions": settings.predictions, "labels": settings.labels}
    return {
        "files": files_written({role: path for role, path in files.items() if path is not None}),
        "warnings": [{"guard": str(c.guard), "message": c.message} for c in rows.cautions],
        "n": len(rows.label),
        "positive": int(rows.label.sum()),
        "folds": settings.folds,
        "figures": {
            **{when: {name: asdict(m.estimates[name]) for name in FIGURES} for when, m in measured.items()},
            "difference": {
                n: asdict(c.difference) | {"p_value": c.p_value} for n, c in differences.items() if n in FIGURES
            },
            "about": f"after: {settings.folds} cross-fitted folds, at the prevalence of the labels",
        },
        "operating_points": [asdict(point) for point in points],
        "settings": asdict(measured["after"].settings),
    }


def _said(
    settings: CalibrateSettings,
    rows: MatchedRows,
    measured: Mapping[str, PatientMetrics],
    differences: Mapping[str, Comparison],
    points: tuple[OperatingPoint, ...],
) -> Iterator[str]:
    prevalence = float(rows.label.mean())
    yield f"{settings.method}: {len(rows.label):,} patients, {rows.label.sum():,} with cancer ({prevalence:.3f})"
    level = f"{settings.level:.0%}"
    yield f"{'':27} {'before':>25} {f'after, {settings.folds} folds':>25} {'difference':>27}  {level} intervals"
    for name in FIGURES:
        before, after = (measured[when].estimates[name] for when in ("before", "after"))
        parts = [f"{e.value:.4f} ({e.low:.4f}-{e.high:.4f})" for e in (before, after)]
        d = differences[name].difference
        words = name.replace("roc_auc", "ROC AUC").replace("_", " ")
        yield f"{words:27} {parts[0]:>25} {parts[1]:>25} {f'{d.value:+.4f} ({d.low:+.4f}, {d.high:+.4f})':>27}"
    if settings.prevalence is not None:
        yield f"then from a prevalence of {prevalence:.3g} to {settings.prevalence:g}, which the figures leave out"
    yield f"{'operating points':27} {'at least':>8}  {'sensitivity':>26} {'specificity':>26}"
    yield from (line(point) for point in points)


def main() -> None:
    """Entry point."""
    run(calibrate, CalibrateSettings, "classification_calibrate")


if __name__ == "__main__":
    main()
