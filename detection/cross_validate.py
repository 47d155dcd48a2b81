"""`python -m detection.cross_validate experiment=luna16 data.hosts=[...] out=...`: every scan found by a network that
never saw its patient, and one FROC over all of them.

Each fold leaves its files whole, the last of them a stamp of what they were made with, so that a run that was cut goes
on and ends with the bytes of one that was not.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from detection.candidate import Candidate, write_candidates
from detection.detect import Search, caches
from detection.detector import InferenceSettings, NoduleDetector, load_detector
from detection.evaluate import EvaluateSettings, evaluate, write
from detection.froc.report import Report, lines
from detection.train import train
from detection.training.chests import WIDE, open_archive
from detection.training.settings import TrainSettings
from preprocessing.annotations import Nodule, write_annotations
from preprocessing.archives.archive import Archive
from preprocessing.archives.stored import default_store, store_scans
from preprocessing.cohort import for_each_scan, summary, write_scans
from preprocessing.intake.scan import Scan
from preprocessing.splits import SplitSettings
from runs.cache import code_digest
from runs.entry import UsageError, run
from runs.writing import whole, write_json

log = logging.getLogger(__name__)

CANDIDATES, ANNOTATIONS = "candidates.csv", "annotations.csv"
EXCLUDED, SERIES = "annotations_excluded.csv", "seriesuids.csv"
# Written last in the folder of a fold.
STAMP = "made_with.json"


@dataclass(frozen=True, kw_only=True)
class CrossValidateSettings(TrainSettings):
    """What `detection.cross_validate` takes beside the settings of a training, `out` being the folder of all folds.

    Attributes:
        folds: held out in turn; none: all parts of the collection.
        inference: how a held-out scan becomes candidates.
        allow: guards of the evaluation that may not stop.
    """

    folds: tuple[int, ...] = ()
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    allow: tuple[str, ...] = ()


def cross_validate(settings: CrossValidateSettings) -> Report:
    """Train and detect fold by fold, pool, and score.

    Raises:
        UsageError: the data are in no parts, there is no such part, or see `train` and `evaluate`.
    """
    archive = open_archive(settings.data)
    if archive is None:
        raise UsageError("cross-validation needs data in parts: data=luna16 or data=lidc")
    folds = _chosen(settings.folds, archive)
    parts = [_fold(settings, archive, fold) for fold in folds]
    pooled = settings.out / ("pooled" if len(folds) == archive.parts else f"pooled-{'-'.join(map(str, folds))}")
    pooled.mkdir(parents=True, exist_ok=True)
    for name in (CANDIDATES, ANNOTATIONS, EXCLUDED, SERIES):
        _join([part / name for part in parts], pooled / name, headings=name != SERIES)
    report = evaluate(
        EvaluateSettings(
            candidates=pooled / CANDIDATES,
            annotations=pooled / ANNOTATIONS,
            excluded=pooled / EXCLUDED,
            seriesuids=pooled / SERIES,
            out=pooled,
            allow=tuple(settings.allow),
        )
    )
    write(report, pooled)
    return report


def training_of(settings: CrossValidateSettings, archive: Archive, fold: int) -> TrainSettings:
    """The training that holds a fold out, in a folder of its own."""
    values = {f.name: getattr(settings, f.name) for f in fields(TrainSettings)}
    data = replace(settings.data, split=_holding_out(settings.data.split, archive, fold))
    return TrainSettings(**{**values, "out": settings.out / f"fold{fold}", "data": data})


def _holding_out(split: SplitSettings, archive: Archive, fold: int) -> SplitSettings:
    validation = split.validation_fold
    if archive.setting == "held_out_fold" and validation == fold:
        validation = (fold + 1) % archive.parts
    held: dict[str, Any] = {archive.setting: fold, "validation_fold": validation}
    return replace(split, **held)


def _chosen(wanted: Sequence[int], archive: Archive) -> list[int]:
    wrong = [fold for fold in wanted if not 0 <= fold < archive.parts]
    if wrong:
        raise UsageError(f"folds must be among 0 to {archive.parts - 1} of {archive.name}, got {wrong[0]}")
    chosen = sorted(set(wanted)) or list(range(archive.parts))
    empty = [fold for fold in chosen if not archive.members(fold)]
    if empty:
        raise UsageError(f"{archive.name} has no scan of fold {empty[0]} here: name those to run, folds=[...]")
    return chosen


def _fold(settings: CrossValidateSettings, archive: Archive, fold: int) -> Path:
    """The folder with what the network of a fold finds in the scans it did not see, and with their truth."""
    training = training_of(settings, archive, fold)
    weights = train(training, archive)
    folder = training.out / "held_out"
    scans = archive.members(fold)
    detector = load_detector(weights, settings.inference)
    stamp = _stamp(detector, scans)
    if (folder / STAMP).is_file() and json.loads((folder / STAMP).read_text(encoding="utf-8")) == stamp:
        return folder
    folder.mkdir(exist_ok=True)
    (folder / STAMP).unlink(missing_ok=True)
    listed = _write_truth(settings, archive, scans, folder)
    search = Search(detector, *caches(True))
    found: list[Candidate] = []

    def work(scan: Scan) -> tuple[str, ...]:
        prepared, candidates = search.run(scan)
        found.extend(candidates)
        return prepared.warnings

    done = for_each_scan(listed, work)
    with whole(folder / CANDIDATES) as part:
        write_candidates(part, found)
    with whole(folder / "scans.csv") as part:
        write_scans(part, done)
    write_json(folder / STAMP, stamp)
    log.info("fold %d: %s; %d candidates", fold, summary(done), len(found))
    return folder


def _stamp(detector: NoduleDetector, scans: Sequence[Scan]) -> dict[str, Any]:
    """Weights and numbers of inference, code, scans."""
    code = [code_digest(module) for module in ("detection.detector", type(detector.model).__module__)]
    return {**detector.provenance, "code": code, "scans": [scan.series_uid for scan in scans]}


def _write_truth(settings: CrossValidateSettings, archive: Archive, scans: Sequence[Scan], folder: Path) -> list[Scan]:
    """Nodules, ignored findings and the series they are known of, which come back. A refused scan counts too, where
    its truth needs no pixels.
    """
    data, grids = settings.data, {}
    if any(archive.truth(scan.series_uid, None) is None for scan in scans):
        stored = store_scans(scans, data.store or default_store(), WIDE, data.jobs)
        grids = {entry.series_uid: entry.pixel_grid for _, entry in stored if entry is not None}
    found = [(scan, archive.truth(scan.series_uid, grids.get(scan.series_uid))) for scan in scans]
    known = [(scan, truth) for scan, truth in found if truth is not None]
    uids = {scan.series_uid for scan, _ in known}
    nodules = [nodule for _, truth in known for nodule in truth.nodules]
    places = [place for _, truth in known for place in truth.ignored]
    places += [place for place in data.ignored if place.seriesuid in uids]
    ignored = [Nodule(place.seriesuid, place.center_mm, place.diameter_mm) for place in places]
    with whole(folder / ANNOTATIONS) as part:
        write_annotations(part, nodules)
    with whole(folder / EXCLUDED) as part:
        write_annotations(part, ignored)
    with whole(folder / SERIES) as part:
        part.write_text("".join(f"{scan.series_uid}\n" for scan, _ in known), encoding="utf-8")
    return [scan for scan, _ in known]


def _join(parts: Sequence[Path], out: Path, headings: bool) -> None:
    """The lines of all parts, under one heading where they have one."""
    texts = [part.read_text(encoding="utf-8").splitlines(keepends=True) for part in parts]
    heading = texts[0][:1] if headings else []
    rows = [*heading, *(line for text in texts for line in text[len(heading) :])]
    with whole(out) as part:
        part.write_text("".join(rows), encoding="utf-8")


def command(settings: CrossValidateSettings) -> None:
    """`cross_validate`, for the command line: says what came of it."""
    for line in lines(cross_validate(settings)):
        log.info("%s", line)


def main() -> None:
    """Entry point."""
    run(command, CrossValidateSettings, "detection_cross_validate")


if __name__ == "__main__":
    main()
