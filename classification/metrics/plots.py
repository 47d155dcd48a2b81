"""Pictures of `PatientMetrics`: ROC, precision-recall, reliability, decision curve. No figure is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from classification.metrics.curves import Curve
from classification.metrics.estimates import PatientMetrics
from classification.metrics.table import counted
from runs.bootstrap import Estimate

COLOURS = ("#1b5e8c", "#c8641b")
QUIET = "#8a8f98"
STYLE = {
    "font.size": 9.5,
    "axes.edgecolor": QUIET,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "grid.color": "#e8e9ec",
    "legend.frameon": False,
    "xtick.color": "#40444b",
    "ytick.color": "#40444b",
}
DPI = 150
LONGEST_NAME = 24

Named = Mapping[str, PatientMetrics]


def write_plots(folder: Path, named: Named) -> list[Path]:
    """`roc.png`, `precision_recall.png`, `reliability.png`, `decision_curve.png`; same figures in, same bytes out.

    Args:
        folder: exists.
        named: one prediction or two to compare, by the name to show; the counts are the first one's.
    """
    makers = {
        "roc": _roc,
        "precision_recall": _precision_recall,
        "reliability": _reliability,
        "decision_curve": _decision_curve,
    }
    paths = []
    with matplotlib.rc_context():
        # A user's matplotlibrc must not change what is written.
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        for name, make in makers.items():
            paths.append(folder / f"{name}.png")
            # The default metadata names matplotlib's version.
            make(named).savefig(paths[-1], dpi=DPI, metadata={"Software": None})
    return paths


def _roc(named: Named) -> Figure:
    figure, axes = _canvas(named, "ROC")
    axes.plot([0, 1], [0, 1], color=QUIET, lw=1, ls=(0, (4, 3)))
    for colour, (name, metrics) in zip(COLOURS, named.items(), strict=False):
        area = _worded(metrics.estimates["roc_auc"])
        _draw(axes, metrics.roc, colour, f"{_prefix(name, named)}AUC {area}")
        recall, specificity = (metrics.estimates[key].value for key in ("recall", "specificity"))
        axes.plot(1 - specificity, recall, "o", color=colour, mec="white", ms=7, zorder=5)
    axes.plot([], [], "o", color=QUIET, mec="white", ms=7, label=f"threshold {_first(named).settings.threshold:g}")
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    _explain(axes, _first(named), loc="lower right")
    return figure


def _precision_recall(named: Named) -> Figure:
    figure, axes = _canvas(named, "Precision and recall")
    prevalence = _first(named).positive / _first(named).n
    axes.axhline(prevalence, color=QUIET, lw=1, ls=(0, (4, 3)), label=f"prevalence {prevalence:.3f}")
    for colour, (name, metrics) in zip(COLOURS, named.items(), strict=False):
        area = _worded(metrics.estimates["average_precision"])
        _draw(axes, metrics.precision_recall, colour, f"{_prefix(name, named)}AP {area}", drawstyle="steps-pre")
        recall, precision = (metrics.estimates[key].value for key in ("recall", "precision"))
        axes.plot(recall, precision, "o", color=colour, mec="white", ms=7, zorder=5)
    axes.plot([], [], "o", color=QUIET, mec="white", ms=7, label=f"threshold {_first(named).settings.threshold:g}")
    axes.set(xlabel="recall (sensitivity)", ylabel="precision", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    _explain(axes, _first(named), loc="lower left")
    return figure


def _reliability(named: Named) -> Figure:
    figure, axes = _canvas(named, "Reliability", rows=(4, 1))
    upper, lower = axes
    upper.plot([0, 1], [0, 1], color=QUIET, lw=1, ls=(0, (4, 3)))
    for colour, (name, metrics) in zip(COLOURS, named.items(), strict=False):
        bins = [b for b in metrics.reliability if b.observed.n]
        x, y = np.array([b.predicted for b in bins]), np.array([b.observed.value for b in bins])
        reach = np.abs(np.array([[b.observed.low, b.observed.high] for b in bins]).T - y)
        error = metrics.estimates["expected_calibration_error"].value
        chance = metrics.estimates["calibration_error_by_chance"]
        label = f"{_prefix(name, named)}ECE {error:.3f}\n(by chance {chance.low:.3f} to {chance.high:.3f})"
        upper.errorbar(x, y, reach, color=colour, marker="o", ms=5, lw=1.5, elinewidth=1, capsize=2.5, label=label)
    upper.set(ylabel="observed share with cancer", ylim=(-0.02, 1.02))
    upper.legend(loc="best")
    bins = list(_first(named).reliability)
    left, width = np.array([b.low for b in bins]), np.array([b.high - b.low for b in bins])
    rows = np.array([b.observed.n for b in bins])
    positive = np.array([round(b.observed.value * b.observed.n) if b.observed.n else 0 for b in bins])
    prefix = _prefix(next(iter(named)), named)
    bar = {"width": width, "align": "edge", "edgecolor": "white", "linewidth": 0.8}
    lower.bar(left, rows, color="#cfd4db", label=f"{prefix}all", **bar)
    lower.bar(left, positive, color=COLOURS[0], label="with cancer", **bar)
    lower.set(xlabel="predicted probability", ylabel="patients", xlim=(-0.02, 1.02), ylim=(0, 1.35 * rows.max()))
    lower.legend(loc="upper right", fontsize=8, ncols=2)
    return figure


def _decision_curve(named: Named) -> Figure:
    figure, axes = _canvas(named, "Decision curve")
    first = _first(named)
    axes.plot(first.decision.x, first.treat_all, color=QUIET, lw=1.2, label="treat all")
    axes.axhline(0, color="black", lw=1, label="treat none")
    for colour, (name, metrics) in zip(COLOURS, named.items(), strict=False):
        _draw(axes, metrics.decision, colour, _short(name) if len(named) > 1 else "by the prediction")
    # The most there is to gain is the prevalence.
    top = max(first.positive / first.n, *(float(np.nanmax(m.decision.high)) for m in named.values()))
    axes.set(xlabel="threshold probability", ylabel="net benefit", xlim=(0, 1), ylim=(-0.25 * top, 1.08 * top))
    _explain(axes, first, loc="upper right")
    return figure


def _canvas(named: Named, title: str, rows: tuple[int, ...] = (1,)) -> tuple[Figure, Any]:
    figure = Figure(figsize=(5.4, 5.4 if len(rows) == 1 else 6.2), layout="constrained")
    axes = figure.subplots(len(rows), height_ratios=rows, sharex=True)
    top = axes if len(rows) == 1 else axes[0]
    top.set_title(f"{title}: {counted(_first(named))}")
    return figure, axes


def _explain(axes: Any, first: PatientMetrics, **where: Any) -> None:
    """The legend, with what is the same for all curves at its end."""
    axes.fill_between([], [], [], color=QUIET, alpha=0.3, lw=0, label=f"{first.settings.level:.0%} band, bootstrap")
    axes.legend(**where)


def _draw(axes: Any, curve: Curve, colour: str, label: str, **how: Any) -> None:
    axes.fill_between(curve.band_x, curve.low, curve.high, color=colour, alpha=0.16, lw=0)
    axes.plot(curve.x, curve.y, color=colour, lw=1.8, label=label, **how)


def _worded(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _prefix(name: str, named: Named) -> str:
    return f"{_short(name)}: " if len(named) > 1 else ""


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}\N{HORIZONTAL ELLIPSIS}"


def _first(named: Named) -> PatientMetrics:
    return next(iter(named.values()))
