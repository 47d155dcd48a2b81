"""`python -m lungscreen.classify input=... out=...`: a CT in, one patient report out."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from classification.calibration.maps import Calibration
from classification.calibration.stored import load_calibration
from classification.classifier import load_classifier
from classification.guidelines.person import Person, read_persons
from detection.candidate import Candidate, read_candidates
from detection.detect import DetectSettings, Search, caches, source_of
from detection.detector import load_detector
from detection.leavings import remove_results
from lungscreen.analysing import analyse_scan, write_tables
from lungscreen.pipeline import Pipeline
from lungscreen.priors import Priors, find_priors
from preprocessing.cohort import summary
from preprocessing.intake.scan import Scan
from preprocessing.journal.going import Cohort, go_through
from preprocessing.journal.listing import list_scans
from preprocessing.journal.record import Answer, cohort_digest
from runs.cache import code_digest
from runs.entry import UsageError, run
from runs.training.weights import sha256

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClassifySettings(DetectSettings):
    """What `lungscreen.classify` takes: what `detection.detect` does, and

    Attributes:
        candidates: csv that takes the place of stage 1 (a LUNA16 submission), or None.
        classifier: name or path of the weights of stage 2; None: the shipped ones.
        calibration: calibration.json of `classification.calibrate`, or None.
        age, sex, family_history, emphysema: of the person, for Brock's models; see `Person`.
        persons: csv of them by patient `id`; who is not in it is as the options above say.
        prior: earlier scans of the same patients, as `input`; None: earlier studies among the scans, if there are.
        prior_days: from the earlier scan to the current one; None: as the dates say.
        heat_maps: write the heat maps of the report as NIfTI on the scan's grid, too.
    """

    out: Path = Path("outputs/classify")
    candidates: Path | None = None
    classifier: Path | None = None
    calibration: Path | None = None
    age: float | None = None
    sex: str | None = None
    family_history: bool | None = None
    emphysema: bool | None = None
    persons: Path | None = None
    prior: Path | None = None
    prior_days: float | None = None
    heat_maps: bool = False

    def __post_init__(self) -> None:
        DetectSettings.__post_init__(self)
        self.person()
        if self.prior_days is not None and not self.prior_days > 0:
            raise UsageError(f"prior_days= must be above 0, got {self.prior_days}")

    def person(self) -> Person:
        """Of whom nothing else is stated."""
        return Person(self.age, self.sex, self.family_history, self.emphysema)

    def decides(self) -> dict[str, str]:
        """What the whole answer follows from, besides the scans; files by their content.

        Raises:
            FileNotFoundError, UsageError: no such weights or files, or they are not what they must be.
        """
        told = load_classifier(self.classifier).provenance
        named = {"candidates": self.candidates, "calibration": self.calibration, "persons": self.persons}
        return {
            **DetectSettings.decides(self),
            **{name: sha256(path) for name, path in named.items() if path is not None},
            **{name: value for name, value in told.items() if name.endswith("_sha256")},
            "person": json.dumps(asdict(self.person())),
            "prior_days": str(self.prior_days),
            "heat_maps": str(self.heat_maps),
        }


def classify(settings: ClassifySettings) -> int:
    """Write the tables, the report and, if wanted, `dicom/`; 1 when not a single scan could be read.

    Raises:
        FileNotFoundError: no such input, candidates, calibration or weights.
        UsageError: a candidates file without the columns or without any of the scans; a calibration that is none.
    """
    out = settings.out
    given = read_candidates(settings.candidates) if settings.candidates else None
    source = source_of(settings.input, settings.phantoms)
    scans = list_scans(source, settings.listing)
    if given is not None:
        check_match(given, scans)
    priors = find_priors(settings.prior, settings.prior_days, scans)
    assessing = Assessing(settings, priors)
    assessing.told()
    decides = {**settings.decides(), "prior": cohort_digest(priors.given), "code": code_digest("lungscreen.classify")}
    cohort = Cohort("classify", source, scans, decides, out)
    done = go_through(cohort, assessing, settings, remove_results, partial(write_tables, out))
    log.info("%s; research use only, not a medical device", summary([record.scan for record in done]))
    log.info("report: %s", out / "report" / "index.html")
    return int(bool(done) and all(record.scan.refused for record in done))


@dataclass(frozen=True)
class Assessing:
    """Both stages and the pages, made where they work."""

    settings: ClassifySettings
    priors: Priors

    def told(self) -> tuple[dict[str, Person], Calibration | None]:
        """What the user's files say of persons and of the site.

        Raises:
            FileNotFoundError, UsageError: no such file, or it is not what it must be.
        """
        settings = self.settings
        persons = read_persons(settings.persons) if settings.persons else {}
        return persons, load_calibration(settings.calibration) if settings.calibration else None

    def __call__(self) -> Callable[[Scan], Answer]:
        settings = self.settings
        given = read_candidates(settings.candidates) if settings.candidates else None
        persons, calibration = self.told()
        search = Search(load_detector(settings.weights, settings.inference, settings.model), *caches(settings.cache))
        classifier = load_classifier(settings.classifier, calibration=calibration)
        pipeline = Pipeline(search, classifier, given, persons, settings.person(), self.priors)
        return partial(
            analyse_scan,
            pipeline,
            out=settings.out,
            key_images=settings.key_images,
            dicom=settings.dicom,
            dicom_images=settings.dicom_images,
            heat_map_files=settings.heat_maps,
        )


def check_match(given: dict[str, list[Candidate]], scans: list[Scan]) -> None:
    """Candidates of other series are passed over; a file with nothing but those is a mistake."""
    known = {scan.series_uid for scan in scans}
    foreign = sum(uid not in known for uid in given)
    if given and foreign == len(given):
        raise UsageError(
            f"none of the {len(given)} seriesuid(s) in the candidates file is among the {len(known)} scan(s) found"
        )
    if foreign:
        log.warning("%d of %d series in the candidates file are not among the scans", foreign, len(given))


def main() -> None:
    """Entry point."""
    run(classify, ClassifySettings, "classify")


if __name__ == "__main__":
    main()
