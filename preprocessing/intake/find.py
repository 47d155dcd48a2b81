"""Find every scan under a path, in any nesting, and say of each whether it can be read; no pixel is decoded here."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tqdm import tqdm

from preprocessing.intake.archive import Budget, OverBudgetError, is_passed_over, remove, unpack, unpack_slice
from preprocessing.intake.image_scans import image_scans
from preprocessing.intake.images import image_ending
from preprocessing.intake.scan import Reason, Scan, ScanError, SeriesKind, known
from preprocessing.intake.series.acquisitions import parts_of
from preprocessing.intake.series.collected import Series
from preprocessing.intake.series.kinds import kind_of, kind_warnings
from preprocessing.intake.series.told import Told, told_of_each
from preprocessing.intake.stack import STRAY_SHARE, stack_of
from runs.csv_text import unicode

# Never DICOM, often beside it: not worth opening.
OTHER_ENDINGS = (
    ".xml", ".csv", ".tsv", ".txt", ".md", ".json", ".yaml", ".yml", ".png", ".jpg", ".jpeg", ".gif", ".pdf", ".html",
    ".htm", ".py", ".raw", ".zraw", ".gz", ".tar", ".xlsx", ".exe", ".inf", ".db", ".npz", ".npy", ".safetensors",
)  # fmt: skip


@dataclass(slots=True)
class _Harvest:
    series: dict[tuple[str, str], Series] = field(default_factory=dict)
    images: list[tuple[Path, str]] = field(default_factory=list)
    refused: list[Scan] = field(default_factory=list)
    # Files that should have been DICOM, by folder.
    broken: dict[Path, list[ScanError]] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    unpacked: list[Path] = field(default_factory=list)


def find_scans(source: Path) -> list[Scan]:
    """Every scan under `source`, also the refused ones, in a fixed order.

    Args:
        source: a DICOM folder in any nesting, a zip of one, a DICOMDIR, one DICOM or image file (.mhd, .mha, .nii,
            .nii.gz, .nrrd), or a folder of all of these.

    Raises:
        FileNotFoundError: nothing is there.
    """
    if not source.exists():
        raise FileNotFoundError(f"no such file or folder: {source}")
    if source.name.upper() == "DICOMDIR" and source.is_file():
        source = source.parent
    harvest = _Harvest()
    files = list(_walk(source, harvest))
    harvest.images = [(path, name) for path, name in files if image_ending(path)]
    worth = [path for path, _ in files if not image_ending(path) and _worth_opening(path)]
    for path, told in zip(
        tqdm(worth, desc="reading headers", unit="file", delay=1, leave=False), told_of_each(worth), strict=True
    ):
        _take(path, told, harvest)
    scans = [scan for (_, uid), series in harvest.series.items() for scan in _scans(uid, series, harvest)]
    scans = _say_several_studies(scans)
    taken = {scan.series_uid for scan in scans}
    scans = (
        _refuse_shared_uids(scans) + image_scans(harvest.images, taken) + harvest.refused + _broken_folders(harvest)
    )
    if scans:
        return scans
    name = unicode(source.stem if source.is_file() else source.name)
    if not files:
        return [Scan(name, "", (), Reason.EMPTY_FOLDER, "the folder holds no files")]
    return [Scan(name, "", (), Reason.NOT_DICOM, f"none of {len(files)} file(s) is a DICOM image or a known format")]


def _walk(source: Path, harvest: _Harvest, depth: int = 0) -> Iterator[tuple[Path, str]]:
    """Files with their place below the source; zips are unpacked on the way, empty folders noted.

    `depth` says in how many archives the source lies.
    """
    if source.is_file():
        yield from _opened(source, source.name, harvest, depth)
        return
    seen: set[str] = set()
    for folder, below, names in os.walk(source, followlinks=True):
        below[:] = sorted(d for d in below if not d.startswith(".") and d != "__MACOSX")
        real = os.path.realpath(folder)
        if real in seen:  # a link back upwards
            below.clear()
            continue
        seen.add(real)
        here = Path(folder)
        if not below and not names and here != source:
            harvest.refused.append(Scan(unicode(here.name), "", (), Reason.EMPTY_FOLDER, "the folder holds no files"))
        for name in sorted(n for n in names if not n.startswith(".")):
            yield from _opened(here / name, (here / name).relative_to(source).as_posix(), harvest, depth)


def _opened(path: Path, name: str, harvest: _Harvest, depth: int) -> Iterator[tuple[Path, str]]:
    if is_passed_over(path):
        detail = "archives of this kind are not unpacked; unpack it, or make it a .zip"
        harvest.refused.append(Scan(unicode(path.name), "", (path,), Reason.UNREADABLE, detail))
        return
    if path.suffix.lower() != ".zip":
        yield _plain(path, harvest), name
        return
    noted, made, budget = len(harvest.refused), len(harvest.unpacked), replace(harvest.budget)
    try:
        folder = unpack(path, harvest.budget, depth)
        harvest.unpacked.append(folder)
        inside = list(_walk(folder, harvest, depth + 1))
        if not inside:
            raise ScanError(Reason.EMPTY_FOLDER, "the zip archive holds no files")
    except ScanError as error:
        if isinstance(error, OverBudgetError):
            # An archive that goes too far is refused once, as the user knows it, with all that was in it.
            if depth:
                raise
            for folder in harvest.unpacked[made:]:
                remove(folder)
            del harvest.refused[noted:], harvest.unpacked[made:]
            harvest.budget = budget
        harvest.refused.append(Scan(unicode(path.stem), "", (path,), error.reason, error.detail))
        return
    yield from ((file, f"{name}/{place}") for file, place in inside)


def _plain(path: Path, harvest: _Harvest) -> Path:
    """The file itself, or what it unpacks to when it is a packed slice."""
    if path.suffix.lower() != ".gz" or image_ending(path) or not path.is_file():
        return path
    try:
        return unpack_slice(path, harvest.budget) or path
    except ScanError as error:
        harvest.broken.setdefault(path.parent, []).append(error)
        return path


def _worth_opening(path: Path) -> bool:
    return path.suffix.lower() not in OTHER_ENDINGS and path.name.upper() != "DICOMDIR" and path.is_file()


def _take(path: Path, told: Told | ScanError | None, harvest: _Harvest) -> None:
    """Sort one file into the harvest."""
    if told is None:
        return
    if isinstance(told, ScanError):
        harvest.broken.setdefault(path.parent, []).append(told)
        return
    series = harvest.series.setdefault((told.patient_id, told.series_uid), Series(told.patient_id))
    series.take(path, told)


def _scans(uid: str, series: Series, harvest: _Harvest) -> list[Scan]:
    """The scan of a series, or one for each of its acquisitions."""
    warnings = series.settle()
    if not series.patient_id:
        warnings.append("missing_patient_id: PatientID is empty, the series stands for its patient")
    found = Scan(
        series.patient_id or uid, uid, tuple(series.paths), study_uid=series.study_uid, study_date=series.study_date
    )
    try:
        if not uid:
            raise ScanError(Reason.MISSING_TAG, "SeriesInstanceUID is missing")
        warnings += _strays(series)
        parts = parts_of(series.slices)
        images = [image for image in series.slices if not image.localiser]
        kind = kind_of(series.image_types, series.description, images[0]) if images else SeriesKind.ORIGINAL
        stacks = [stack_of(part) for part, _ in parts]
    except Exception as error:
        reason = known(error)
        return [replace(found, refused=reason.reason, detail=reason.detail, warnings=tuple(warnings))]
    lost = sum(len(harvest.broken.pop(folder, [])) for folder in sorted({path.parent for path in series.paths}))
    if lost:
        warnings.append(f"broken_files: {lost} file(s) beside the series are damaged or no DICOM")
    scans = []
    for number, (stack, (_, tags)) in enumerate(zip(stacks, parts, strict=True), 1):
        said = [*warnings, *stack.warnings, *kind_warnings(kind)]
        if tags:
            of = f"{number} of {len(parts)}, told apart by {' and '.join(tags)}"
            said.append(f"split_series: the series holds several acquisitions; this is {of}")
        frames: dict[Path, list[int]] = {}
        for image in stack.slices:
            frames.setdefault(image.path, []).append(image.frame)
        scan = replace(found, paths=tuple(frames), warnings=tuple(said), kind=kind)
        if tags:
            scan = replace(scan, series_uid=f"{uid}_{number}", frames=tuple(tuple(sorted(f)) for f in frames.values()))
        scans.append(scan)
    return scans


def _strays(series: Series) -> list[str]:
    """Foreign images in a series are left out when they are few; any other fault refuses the series."""
    if not series.errors:
        return []
    total = len(series.errors) + len(series.slices)
    foreign = all(e.reason in (Reason.NOT_CT, Reason.NOT_MONOCHROME) for e in series.errors)
    if foreign and len(series.errors) <= STRAY_SHARE * total:
        return [f"stray_images: {len(series.errors)} image(s) that are no CT slices were left out"]
    reason, _ = Counter(e.reason for e in series.errors).most_common(1)[0]
    first = next(e for e in series.errors if e.reason == reason)
    raise ScanError(reason, f"{first.detail} ({len(series.errors)} of {total} images at fault)")


def _refuse_shared_uids(scans: list[Scan]) -> list[Scan]:
    """One SeriesInstanceUID under two patients: their results could not be told apart."""
    owners = Counter(s.series_uid for s in scans)
    detail = "the same SeriesInstanceUID belongs to more than one PatientID"
    return [
        replace(s, refused=Reason.BAD_VALUE, detail=detail) if s.series_uid and owners[s.series_uid] > 1 else s
        for s in scans
    ]


def _say_several_studies(scans: list[Scan]) -> list[Scan]:
    """One PatientID over several studies: one person over the years, or several people anonymised to one name."""
    studies: dict[str, set[str]] = {}
    for scan in scans:
        studies.setdefault(scan.patient_id, set()).add(scan.study_uid)
    said = []
    for scan in scans:
        many = len(studies[scan.patient_id])
        what = f"the PatientID stands for {many} studies, each a row of its own; they may be of different people"
        said.append(replace(scan, warnings=(*scan.warnings, f"several_studies: {what}")) if many > 1 else scan)
    return said


def _broken_folders(harvest: _Harvest) -> list[Scan]:
    """A folder whose DICOM files are all damaged is a refused scan of that name, not a silence."""
    scans = []
    for folder, errors in harvest.broken.items():
        reason, n = Counter(e.reason for e in errors).most_common(1)[0]
        detail = next(e.detail for e in errors if e.reason == reason)
        scans.append(
            Scan(unicode(folder.name), "", (folder,), reason, f"{detail} ({n} of {len(errors)} damaged files)")
        )
    return scans
