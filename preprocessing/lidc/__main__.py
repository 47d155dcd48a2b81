"""`python -m preprocessing.lidc out=DIR headers=...`: LUNA16-style truth out of what the LIDC readers drew."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import MISSING

from preprocessing.annotations import read_annotations, write_annotations
from preprocessing.geometry import Geometry
from preprocessing.lidc.clusters import ClusterSettings
from preprocessing.lidc.consensus import AVERAGES, LidcNodule, as_truth, find_nodules, pixels_to_voxels
from preprocessing.lidc.reading import RATINGS, LidcScan, Reading
from preprocessing.lidc.table import read_table
from preprocessing.lidc.xml import read_xml_folder
from preprocessing.luna16.compare import pair_up, summary
from preprocessing.luna16.files import MAX_THICKNESS_MM, chosen, differences, read_headers, read_series
from runs.csv_text import write_csv
from runs.entry import UsageError, run

log = logging.getLogger(__name__)

COLUMNS = (
    *("seriesuid", "patient_id", "listed", "n_readers", "coordX", "coordY", "coordZ", "voxelX", "voxelY", "voxelZ"),
    *("diameter_mm", "reader_diameters_mm"),
    *(column for name in RATINGS for column in (name, f"{name}_median")),
)


@dataclass(frozen=True)
class LidcSettings:
    """What `preprocessing.lidc.__main__` takes.

    Attributes:
        out: folder for the results; made if missing.
        headers: folder of LUNA16's `.mhd` files, or a CSV of their values; None: no world coordinates.
        seriesuids: LUNA16's list of series; None: the published rule, with its known deviations.
        xml: LIDC XML file or folder to read in place of the table of all 1,018 scans.
        compare: LUNA16's `annotations.csv`, to be compared with.
        min_readers: nodules with fewer stay out of `annotations.csv`.
        average: of the readers' centres and diameters: luna16 or mean.
        max_thickness_mm: of the slices, in the rule.
        cluster: which outlines are the same nodule.
    """

    out: Path = MISSING
    headers: Path | None = None
    seriesuids: Path | None = None
    xml: Path | None = None
    compare: Path | None = None
    min_readers: int = 3
    average: str = "luna16"
    max_thickness_mm: float = MAX_THICKNESS_MM
    cluster: ClusterSettings = field(default_factory=ClusterSettings)

    def __post_init__(self) -> None:
        if self.average not in AVERAGES:
            raise UsageError(f"average must be one of {', '.join(AVERAGES)}; got {self.average}")
        if self.min_readers < 1:
            raise UsageError(f"min_readers must be at least 1, got {self.min_readers}")
        if self.compare is not None and self.headers is None:
            raise UsageError("compare= needs headers=: the official centres are in world mm")


def extract(settings: LidcSettings) -> None:
    """Write `seriesuids.csv`, `nodules.csv` and, where headers are given, `annotations.csv`.

    Raises:
        FileNotFoundError: an input is not there.
        UsageError: an input cannot be read, a listed series has no header, or `out` holds files that must not go.
    """
    out = _folder(settings)
    headers = read_headers(settings.headers) if settings.headers is not None else {}
    official = read_annotations(_existing(settings.compare)) if settings.compare is not None else None
    table = read_table()
    scans = table if settings.xml is None else _from_xml(settings.xml, table, headers)
    listed = _listed(settings, scans, headers)
    nodules = [n for scan in sorted(scans, key=lambda s: s.series_uid) for n in find_nodules(scan, settings.cluster)]
    out.mkdir(parents=True, exist_ok=True)
    (out / "seriesuids.csv").write_text("".join(f"{uid}\n" for uid in sorted(listed)), encoding="utf-8")
    write_csv(out / "nodules.csv", nodule_table(nodules, headers, listed, settings.average))
    agreed = [n for n in nodules if n.scan.series_uid in listed and n.n_readers >= settings.min_readers]
    truth = [as_truth(n, headers[n.scan.series_uid], settings.average) for n in agreed] if headers else []
    if headers:
        write_annotations(out / "annotations.csv", truth)
    else:
        log.info("no headers given: places are in pixels, and there is no annotations.csv")
    _report(nodules, agreed, scans, listed, settings)
    if official is not None:
        log.info("\n".join(summary(pair_up([n for n in official if n.series_uid in listed], truth))))


def nodule_table(
    nodules: Sequence[LidcNodule], headers: Mapping[str, Geometry], listed: set[str], average: str
) -> pd.DataFrame:
    """One row per nodule of any number of readers; lists hold one value per reader, parted by semicolons.

    coordX and coordY are empty where the series has no header. Voxel coordinates count in the header's grid, or else
    in the slices of the table, lowest first.
    """
    return pd.DataFrame([_row(nodule, headers, listed, average) for nodule in nodules], columns=list(COLUMNS))


def _row(nodule: LidcNodule, headers: Mapping[str, Geometry], listed: set[str], average: str) -> dict[str, object]:
    scan = nodule.scan
    geometry = headers.get(scan.series_uid)
    center = nodule.center(average)
    if geometry is None:
        x, y, slice_mm = center.tolist()
        world: tuple[float | None, ...] = (None, None, slice_mm)
        voxel = (x, y, float(np.interp(slice_mm, scan.slice_z_mm, np.arange(len(scan.slice_z_mm)))))
    else:
        world = nodule.center_mm(geometry, average)
        voxel = tuple(pixels_to_voxels(geometry, center)[::-1].tolist())
    row: dict[str, object] = {
        "seriesuid": scan.series_uid,
        "patient_id": scan.patient_id,
        "listed": int(scan.series_uid in listed),
        "n_readers": nodule.n_readers,
        **{f"coord{axis}": _text(value) for axis, value in zip("XYZ", world, strict=True)},
        **{f"voxel{axis}": _text(value) for axis, value in zip("XYZ", voxel, strict=True)},
        "diameter_mm": _text(nodule.diameter_mm(average)),
        "reader_diameters_mm": ";".join(_text(value) for value in nodule.diameters_mm.tolist()),
    }
    medians = nodule.medians()
    for name in RATINGS:
        row[name] = ";".join(map(str, nodule.ratings(name)))
        row[f"{name}_median"] = f"{medians[name]:g}"
    return row


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _folder(settings: LidcSettings) -> Path:
    """`out`, unless this run would write over its own inputs or leave an older truth beside its results."""
    out = settings.out
    for given in (settings.headers, settings.seriesuids, settings.compare):
        if given is not None and given.resolve().parent == out.resolve():
            raise UsageError(f"out must be another folder than that of {given.name}, which could be overwritten")
    if settings.headers is None and (out / "annotations.csv").exists():
        raise UsageError(f"{out} holds an annotations.csv, which a run without headers= cannot renew; choose another")
    return out


def _from_xml(path: Path, table: Sequence[LidcScan], headers: Mapping[str, Geometry]) -> list[LidcScan]:
    """Readings of the files, on scans known from the table or else from their headers."""
    known = {scan.series_uid: scan for scan in table}
    return [_joined(uid, readings, known, headers) for uid, readings in read_xml_folder(path).items()]


def _joined(
    uid: str, readings: tuple[Reading, ...], known: Mapping[str, LidcScan], headers: Mapping[str, Geometry]
) -> LidcScan:
    """A header does not state the slice thickness: the spacing stands for it."""
    if uid in known:
        scan = known[uid]
        return LidcScan(
            uid, scan.patient_id, scan.slice_thickness_mm, scan.pixel_spacing_mm, scan.slice_z_mm, readings
        )
    if uid not in headers:
        raise UsageError(f"series {uid} of the XML is not in the LIDC table, so it needs a header (headers=)")
    geometry = headers[uid]
    ends = geometry.to_world([[0, 0, 0], [geometry.shape_zyx[0] - 1, 0, 0]])[:, 2]
    slices = np.linspace(ends.min(), ends.max(), geometry.shape_zyx[0])
    return LidcScan(uid, "", geometry.spacing_mm[2], geometry.spacing_mm[0], slices, readings)


def _listed(settings: LidcSettings, scans: Sequence[LidcScan], headers: Mapping[str, Geometry]) -> set[str]:
    """Series whose nodules become truth; every scan on which the list and the rule disagree is named."""
    present = {scan.series_uid for scan in scans}
    if settings.seriesuids is None:
        listed = chosen(scans, settings.max_thickness_mm)
        source = "the rule and its known deviations"
    else:
        every = set(read_series(settings.seriesuids))
        source = settings.seriesuids.name
        if settings.xml is None and not every <= present:
            raise UsageError(f"{source} must list LIDC series; {_some(every - present)} not among the 1,018")
        listed = every & present
    if headers and not listed <= headers.keys():
        raise UsageError(f"every listed series must have a header; {_some(listed - headers.keys())} without one")
    named = differences(scans, listed, settings.max_thickness_mm)
    log.info("%d of %d scans by %s; the rule alone differs on %d", len(listed), len(scans), source, len(named))
    for sentence in named:
        log.info("  %s", sentence)
    return listed


def _report(
    nodules: Sequence[LidcNodule],
    agreed: Sequence[LidcNodule],
    scans: Sequence[LidcScan],
    listed: set[str],
    settings: LidcSettings,
) -> None:
    log.info("%d nodules in %d scans, %d in the listed %d", len(nodules), len(scans),
             sum(n.scan.series_uid in listed for n in nodules), len(listed))  # fmt: skip
    log.info("%d of those have at least %d readers", len(agreed), settings.min_readers)
    crowded = sorted({n.scan.patient_id for n in nodules if n.n_readers > settings.cluster.most_readers})
    if crowded:
        log.info(
            "%d scans have neighbours that could not be told apart, more than %d outlines in one nodule: %s",
            len(crowded), settings.cluster.most_readers, ", ".join(crowded),
        )  # fmt: skip


def _some(uids: set[str]) -> str:
    return f"{len(uids)} (such as {min(uids)})"


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    return path


def main() -> None:
    """Entry point."""
    run(extract, LidcSettings, "lidc")


if __name__ == "__main__":
    main()
