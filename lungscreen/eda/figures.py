"""Figures of the page as PNG; same facts in, same bytes out. No figure is computed here."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from classification.metrics.plots import QUIET, STYLE
from lungscreen.eda.agreement import Agreement
from lungscreen.eda.comparisons import Comparison
from lungscreen.eda.facts import Cohort
from lungscreen.eda.settings import HistogramSettings
from preprocessing.lidc.reading import RATINGS
from runs.bootstrap import Estimate

INK, SECOND = "#0b6b76", "#c8641b"
DPI = 130
# Kinds shown by name; the rest are one bar.
MOST_KINDS = 10
PLANES = (("seen from the front", 0, 2), ("seen from above", 0, 1), ("seen from the patient's left", 1, 2))
ENDS = (("right", "left"), ("front", "back"), ("foot", "head"))

Drawing = Callable[[Axes], None]


def acquisition(cohort: Cohort) -> dict[str, bytes]:
    """How the scans were made, a picture for each thing that any header states, by its name."""
    read = [scan for scan in cohort.scans if scan.status == "ok"]
    numbers = {
        "Pixel (mm)": [s.pixel_mm for s in read],
        "Distance of slices (mm)": [s.slice_mm for s in read],
        "Slice thickness (mm)": [s.thickness_mm for s in read],
        "Slices": [float(s.slices) for s in read],
        "Tube voltage (kV)": [s.kvp for s in read],
        "Dose, CTDIvol (mGy)": [s.dose_mgy for s in read],
    }
    kinds = {"Kernel": [s.kernel for s in read], "Manufacturer": [s.manufacturer for s in read]}
    made: dict[str, bytes] = {}
    for name, values in numbers.items():
        # Distances of slices are the same up to rounding.
        known = np.round([v for v in values if not np.isnan(v)], 4)
        if len(known):
            made[name] = _drawn((3.6, 2.5), lambda axes, k=known, n=name: _histogram(axes, k, n))  # type: ignore[misc]
    for name, words in kinds.items():
        counts = Counter(w for w in words if w)
        if counts:
            made[name] = _drawn((3.6, 2.5), lambda axes, c=counts, n=name: _bars(axes, c, n))  # type: ignore[misc]
    return made


def densities(cohort: Cohort, settings: HistogramSettings) -> bytes | None:
    """One line a scan; None without voxels."""
    found = [scan.lungs.histogram for scan in cohort.scans if scan.lungs]
    if not found:
        return None
    edges = np.linspace(settings.low_hu, settings.high_hu, settings.bins + 1)

    middles, faint = (edges[1:] + edges[:-1]) / 2, max(0.15, 1 / len(found) ** 0.5)

    def draw(axes: Axes) -> None:
        for line in found:
            axes.plot(middles, 100 * line, color=INK, lw=1, alpha=faint)
        axes.plot(middles, 100 * np.mean(found, axis=0), color=SECOND, lw=2, label="mean of scans")
        axes.set(xlabel="HU", ylabel="% of the lung mask", xlim=(edges[0], edges[-1]), ylim=(0, None))
        axes.legend()

    return _drawn((5.6, 3.1), draw)


def lung_volumes(cohort: Cohort) -> bytes | None:
    """Volume against mean density; None without voxels."""
    found = [scan.lungs for scan in cohort.scans if scan.lungs]
    if not found:
        return None

    litres, density = [lung.volume_ml / 1000 for lung in found], [lung.mean_hu for lung in found]

    def draw(axes: Axes) -> None:
        axes.scatter(litres, density, s=26, color=INK, alpha=0.7)
        axes.set(xlabel="air-filled lung (litres)", ylabel="mean HU of it")

    return _drawn((5.6, 3.1), draw)


def sizes(cohort: Cohort) -> bytes | None:
    """Diameters, in steps of one tenth of a decade; None without nodules of known size."""
    found = np.array([n.diameter_mm for n in cohort.nodules if n.diameter_mm > 0])
    if not len(found):
        return None
    edges = 10 ** np.arange(np.floor(10 * np.log10(found.min())) / 10, np.log10(found.max()) + 0.1, 0.1)
    ticks = [t for t in (1, 2, 3, 5, 8, 12, 20, 30, 50, 100) if edges[0] <= t <= edges[-1]]

    def draw(axes: Axes) -> None:
        axes.hist(found, edges.tolist(), color=INK, edgecolor="white", lw=0.6)
        axes.set_xscale("log")
        axes.set_xticks(ticks, [str(t) for t in ticks])
        axes.minorticks_off()
        axes.axvline(float(np.median(found)), color=SECOND, lw=1.5, label=f"median {np.median(found):.1f} mm")
        axes.set(xlabel="diameter (mm, logarithmic)", ylabel="nodules")
        axes.legend()

    return _drawn((5.6, 3.1), draw)


def places(cohort: Cohort) -> bytes | None:
    """Three heat maps over the normalised lungs; None where no nodule has a place."""
    found = np.array([n.place for n in cohort.nodules if n.place is not None])
    if not len(found):
        return None
    cells = int(np.clip(len(found) ** 0.5 / 1.2, 5, 24))
    with _style():
        figure = Figure(figsize=(9.6, 3.0), layout="constrained")
        for axes, (title, across, up) in zip(figure.subplots(1, 3), PLANES, strict=True):
            counts, *_ = np.histogram2d(found[:, across], found[:, up], cells, ((0, 1), (0, 1)))
            flipped = up == 1  # from above the front is at the top
            shown = axes.imshow(counts.T, cmap="magma", origin="upper" if flipped else "lower", extent=(0, 1, 0, 1))
            low, high = ENDS[up][::-1] if flipped else ENDS[up]
            axes.set_xticks([0.06, 0.94], ENDS[across])
            axes.set_yticks([0.06, 0.94], [low, high], rotation=90, va="center")
            axes.set_title(title)
            axes.grid(False)
            axes.tick_params(length=0)
            figure.colorbar(shown, ax=axes, shrink=0.9).locator = MaxNLocator(integer=True)
        return _png(figure)


def rating_shares(cohort: Cohort) -> bytes | None:
    """What readers gave, a bar for each rating; None without ratings."""
    given = {name: [v for n in cohort.nodules for v in n.ratings.get(name, ())] for name in RATINGS}
    given = {name: values for name, values in given.items() if values}
    if not given:
        return None
    colours = matplotlib.colormaps["viridis"](np.linspace(0.1, 0.95, 6))

    def draw(axes: Axes) -> None:
        for row, values in enumerate(given.values()):
            left = 0.0
            for grade in range(1, 7):
                share = 100 * float(np.mean(np.rint(values) == grade))
                axes.barh(row, share, left=left, color=colours[grade - 1], edgecolor="white", lw=0.5)
                if share >= 6:
                    dark = grade <= 3
                    axes.text(left + share / 2, row, str(grade), ha="center", va="center", fontsize=8,
                              color="white" if dark else "black")  # fmt: skip
                left += share
        axes.set_yticks(range(len(given)), list(given))
        axes.invert_yaxis()
        axes.grid(False)
        axes.set(xlabel="% of readings, by the grade given", xlim=(0, 100))

    return _drawn((5.6, 3.6), draw)


def agreements(found: Sequence[Agreement]) -> bytes | None:
    """Alpha of each rating with its interval; None without any."""
    rows = [(a.name, a.alpha) for a in found if not np.isnan(a.alpha.value)]
    return _drawn((5.6, 3.6), lambda axes: _forest(axes, rows, "Krippendorff's alpha", (-0.1, 1))) if rows else None


def effects(found: Sequence[Comparison]) -> bytes | None:
    """Cliff's delta of what was tested; None where nothing was."""
    rows = [(c.feature, c.delta) for c in found if c.delta is not None]
    height = 1.0 + 0.27 * len(rows)
    return _drawn((7.6, height), lambda axes: _forest(axes, rows, "Cliff's delta", (-1, 1))) if rows else None


def _forest(axes: Axes, rows: Sequence[tuple[str, Estimate]], label: str, limits: tuple[float, float]) -> None:
    for row, (_, e) in enumerate(rows):
        axes.plot([e.low, e.high], [row, row], color=INK, lw=2, solid_capstyle="butt")
        axes.plot([e.value], [row], "o", color=INK, ms=6)
    axes.axvline(0, color=QUIET, lw=1)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.invert_yaxis()
    axes.set(xlabel=label, xlim=limits)


def _histogram(axes: Axes, values: np.ndarray[tuple[int], np.dtype[np.float64]], name: str) -> None:
    counts = Counter(values.tolist())
    # A few values again and again are kinds.
    if len(counts) <= min(MOST_KINDS, len(values) / 2) or len(counts) == 1:
        kinds = sorted(counts)
        axes.bar(range(len(kinds)), [counts[kind] for kind in kinds], color=INK, width=0.7)
        axes.set_xticks(range(len(kinds)), [f"{kind:g}" for kind in kinds], rotation=45 if len(kinds) > 5 else 0)
        axes.set_xlim(-0.8, max(len(kinds) - 0.2, 1.8))
    else:
        axes.hist(values, min(30, max(8, len(values) // 20)), color=INK, edgecolor="white", lw=0.5)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(title=name, ylabel="scans")


def _bars(axes: Axes, counts: Counter[str], name: str) -> None:
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(n for _, n in rows[MOST_KINDS:])
    rows = rows[:MOST_KINDS] + ([("others", rest)] if rest else [])
    # Text of headers: no dollar sign may begin a formula.
    words = [word[:22].replace("$", r"\$") for word, _ in rows]
    axes.barh(range(len(rows)), [n for _, n in rows], color=INK, height=0.6)
    axes.set_yticks(range(len(rows)), words)
    axes.set_ylim(max(len(rows), 2) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(title=name, xlabel="scans")


def _drawn(inches: tuple[float, float], draw: Drawing) -> bytes:
    with _style():
        figure = Figure(figsize=inches, layout="constrained")
        draw(figure.subplots())
        return _png(figure)


@contextmanager
def _style() -> Iterator[None]:
    """A user's matplotlibrc must not change what is written."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def _png(figure: Figure) -> bytes:
    written = io.BytesIO()
    # The default metadata names matplotlib's version.
    figure.savefig(written, dpi=DPI, format="png", metadata={"Software": None})
    return written.getvalue()
