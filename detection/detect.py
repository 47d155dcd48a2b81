"""`python -m detection.detect input=... out=...`: stage 1 on every scan found under a path."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from detection.candidate import Candidate, write_candidates
from detection.candidate_cache import detect_cached
from detection.detector import InferenceSettings, NoduleDetector, load_detector, read_weights
from detection.leavings import remove_results
from detection.models.interface import chosen_kind
from detection.pictures.key_images import write_key_images
from detection.weak_spots import weak_spots
from phantom.make import RECIPE_VERSION, make_cohort
from preprocessing.cohort import summary, write_scans
from preprocessing.intake.scan import Scan
from preprocessing.journal.going import Cohort, go_through
from preprocessing.journal.listing import list_scans
from preprocessing.journal.record import Answer, Record
from preprocessing.journal.settings import CohortSettings
from preprocessing.prepare import PreparedScan, PrepareSettings, default_cache, prepare_scan
from runs.cache import cache_folder, code_digest
from runs.entry import UsageError, run

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DetectSettings(CohortSettings):
    """What `detection.detect` takes: how it goes through a cohort, and

    Attributes:
        input: DICOM folder, zip, image file or folder of these; None: a cohort of phantoms, made on first use.
        out: folder for the results; made if missing.
        model: which detector; None: what the weights' card says.
        weights: its weights, a name or a path; None: the shipped ones, or those that others publish of that detector.
        inference: how a scan becomes candidates.
        key_images: of how many candidates a scan.
        cache: keep prepared scans and candidates between runs.
        phantoms: size of the phantom cohort.
        dicom: write the results as DICOM objects too, for scans that came as DICOM.
        dicom_images: the key images as secondary captures among them.
    """

    input: Path | None = None
    out: Path = Path("outputs/detect")
    model: Any = None
    weights: Path | None = None
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    key_images: int = 5
    cache: bool = True
    phantoms: int = 8
    dicom: bool = False
    dicom_images: bool = False

    def __post_init__(self) -> None:
        CohortSettings.__post_init__(self)
        object.__setattr__(self, "model", chosen_kind(self.model))
        if self.key_images < 0 or self.phantoms < 1:
            got = f"{self.key_images} and {self.phantoms}"
            raise UsageError(f"key_images= must be at least 0 and phantoms= at least 1, got {got}")
        if self.dicom_images and not self.dicom:
            raise UsageError("dicom_images=true needs dicom=true")
        if self.dicom and find_spec("highdicom") is None:
            raise UsageError("dicom=true needs highdicom: pip install 'lungscreen[dicom]'")

    def decides(self) -> dict[str, str]:
        """What the candidates and the pictures follow from, besides the scans.

        Raises:
            FileNotFoundError, UsageError: see `read_weights`.
        """
        _, card = read_weights(self.weights, self.model)
        return {
            "detector": str(card["sha256"]),
            "inference": json.dumps(asdict(self.inference)),
            "key_images": str(self.key_images),
            "dicom": str((self.dicom, self.dicom_images)),
            "version": version("lungscreen"),
        }


def detect(settings: DetectSettings) -> int:
    """Write `candidates.csv`, `scans.csv`, `key_images/`, `dicom/` if wanted; 1 when not a single scan could be read.

    Raises:
        FileNotFoundError: no such input or weights.
        UsageError: see `go_through`.
    """
    out = settings.out
    source = source_of(settings.input, settings.phantoms)
    scans = list_scans(source, settings.listing)
    decides = {**settings.decides(), "code": code_digest("detection.detect")}
    cohort = Cohort("detect", source, scans, decides, out)
    done = go_through(cohort, Detecting(settings), settings, remove_results, partial(write_tables, out))
    log.info("%s; tables in %s", summary([record.scan for record in done]), out)
    return int(bool(done) and all(record.scan.refused for record in done))


@dataclass(frozen=True)
class Detecting:
    """Stage 1, made where it works."""

    settings: DetectSettings

    def __call__(self) -> Callable[[Scan], Answer]:
        settings = self.settings
        search = Search(load_detector(settings.weights, settings.inference, settings.model), *caches(settings.cache))

        def work(scan: Scan) -> Answer:
            prepared, candidates = search.run(scan)
            found = {"candidates": [asdict(c) for c in candidates]}
            images = write_key_images(prepared, candidates, settings.out / "key_images", settings.key_images)
            files, warnings = [f"key_images/{path.name}" for path in images], prepared.warnings
            if settings.dicom:
                from detection.dicom_out.write import write_candidate_report  # of an extra

                folder, pictures = settings.out / "dicom", images if settings.dicom_images else ()
                written = write_candidate_report(candidates, search.detector.provenance, scan, folder, pictures)
                files += [f"dicom/{path.name}" for path in written.paths]
                warnings = (*warnings, *written.warnings)
            return Answer(warnings, found, tuple(files), search.detector.provenance)

        return work


def write_tables(out: Path, records: Sequence[Record]) -> None:
    """`candidates.csv` and `scans.csv` of these records."""
    write_candidates(out / "candidates.csv", [c for record in records for c in candidates_of(record)])
    write_scans(out / "scans.csv", [record.scan for record in records])


def candidates_of(record: Record) -> list[Candidate]:
    """Stage 1's answer, or the list that took its place; none of a refused scan."""
    rows = record.answer.found["candidates"] if record.answer else ()
    return [Candidate(r["series_uid"], tuple(r["center_mm"]), r["diameter_mm"], r["score"]) for r in rows]


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """Stage 1 with its caches.

    Attributes:
        detector: stage 1.
        prepared: folder for prepared scans, or None.
        candidates: folder for candidates, or None.
    """

    detector: NoduleDetector
    prepared: Path | None = None
    candidates: Path | None = None

    def run(self, scan: Scan) -> tuple[PreparedScan, list[Candidate]]:
        """A scan on disk, prepared as pictures and stage 2 want it, with its candidates (world LPS mm, best first).

        To its warnings those on what the detector is less sure of are added.

        Raises:
            ScanError: when the pixels cannot be read.
        """
        prepared = prepare_scan(scan, cache=self.prepared)
        grid = self.detector.model.preparation.grid
        # World millimetres are all that passes between the stages, so each may look at a scan prepared its own way.
        seen = prepared if grid == PrepareSettings() else prepare_scan(scan, grid, self.prepared)
        candidates = detect_cached(self.detector, seen, self.candidates)
        return replace(prepared, warnings=(*prepared.warnings, *weak_spots(prepared))), candidates


def caches(wanted: bool) -> tuple[Path | None, Path | None]:
    """The folders for prepared scans and for candidates; none of them when no cache is wanted."""
    return (default_cache(), cache_folder("candidates")) if wanted else (None, None)


def source_of(given: Path | None, phantoms: int) -> Path:
    """The path the user gave, or a cohort of phantoms in the user's cache."""
    if given is not None:
        return given
    log.info("no input given: a cohort of %d simulated patients stands in", phantoms)
    folder = cache_folder("phantoms") / f"v{RECIPE_VERSION}-{phantoms}-patients"
    return make_cohort(folder, patients=phantoms, seed=0) / "dicom"


def main() -> None:
    """Entry point."""
    run(detect, DetectSettings, "detect")


if __name__ == "__main__":
    main()
