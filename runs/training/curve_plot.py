"""The curve of a training as a picture: one panel a column of `curves.csv`."""

from __future__ import annotations

import csv
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Share of a new value in the smooth line.
SMOOTH = 0.1
PANELS_A_ROW = 3


def read_curve(path: Path) -> tuple[list[int], dict[str, list[float]]]:
    """Steps, and the values of every other column; an empty cell is NaN."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in (rows[0] if rows else {}) if name != "step"]
    return [int(row["step"]) for row in rows], {n: [float(row[n] or "nan") for row in rows] for n in names}


def smoothed(values: list[float], share: float = SMOOTH) -> list[float]:
    """Exponential mean that begins at the first value; where a value is NaN it stays as it was."""
    mean, line = float("nan"), []
    for value in values:
        if value == value:  # not NaN
            mean = value if mean != mean else mean + share * (value - mean)
        line.append(mean)
    return line


def plot_curve(curve: Path, picture: Path) -> None:
    """Draw `curve` into `picture` (png); same values, same bytes. What has no rows is not drawn."""
    steps, columns = read_curve(curve) if curve.is_file() else ([], {})
    if not columns:
        return
    across = min(PANELS_A_ROW, len(columns))
    down = -(-len(columns) // across)
    figure = Figure(figsize=(4.2 * across, 3.0 * down), layout="constrained")
    FigureCanvasAgg(figure)
    for panel, (name, values) in zip(figure.subplots(down, across, squeeze=False).flat, columns.items(), strict=False):
        known = [(step, value) for step, value in zip(steps, values, strict=True) if value == value]  # not NaN
        at, logged = zip(*known, strict=True) if known else ((), ())
        panel.plot(at, logged, color="0.75", linewidth=0.8, label="logged")
        panel.plot(at, smoothed(list(logged)), color="#1f4e79", linewidth=1.6, label="smoothed")
        panel.set(title=name, xlabel="step")
        panel.grid(visible=True, color="0.92")
        panel.legend(frameon=False, fontsize="small")
    for panel in list(figure.axes)[len(columns) :]:
        panel.set_visible(False)
    part = picture.with_name(f".{picture.name}.part")
    figure.savefig(part, format="png", dpi=110, metadata={"Software": None})
    part.replace(picture)
