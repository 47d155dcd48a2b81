"""`python -m classification.evaluate predictions=... labels=... out=...`: patient probabilities against the truth."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from classification.labels.interface import chosen, reader
from classification.metrics.estimates import MetricSettings, PatientMetrics, compare, patient_metrics
from classification.metrics.predictions import MATCHING, MatchedRows, read_matched
from classification.metrics.table import table
from classification.metrics.written import files_written, plain
from runs.bootstrap import Comparison
from runs.entry import UsageError, run
from runs.guards import GuardError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluateSettings(MetricSettings):
    """What `classification.evaluate` takes, beside the choices in `MetricSettings`.

    Attributes:
        predictions: csv `id,cancer[,...]`, cancer a probability; the `patients.csv` of `lungscreen.classify`.
        labels: csv `id,cancer`, cancer 0 or 1, or a collection's table that `truth` says how to read.
        truth: how labels are read: a dataclass with `kind`, or from YAML a mapping that becomes it;
            None: as `id,cancer`.
        against: a second csv of predictions to compare with, or None.
        group: column of the labels (or predictions) that says which rows belong together, or None.
        out: folder for metrics.json and the plots; made if missing.
        strict: warnings stop too.
        plots: draw them.
    """

    predictions: Path | None = None
    labels: Path | None = None
    truth: Any = None
    against: Path | None = None
    group: str | None = None
    out: Path = Path("outputs/evaluate")
    strict: bool = False
    plots: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "truth", chosen(self.truth))


def evaluate(settings: EvaluateSettings) -> None:
    """Write metrics.json and the plots, print the table.

    Raises:
        FileNotFoundError: no such file.
        UsageError: a setting without meaning, or a guard that stops, its name first (`metrics.guards.Guard`).
    """
    if settings.predictions is None or settings.labels is None:
        raise UsageError("predictions=... and labels=... must each name a csv with the columns id,cancer")
    paths = {"predictions": settings.predictions, "labels": settings.labels, "against": settings.against}
    files = {role: path for role, path in paths.items() if path is not None}
    rows = read_matched(
        files["predictions"], files["labels"], files.get("against"), settings.group, reader(settings.truth)
    )
    for caution in rows.cautions:
        if settings.strict:
            raise GuardError(caution.guard, caution.message)
        log.warning("%s", caution)
    choices = MetricSettings(**{f.name: getattr(settings, f.name) for f in fields(MetricSettings)})
    metrics = patient_metrics(rows.label, rows.probability, choices, rows.groups)
    named, differences = {files["predictions"].stem: metrics}, {}
    if rows.against is not None:
        name = files["against"].stem
        named[name if name not in named else f"{name} (against)"] = patient_metrics(
            rows.label, rows.against, choices, rows.groups
        )
        differences = compare(rows.label, rows.probability, rows.against, choices, rows.groups)
    out = settings.out
    out.mkdir(parents=True, exist_ok=True)
    written = report(files, rows, list(named.values()), differences)
    (out / "metrics.json").write_text(json.dumps(written, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    if settings.plots:
        # Imported here: the figures need no drawing library.
        from classification.metrics.plots import write_plots

        write_plots(out, named)
    sys.stdout.write("\n".join((*table(metrics, differences), MATCHING)) + "\n")
    log.info("figures and plots in %s; research use only, not a medical device", out)


def report(
    files: Mapping[str, Path],
    rows: MatchedRows,
    measured: list[PatientMetrics],
    differences: Mapping[str, Comparison],
) -> dict[str, Any]:
    """What metrics.json holds: no clock, no folders, six significant digits, null where a figure is undefined."""
    written: dict[str, Any] = {
        "files": files_written(files),
        "matching": MATCHING,
        "warnings": [{"guard": str(c.guard), "message": c.message} for c in rows.cautions],
        **_written_metrics(measured[0]),
    }
    if differences:
        against = _written_metrics(measured[1])
        written["against"] = {key: against[key] for key in ("metrics", "confusion", "cutoffs")}
        written["difference"] = {
            name: asdict(c.difference) | {"p_value": c.p_value} for name, c in differences.items()
        }
    told: dict[str, Any] = plain(written)
    return told


def _written_metrics(metrics: PatientMetrics) -> dict[str, Any]:
    curve = metrics.decision
    decision = zip(curve.x, curve.y, curve.low, curve.high, metrics.treat_all, strict=True)
    return {
        "n": metrics.n,
        "positive": metrics.positive,
        "groups": metrics.groups,
        "settings": asdict(metrics.settings),
        "metrics": {name: asdict(e) for name, e in metrics.estimates.items()},
        "confusion": {name: asdict(e) for name, e in metrics.confusion.items()},
        "cutoffs": metrics.cutoffs,
        "reliability": [asdict(b) for b in metrics.reliability],
        "decision_curve": [
            {"threshold": t, "net_benefit": y, "low": low, "high": high, "treat_all": everyone, "treat_none": 0.0}
            for t, y, low, high, everyone in decision
        ],
    }


def main() -> None:
    """Entry point."""
    run(evaluate, EvaluateSettings, "classification_evaluate")


if __name__ == "__main__":
    main()
