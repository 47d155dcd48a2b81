"""`python -m lungscreen.eda input=... out=...`: one page over a cohort, its problems first."""

from __future__ import annotations

import logging
from collections import Counter

from detection.detect import caches, source_of
from lungscreen.eda.agreement import Agreement, agreement
from lungscreen.eda.comparisons import comparisons
from lungscreen.eda.facts import Cohort, NoduleFacts, ScanFacts
from lungscreen.eda.lidc_table import lidc_cohort
from lungscreen.eda.page import write_page
from lungscreen.eda.problems import LEVELS, problems
from lungscreen.eda.scans import refused_facts, scan_facts
from lungscreen.eda.settings import EdaSettings
from lungscreen.eda.tables import write_tables
from lungscreen.eda.true_nodules import (
    LidcReaders,
    Truth,
    located,
    of_annotations,
    of_phantoms,
    phantom_folder,
    read_labels,
)
from preprocessing.cohort import for_each_scan
from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Scan
from preprocessing.lidc.reading import RATINGS
from preprocessing.lidc.table import read_table
from preprocessing.prepare import prepare_scan
from runs.csv_text import unicode
from runs.entry import run

log = logging.getLogger(__name__)

LUNGS = "the box around both lungs"


def explore(settings: EdaSettings) -> int:
    """Write `index.html` and its tables; 1 when there is not one scan that could be read.

    Raises:
        FileNotFoundError: no such input, annotations or labels.
        UsageError: the annotations or labels are not what they must be.
    """
    cohort = lidc_cohort(read_table()) if settings.lidc else files_cohort(settings)
    found = problems(cohort, settings.limits)
    compared = comparisons(cohort, settings.comparing)
    agreed = agreements(cohort, settings)
    settings.out.mkdir(parents=True, exist_ok=True)
    write_tables(settings.out, cohort, found, compared)
    write_page(settings.out / "index.html", cohort, found, compared, agreed, settings)
    levels = Counter(problem.level for problem in found)
    log.info("%d scan(s), %d nodule(s); %s", len(cohort.scans), len(cohort.nodules),
             ", ".join(f"{levels[level]} {level}(s)" for level in LEVELS))  # fmt: skip
    log.info("page: %s", settings.out / "index.html")
    return int(all(scan.status != "ok" for scan in cohort.scans))


def files_cohort(settings: EdaSettings) -> Cohort:
    """Facts of everything found under `input`; one scan is in memory at a time."""
    source = source_of(settings.input, settings.phantoms)
    phantoms = phantom_folder(source)
    truth: Truth
    if settings.annotations is not None:
        truth = of_annotations(settings.annotations)
    else:
        truth = of_phantoms(phantoms) if phantoms else LidcReaders(read_table())
    cache, _ = caches(settings.cache)
    facts: dict[str, ScanFacts] = {}
    nodules: list[NoduleFacts] = []

    def look(scan: Scan) -> tuple[str, ...]:
        prepared = prepare_scan(scan, cache=cache)
        found = [located(nodule, prepared) for nodule in truth.of(scan, prepared)]
        facts[scan.series_uid] = scan_facts(scan, prepared, settings)
        nodules.extend(found)
        return prepared.warnings

    done = for_each_scan(find_scans(source), look)
    labels = settings.labels or (phantoms / "labels.csv" if phantoms else None)
    return Cohort(
        name=f"{len(done)} simulated patients" if phantoms else unicode(source.resolve().name),
        scans=tuple(refused_facts(scan) if scan.refused else facts[scan.series_uid] for scan in done),
        nodules=(*nodules, *truth.others({scan.series_uid for scan in done})),
        labels=read_labels(labels) if labels else {},
        place_words=LUNGS,
        truth_words=truth.words,
        faults=truth.faults(),
    )


def agreements(cohort: Cohort, settings: EdaSettings) -> list[Agreement]:
    """Of every rating that two readers gave for one nodule."""
    found = []
    for name in RATINGS:
        rated = [n for n in cohort.nodules if n.ratings.get(name)]
        units, patients = [n.ratings[name] for n in rated], [n.patient_id for n in rated]
        one = agreement(name, units, patients, settings.comparing.bootstrap, settings.comparing.level)
        found += [one] if one else []
    return found


def main() -> None:
    """Entry point."""
    run(explore, EdaSettings, "eda")


if __name__ == "__main__":
    main()
