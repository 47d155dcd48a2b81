"""The page: one self-contained HTML file that loads from disk; its only script is our own, known by its hash."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lungscreen.eda import figures
from lungscreen.eda.agreement import Agreement
from lungscreen.eda.comparisons import Comparison
from lungscreen.eda.facts import Cohort
from lungscreen.eda.problems import Problem
from lungscreen.eda.settings import EdaSettings
from lungscreen.eda.view3d import as_json, scenes
from runs.writing import whole

# Ids that a row of the problems shows; all stand in problems.csv.
MOST_NAMED = 6


def write_page(
    path: Path,
    cohort: Cohort,
    found: Sequence[Problem],
    compared: Sequence[Comparison],
    agreed: Sequence[Agreement],
    settings: EdaSettings,
) -> None:
    """Write the page; the same facts give the same bytes.

    Args:
        path: of the file; its folder exists.
        cohort: the facts.
        found: its problems, in order.
        compared: its tests.
        agreed: how far its readers agree.
        settings: what was asked for.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("lungscreen.eda"), PackageLoader("lungscreen.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(p=p_words, signed=lambda v: f"{v:+.2f}", two=_two, png=_data_uri)
    script = environment.get_template("view3d.js").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    shown = [scan for scan in cohort.scans if scan.lungs][: settings.view.pictures]
    text = environment.get_template("eda.html.j2").render(
        cohort=cohort,
        counts=_counts(cohort),
        problems=found,
        most_named=MOST_NAMED,
        acquisition=figures.acquisition(cohort),
        densities=figures.densities(cohort, settings.histogram),
        volumes=figures.lung_volumes(cohort),
        pictures=shown,
        unseen=sum(scan.lungs is not None for scan in cohort.scans) - len(shown),
        sizes=figures.sizes(cohort),
        places=figures.places(cohort),
        ratings=figures.rating_shares(cohort),
        agreements=figures.agreements(agreed),
        agreed=agreed,
        effects=figures.effects(compared),
        compared=compared,
        settings=settings,
        scenes=Markup(as_json(scenes(cohort, settings.view.scans))),
        names=[scene["name"] for scene in scenes(cohort, settings.view.scans)],
        script=Markup(script),
        digest=digest,
    )
    with whole(path) as part:
        part.write_text(text, encoding="utf-8", errors="replace", newline="\n")


def p_words(value: float) -> str:
    """A p-value as papers print it."""
    if math.isnan(value):
        return "–"
    if value < 1e-4:
        return "< .0001"
    return f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def _two(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _counts(cohort: Cohort) -> dict[str, str]:
    read = [scan for scan in cohort.scans if scan.status == "ok"]
    found = {
        "patients": f"{len(cohort.patients):,}",
        "scans read": f"{len(read):,}",
        "scans refused": f"{len(cohort.scans) - len(read):,}",
        "nodules": f"{len(cohort.nodules):,}",
        "readings": f"{sum(n.n_readers for n in cohort.nodules):,}",
    }
    volumes = [scan.lungs.volume_ml / 1000 for scan in read if scan.lungs]
    if volumes:
        found["median air-filled lung"] = f"{np.median(volumes):.1f} l"
    if cohort.labels:
        found["with cancer"] = f"{sum(cohort.labels.get(p, 0) for p in cohort.patients):,}"
    return found
