"""The FROC figure: all nodules with the bootstrap band, and one panel for each way of grouping them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from detection.froc.band import GRID
from detection.froc.curve import RATES, FrocResult
from detection.froc.report import RATE_NAMES, short
from detection.froc.strata import UNKNOWN

PANEL_INCHES = (5.2, 4.9)
DPI = 130
# Inches around the panels: left, right, bottom, top, between.
MARGINS = (0.62, 0.22, 0.55, 0.48, 0.28)
BLUE, ORANGE, GREY = "#1f4e79", "#c8641b", "#8a929c"
# Colour and dashes of the groups, from small to large or from faint to dense; told apart in grey too.
STYLES: tuple[tuple[str, Any], ...] = (
    ("#e0a030", "-"),
    ("#5aa469", (0, (6, 2))),
    ("#3579b1", (0, (3, 1.5))),
    ("#5b2a86", (0, (1.2, 1.2))),
    ("#b03a48", (0, (6, 2, 1, 2))),
)
UNKNOWN_STYLE = ("#777777", (0, (1, 2)))


def write_plot(
    path: Path,
    name: str,
    result: FrocResult,
    groups: Mapping[str, Mapping[str, FrocResult]],
    against: tuple[str, FrocResult] | None = None,
) -> None:
    """Write `froc.png`; no time stamp or version in it, so equal curves give equal bytes.

    Args:
        path: of the png.
        name: of the submission.
        result: all nodules.
        groups: title of a panel to label to curve.
        against: name and curve of another submission.
    """
    panels = 1 + len(groups)
    width, height = PANEL_INCHES[0] * panels, PANEL_INCHES[1]
    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    left, right, bottom, top, between = MARGINS
    axes_width = (width - left - right - between * (panels - 1)) / panels
    figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height, between / axes_width)
    first, *others = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    _overall(first, name, result, against)
    for axes, (title, curves) in zip(others, groups.items(), strict=True):
        _grouped(axes, title, result, curves)
    figure.savefig(path, metadata={"Software": None})


def _overall(axes: Any, name: str, result: FrocResult, against: tuple[str, FrocResult] | None) -> None:
    _frame(axes, f"{_plain(name)}\nCPM {short(result.cpm, 3)}{_interval(result)}, {result.n_scans} scans")
    axes.set_ylabel("sensitivity")
    label = f"all nodules (n={result.n_nodules})"
    if result.band is not None:
        axes.fill_between(GRID, result.band.low, result.band.high, color=BLUE, alpha=0.16, lw=0, label="95 % band")
    axes.plot(GRID, result.at(GRID), color=BLUE, lw=1.8, label=label)
    axes.plot(RATES, result.at(), "o", color=BLUE, ms=5, mec="white", mew=0.8, zorder=3, clip_on=False)
    for rate, value in zip(RATES, result.at(), strict=True):
        side, shift = {RATES[0]: ("left", 5), RATES[-1]: ("right", -3)}.get(rate, ("center", 0))
        axes.annotate(short(value, 3), (rate, value), (shift, -15), textcoords="offset points", ha=side, size=8)
    if against is not None:
        other, curve = against
        axes.plot(
            GRID,
            curve.at(GRID),
            color=ORANGE,
            lw=1.4,
            ls=(0, (6, 2)),
            label=f"{_plain(other)}: CPM {short(curve.cpm, 3)}",
        )
    axes.legend(loc="lower right", frameon=False, fontsize=8)


def _grouped(axes: Any, title: str, result: FrocResult, curves: Mapping[str, FrocResult]) -> None:
    _frame(axes, f"by {title}")
    axes.plot(GRID, result.at(GRID), color=GREY, lw=1.2, label=f"all (n={result.n_nodules}): {short(result.cpm, 3)}")
    for (label, curve), style in zip(curves.items(), itertools.cycle(STYLES)):
        color, dashes = UNKNOWN_STYLE if label == UNKNOWN else style
        text = f"{label} (n={curve.n_nodules}): {short(curve.cpm, 3)}{_interval(curve)}"
        axes.plot(GRID, curve.at(GRID), color=color, lw=1.6, ls=dashes, label=text)
        axes.plot(RATES, curve.at(), "o", color=color, ms=3.5, clip_on=False)
    axes.legend(loc="lower right", frameon=False, fontsize=8, title="mean of the seven rates (95 %)", title_fontsize=8)


def _plain(name: str) -> str:
    """A dollar in a file name begins no formula."""
    return name.replace("$", r"\$")


def _interval(result: FrocResult) -> str:
    if result.band is None:
        return ""
    low, high = result.band.cpm_interval
    return f" ({short(low, 3)}-{short(high, 3)})"


def _frame(axes: Any, title: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xscale("log", base=2)
    axes.set_xlim(RATES[0], RATES[-1])
    axes.set_ylim(0, 1)
    axes.set_xticks(RATES, RATE_NAMES)
    axes.minorticks_off()
    axes.set_yticks([i / 10 for i in range(11)])
    axes.grid(color="#dde1e6", lw=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("false positives per scan")
