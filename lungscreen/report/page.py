"""The pages people read: one self-contained HTML file per scan and an index. No network, no script, no clock.

Pages are written one at a time while a cohort runs: only `PageLink`s are kept, never images.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from classification.assessment import NoduleAssessment, PatientReport
from classification.bags.interface import probability_of
from classification.heat_map import HeatMap
from classification.network import RATING_SCALES
from detection.pictures.key_images import PANEL_PX, file_stem, key_views, overview, png_bytes
from lungscreen.report.facts import facts
from lungscreen.report.heat_view import heat_view
from lungscreen.report.parts import Part, Parts, parts_of
from lungscreen.report.wording import RATING_ENDS, fixed, grid, in_hundred, percent, place, slice_words, tail, warning
from preprocessing.intake.scan import Scan
from preprocessing.prepare import PreparedScan
from runs.writing import whole

TOP = 5
OVERVIEW_PX = 560
NAV = Markup('<nav aria-label="Run"><a href="index.html">All scans of this run</a></nav>')
REFUSED_PLACE = "<!--refused-scans-->"


@dataclass(frozen=True, slots=True)
class PageLink:
    """What the index says about one page.

    Attributes:
        file: name of the page inside the report folder.
        patient_id, series_uid: of the scan.
        probability: of the patient, in [0, 1].
        nodules: how many were assessed.
        largest_mm: largest diameter, 0 without nodules.
        warnings: of the report.
    """

    file: str
    patient_id: str
    series_uid: str
    probability: float
    nodules: int
    largest_mm: float
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Rating:
    name: str
    value: float
    low: str
    high: str
    part: float


@dataclass(frozen=True, slots=True)
class _Row:
    """One nodule as the page shows it."""

    rank: int
    place: str
    slice: str
    center: str
    diameter_mm: float
    volume_mm3: float
    score: float
    chance: float
    suspicion: float
    part: Part
    without: float
    ratings: tuple[_Rating, ...]
    facts: tuple[tuple[str, str], ...]
    views: tuple[tuple[str, str], ...]
    heat: str


def page_name(series_uid: str) -> str:
    """The file of a scan's page in the report folder."""
    return f"{file_stem(series_uid)}.html"


def page_link(report: PatientReport) -> PageLink:
    """Where a report's page is and what the index says of it; needs no page and no pixels."""
    largest = max((n.candidate.diameter_mm for n in report.nodules), default=0.0)
    return PageLink(
        page_name(report.series_uid),
        report.patient_id,
        report.series_uid,
        report.cancer_probability,
        len(report.nodules),
        largest,
        report.warnings,
    )


def write_patient_page(
    folder: Path,
    report: PatientReport,
    prepared: PreparedScan,
    notes: Sequence[str] = (),
    top: int = TOP,
    heat_maps: Sequence[HeatMap] = (),
) -> PageLink:
    """Write one scan's page; the same report and scan give the same bytes.

    Args:
        folder: the report folder, made when missing.
        report: what to say.
        prepared: the scan it is about, for the images.
        notes: further caveats, a sentence each (what the weights were trained on).
        top: nodules shown with images; all are in the table.
        heat_maps: of the first nodules of the report, in its order.

    Raises:
        ValueError: the report is about another series than the scan.
    """
    if report.series_uid != prepared.volume.series_uid:
        raise ValueError("the report is about another series than the prepared scan")
    locator = overview(prepared, [n.candidate for n in report.nodules], height_px=OVERVIEW_PX)
    parts = parts_of(report)
    link = page_link(report)
    page = (
        _environment()
        .get_template("patient.html.j2")
        .render(
            report=report,
            p=report.cancer_probability,
            summed=report.cancer_probability if report.uncalibrated is None else report.uncalibrated,
            filled=round(100 * report.cancer_probability),
            rows=_rows(report, prepared, parts, top, heat_maps),
            parts=parts,
            leak_probability=probability_of(report.adds_up_to, [report.leak]),
            locator=_data_uri(locator),
            locator_size=locator.size,
            panel_px=PANEL_PX,
            source=grid(prepared.source_geometry),
            notes=notes,
            nav=NAV,
        )
    )
    _write(folder / link.file, page)
    return link


def write_index(folder: Path, links: Sequence[PageLink], refused: Sequence[Scan] = ()) -> Path:
    """Write `index.html`: all pages, highest probability first, and the refused scans with their reasons.

    With a single page the index is that page itself, with the refused scans added.
    """
    environment = _environment()
    if len(links) == 1:
        section = environment.get_template("refused.html.j2").render(refused=refused)
        page = (folder / links[0].file).read_text(encoding="utf-8")
        text = page.replace(str(NAV), "").replace(REFUSED_PLACE, section)
    else:
        ordered = sorted(links, key=lambda k: (-k.probability, k.patient_id, k.series_uid))
        text = environment.get_template("index.html.j2").render(links=ordered, refused=refused)
    path = folder / "index.html"
    _write(path, text)
    return path


def _rows(
    report: PatientReport, prepared: PreparedScan, parts: Parts, top: int, heat_maps: Sequence[HeatMap]
) -> list[_Row]:
    rows = []
    for index, nodule in enumerate(report.nodules):
        candidate, measured = nodule.candidate, nodule.measurements
        views = key_views(prepared, candidate) if index < top else {}
        diameter = candidate.diameter_mm
        rows.append(
            _Row(
                rank=index + 1,
                place=place(measured),
                slice=slice_words(prepared.source_geometry, candidate.center_mm),
                center=", ".join(fixed(v, 1) for v in candidate.center_mm),
                diameter_mm=diameter,
                volume_mm3=float(measured.get("volume_mm3", math.pi / 6 * diameter**3)),
                score=candidate.score,
                chance=nodule.chance,
                suspicion=nodule.malignancy,
                part=parts.nodules[index],
                without=nodule.risk_without,
                ratings=_ratings(nodule),
                facts=facts(nodule),
                views=tuple((name, _data_uri(image)) for name, image in views.items()),
                heat=_data_uri(heat_view(prepared, candidate, heat_maps[index])) if index < len(heat_maps) else "",
            )
        )
    return rows


def _ratings(nodule: NoduleAssessment) -> tuple[_Rating, ...]:
    found = []
    for name, (low, high) in RATING_SCALES.items():
        if name in nodule.attributes:
            value, ends = nodule.attributes[name], RATING_ENDS.get(name, (f"{low:g}", f"{high:g}"))
            found.append(_Rating(name.capitalize(), value, *ends, (value - low) / (high - low)))
    return tuple(found)


def _data_uri(image: Image.Image) -> str:
    return "data:image/png;base64," + base64.b64encode(png_bytes(image)).decode("ascii")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("lungscreen.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent,
        fixed=fixed,
        whole=lambda v: f"{v:,.0f}",
        width=lambda v: f"{100 * min(max(v, 0.0), 1.0):.1f}%",
        flex=lambda v: f"{v:.4f}",
        in_hundred=in_hundred,
        tail=tail,
        reason=lambda reason: str(reason).replace("_", " "),
        warnings=lambda found: [warning(w) for w in found],
    )
    return environment


def _write(path: Path, text: str) -> None:
    """Whole or not at all: a killed run leaves no half page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part:
        part.write_text(text, encoding="utf-8", errors="replace", newline="\n")
