"""`python -m runs.training.compare trainings=DIR`: the trainings of a sweep in one table and one picture.

Whatever ran them, a grid, Optuna or an array of Slurm, each left its settings, curves and card in a folder of its own.
Here they stand side by side: what differs between them, how each ended, the best first.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from omegaconf import MISSING

from runs.csv_text import write_csv
from runs.entry import UsageError, run
from runs.training.curve_plot import PANELS_A_ROW, read_curve, smoothed
from runs.training.figures import VALIDATION, figures_of
from runs.training.run_folder import CURVES, SETTINGS, finished, flat
from runs.writing import whole

log = logging.getLogger(__name__)

TABLE, PICTURE = "runs.csv", "runs.png"
DIRECTIONS = ("minimize", "maximize")
# Numbers whose largest is so many times the smallest are drawn on a logarithmic axis.
WIDE = 10.0
# Numbers along an axis, and the longest text under it.
TICKS, LONGEST = 4, 16


@dataclass(frozen=True)
class CompareSettings:
    """What `runs.training.compare` takes.

    Attributes:
        objective: what they are ranked by: a column of `curves.csv` at its smoothed end (the best of a
            `validation_...`), `loss`, the sum of the losses, or a number of the card's figures, its keys joined by
            dots.
        direction: minimize or maximize.
        trainings: folder whose folders hold them.
    """

    objective: str
    direction: str
    trainings: Path = MISSING

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise UsageError(f"direction must be one of {', '.join(DIRECTIONS)}; got {self.direction}")


@dataclass(frozen=True, slots=True)
class Run:
    """One training.

    Attributes:
        folder: where it is.
        settings: all that decided its weights, nested keys joined by dots.
        finished: it left weights.
        figures: by name.
    """

    folder: Path
    settings: Mapping[str, Any]
    finished: bool
    figures: Mapping[str, float]


def compare(settings: CompareSettings) -> None:
    """Write `runs.csv` and `runs.png` into that folder.

    Raises:
        FileNotFoundError: there is no such folder.
        UsageError: it holds no training, or none has the objective.
    """
    runs = read_runs(settings.trainings)
    sign = 1 if settings.direction == "minimize" else -1
    known = [r for r in runs if settings.objective in r.figures]
    if not known:
        there = ", ".join(sorted({name for r in runs for name in r.figures})) or "none yet"
        raise UsageError(f"objective={settings.objective} is no figure of these trainings; they have {there}")
    ranked = sorted(known, key=lambda r: (not r.finished, sign * r.figures[settings.objective], r.folder.name))
    ranked += [r for r in runs if settings.objective not in r.figures]
    keys = differing([r.settings for r in ranked])
    with whole(settings.trainings / TABLE) as part:
        write_csv(part, table(ranked, keys, settings.objective))
    plot(ranked, keys, settings.objective, settings.trainings / PICTURE)
    best = ranked[0]
    log.info(
        "%d trainings, %d of them finished: %s", len(runs), sum(r.finished for r in runs), settings.trainings / TABLE
    )
    log.info("best: %s=%g, in %s", settings.objective, best.figures[settings.objective], best.folder)


def read_runs(trainings: Path) -> list[Run]:
    """The trainings in the folders of a folder, by name.

    Raises:
        FileNotFoundError: there is no such folder.
        UsageError: there is no training in it.
    """
    if not trainings.is_dir():
        raise FileNotFoundError(f"no such folder: {trainings}")
    folders = sorted(path.parent for path in trainings.glob(f"*/{SETTINGS}"))
    if not folders:
        raise UsageError(f"'{trainings}' must hold the folders of trainings, each with its {SETTINGS}; there are none")
    return [_read(folder) for folder in folders]


def _read(folder: Path) -> Run:
    settings = dict(flat(json.loads((folder / SETTINGS).read_text(encoding="utf-8"))))
    weights = finished(folder)
    card = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8")) if weights else {}
    told = {k: float(v) for k, v in flat(card.get("figures", {})) if _is_number(v)}
    return Run(folder, settings, weights is not None, {**told, **figures_of(folder)})


def differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys whose values are not the same in all of them, in the order of the first that has them."""
    keys = dict.fromkeys(key for one in settings for key in one)
    return [key for key in keys if len({json.dumps(one.get(key)) for one in settings}) > 1]


def table(runs: Sequence[Run], keys: Sequence[str], objective: str) -> pd.DataFrame:
    """A row a training: folder, state, the objective, what differs, and the ends of its curves."""
    curves = dict.fromkeys(name for r in runs for name in figures_of(r.folder) if name != objective)
    rows = []
    for r in runs:
        state = "finished" if r.finished else "unfinished"
        differs = {key: r.settings.get(key) for key in keys}
        ends = {name: r.figures.get(name) for name in curves}
        rows.append({"folder": r.folder.name, "state": state, objective: r.figures.get(objective), **differs, **ends})
    return pd.DataFrame(rows)


def plot(runs: Sequence[Run], keys: Sequence[str], objective: str, picture: Path) -> None:
    """The curves of all, and the objective of the finished ones over each setting that differs; png."""
    count = 1 + len(keys)
    across = min(PANELS_A_ROW, count)
    figure = Figure(figsize=(4.6 * across, 3.4 * -(-count // across)), layout="constrained")
    FigureCanvasAgg(figure)
    first, *others = figure.subplots(-(-count // across), across, squeeze=False).flat
    for r in runs:
        drawn, steps, values = _curve(r.folder, objective)
        first.plot(steps, values, linewidth=1.2, label=f"{drawn}, {r.folder.name}")
    first.set(title="smoothed curves", xlabel="step")
    first.legend(frameon=False, fontsize="xx-small")
    ended = [r for r in runs if r.finished and objective in r.figures]
    for key, panel in zip(keys, others, strict=False):
        _scatter(panel, [r.settings.get(key) for r in ended], [r.figures[objective] for r in ended])
        panel.set(ylabel=objective, xlabel=key)
    for panel in others[len(keys) :]:
        panel.set_visible(False)
    with whole(picture) as part:
        figure.savefig(part, format="png", dpi=110, metadata={"Software": None})


def _scatter(panel: Axes, values: Sequence[Any], heights: Sequence[float]) -> None:
    numbers = [float(v) for v in values if _is_number(v)]
    if len(numbers) == len(values) and numbers:
        panel.plot(numbers, heights, "o", color="#1f4e79")
        if min(numbers) > 0 and max(numbers) >= WIDE * min(numbers):
            panel.set_xscale("log")
        else:
            panel.locator_params(axis="x", nbins=TICKS)
    else:
        panel.plot(_named([str(v) for v in values]), heights, "o", color="#1f4e79")
    panel.grid(visible=True, color="0.92")


def _named(values: Sequence[str]) -> list[str]:
    """Values as they stand under an axis; the table has what is too long for it."""
    places = {value: k for k, value in enumerate(dict.fromkeys(values), start=1)}
    return [value if len(value) <= LONGEST else f"({places[value]})" for value in values]


def _curve(folder: Path, objective: str) -> tuple[str, list[int], list[float]]:
    """Name, steps and smoothed values: of the objective, or of the summed losses where it is no curve."""
    steps, columns = read_curve(folder / CURVES) if (folder / CURVES).is_file() else ([], {})
    losses = [values for name, values in columns.items() if not name.startswith(VALIDATION)]
    values = columns.get(objective) or [sum(row) for row in zip(*losses, strict=True)]
    known = [(step, value) for step, value in zip(steps, values, strict=False) if not math.isnan(value)]
    name = objective if objective in columns else "loss"
    return name, [step for step, _ in known], smoothed([value for _, value in known])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def main() -> None:
    """Entry point."""
    run(compare, CompareSettings, "compare_runs")


if __name__ == "__main__":
    main()
