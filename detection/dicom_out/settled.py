"""DICOM objects whose bytes depend on their content alone: no clock, no random UID."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import Dataset
from pydicom.uid import UID

from detection.dicom_out.source import SourceSeries
from phantom.dicom_writer import hashed_uid
from preprocessing.intake.headers import quiet_pydicom

# Stands in an object until its own content has named it; of the 2.25 root, as all UIDs here.
NAMELESS = "2.25.0"


@contextmanager
def quiet_dicom() -> Iterator[None]:
    """Neither pydicom nor highdicom may quote a header in a warning or the log: it may be a patient's name."""
    log = logging.getLogger("highdicom")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with quiet_pydicom():
            yield
    finally:
        log.setLevel(level)


def settle(made: Dataset, source: SourceSeries) -> None:
    """Give an object the date of its source, and UIDs that are hashes of all that it says.

    The instance, its series and the organisation of its frames are named anew; whoever refers to the object does so
    afterwards.

    Args:
        made: as highdicom builds it, with `NAMELESS` for SOPInstanceUID and SeriesInstanceUID; changed in place.
        source: the series it is about.
    """
    made.ContentDate, made.ContentTime = made.SeriesDate, made.SeriesTime = source.made_at
    for name in ("InstanceCreationDate", "InstanceCreationTime"):
        if name in made:
            delattr(made, name)
    for item in made.get("ContributingEquipmentSequence", ()):
        if item.get("ManufacturerModelName") == "highdicom":
            del item.ContributionDateTime
    organisations = [*made.get("DimensionOrganizationSequence", ()), *made.get("DimensionIndexSequence", ())]
    for item in organisations:
        item.DimensionOrganizationUID = UID(NAMELESS)
    digest = hashlib.sha256(encoded(made)).hexdigest()
    for item in organisations:
        item.DimensionOrganizationUID = UID(hashed_uid(digest, "dimensions"))
    made.SeriesInstanceUID = UID(hashed_uid(digest, "series"))
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = UID(hashed_uid(digest, "instance"))


def encoded(made: Dataset) -> bytes:
    """The object as a DICOM file."""
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
