"""`PatientMetrics` as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from classification.metrics.estimates import PatientMetrics
from runs.bootstrap import Comparison, Estimate

# Of a confusion matrix: rows of the table, in the order a reader asks.
CELLS = {"tp": "cancer found", "fn": "cancer missed", "fp": "false alarm", "tn": "rightly cleared"}
CALIBRATION = ("log_loss", "brier", "expected_calibration_error", "calibration_error_by_chance")
AT_THRESHOLD = ("accuracy", "precision", "recall", "specificity", "negative_predictive_value", "f1")


def table(metrics: PatientMetrics, differences: Mapping[str, Comparison] | None = None) -> Iterator[str]:
    """Every figure with its interval, and the differences to a second prediction if there is one."""
    settings = metrics.settings
    called = f"called positive from {settings.threshold:g} on"
    ranking = tuple(name for name in metrics.estimates if name not in CALIBRATION + AT_THRESHOLD)
    bins = f"{settings.bins} {settings.binning} bins, log-loss within [{settings.clip:g}, 1 - {settings.clip:g}]"
    yield counted(metrics)
    yield _line("", "value", f"{settings.level:.0%} interval", "n", "interval by")
    for title, names in (("ranking", ranking), (f"calibration: {bins}", CALIBRATION), (called, AT_THRESHOLD)):
        yield from ("", title)
        for name in names:
            yield _row(name, metrics.estimates[name], metrics.cutoffs.get(name))
    for name, words in CELLS.items():
        cell = metrics.confusion[name]
        yield _line(f"{name.upper()}: {words}", f"{cell.value:.0f}", _interval(cell, ".0f"), cell.n, cell.method)
    if differences:
        yield from ("", _line("difference to against", "value", f"{settings.level:.0%} interval", "p", "interval by"))
    for name, compared in (differences or {}).items():
        d = compared.difference
        yield _line(_words(name), f"{d.value:+.4f}", _interval(d, "+.4f"), f"{compared.p_value:.3g}", d.method)


def counted(metrics: PatientMetrics) -> str:
    """Who was measured, in words."""
    if metrics.groups is None:
        return f"{metrics.n:,} patients, {metrics.positive:,} with cancer"
    return f"{metrics.n:,} rows in {metrics.groups:,} groups, {metrics.positive:,} with cancer"


def _row(name: str, e: Estimate, cutoff: float | None) -> str:
    note = "" if cutoff is None else f"; threshold {cutoff:.4g}"
    return _line(_words(name), f"{e.value:.4f}", _interval(e, ".4f"), e.n, e.method + note)


def _line(name: str, value: str, interval: str, n: int | str, method: str) -> str:
    return f"{name:32} {value:>8}  {interval:>18} {n:>7}  {method}".rstrip()


def _interval(e: Estimate, form: str) -> str:
    return f"{e.low:{form}} to {e.high:{form}}"


def _words(name: str) -> str:
    return name.replace("roc_auc", "ROC AUC").replace("_", " ")
