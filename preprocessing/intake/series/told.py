"""What each DICOM file says of itself; the headers of many files are read on several cores.

A header costs pydicom two milliseconds, whatever the disk: a cohort of 300,000 files ten minutes on one core. Most are
not given to it: see `bytewise`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TypeGuard

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError
from pydicom import Dataset

from preprocessing.intake.headers import Slice, is_ct_image, owner_of, quiet_pydicom, read_header, slices_of, text_of
from preprocessing.intake.scan import Reason, ScanError, known
from preprocessing.intake.series.bytewise import Bytewise, bytewise
from preprocessing.intake.tags import SPLIT_TAGS

DICOM_ENDINGS = (".dcm", ".dicom", ".ima", ".dic")
# Fewer are read before workers have started.
LEAST_FILES = 2000
MOST_WORKERS = 16
BATCH = 250


@dataclass(frozen=True, slots=True)
class Told:
    """What one file says.

    Attributes:
        patient_id, series_uid, study_uid, study_date, description: of it, empty where absent.
        image_types: the words of its ImageType, in capitals.
        is_ct_image: see `is_ct_image`.
        found: its slices, or what is wrong with it.
    """

    patient_id: str
    series_uid: str
    study_uid: str
    study_date: str
    description: str
    image_types: frozenset[str]
    is_ct_image: bool
    found: list[Slice] | ScanError


def told_of_each(paths: Sequence[Path]) -> Iterator[Told | ScanError | None]:
    """Of each file, in order: what it says, why it cannot be read, or None when it is no DICOM image object."""
    workers = min(joblib.cpu_count(), MOST_WORKERS)
    if workers < 2 or len(paths) < LEAST_FILES:
        yield from map(Reader().told_of, paths)
        return
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    done = 0
    try:
        pool = joblib.Parallel(n_jobs=workers, return_as="generator")
        for told in chain.from_iterable(pool(joblib.delayed(_told_of_batch)(batch) for batch in batches)):
            yield told
            done += 1
    except TerminatedWorkerError:  # killed, for want of memory perhaps; one process needs less
        yield from map(Reader().told_of, islice(paths, done, None))


class Reader:
    """`told_of` for one file after another; pydicom is not asked again for a slice that differs in its place only."""

    def __init__(self) -> None:
        self.before: tuple[Bytewise, Told] | None = None

    def told_of(self, path: Path) -> Told | ScanError | None:
        """As the function of this name."""
        header = bytewise(path)
        if header is not None and self.before is not None and header.same == self.before[0].same:
            return _moved(self.before[1], header, path)
        told = told_of(path)
        if header is not None and _is_plain(told):
            self.before = header, told
        return told


def _is_plain(told: Told | ScanError | None) -> TypeGuard[Told]:
    """Whether it is one slice with a place."""
    return isinstance(told, Told) and isinstance(told.found, list) and not any(s.localiser for s in told.found)


def _moved(told: Told, header: Bytewise, path: Path) -> Told:
    """What a file says that says the same as another one, but for what is its own."""
    assert isinstance(told.found, list)
    (image,) = told.found
    own = header.own
    marks = tuple(
        own[tag].decode().rstrip(" ") if tag in own else mark
        for tag, mark in zip(SPLIT_TAGS, image.marks, strict=True)
    )
    place = tuple(map(float, own["ImagePositionPatient"].split(b"\\")))
    instance = int(own["InstanceNumber"]) if "InstanceNumber" in own else None
    return replace(told, found=[replace(image, path=path, position_mm=place, marks=marks, instance=instance)])


def told_of(path: Path) -> Told | ScanError | None:
    """What a file says, why it cannot be read, or None when it is no DICOM image object."""
    with quiet_pydicom():
        try:
            dataset = read_header(path)
            if dataset is None:
                if path.suffix.lower() in DICOM_ENDINGS:
                    return ScanError(Reason.NOT_DICOM, "a file is named like DICOM and is none")
                return None
            return told_by(dataset, path)
        except Exception as error:
            return known(error)


def told_by(dataset: Dataset, path: Path) -> Told:
    """What a header says; a fault of its image stands in `found`.

    Raises:
        ScanError: `bad_value`: it does not say whose it is.
    """
    patient, uid = owner_of(dataset)
    found: ScanError | list[Slice]
    try:
        found = slices_of(dataset, path)
    except Exception as error:
        found = known(error)
    return Told(
        patient_id=patient,
        series_uid=uid,
        study_uid=text_of(dataset, "StudyInstanceUID"),
        study_date=text_of(dataset, "StudyDate"),
        description=text_of(dataset, "SeriesDescription"),
        image_types=frozenset(word.strip().upper() for word in text_of(dataset, "ImageType").split("\\")),
        is_ct_image=is_ct_image(dataset),
        found=found,
    )


def _told_of_batch(paths: Sequence[Path]) -> list[Told | ScanError | None]:
    return list(map(Reader().told_of, paths))
