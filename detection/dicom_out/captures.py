"""Key images as secondary captures: pictures that any viewer shows, in a series of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from highdicom.sc import SCImage
from PIL import Image
from pydicom import Dataset
from pydicom.uid import UID

from detection.dicom_out.report import NAME, RESEARCH, Device
from detection.dicom_out.settled import NAMELESS, settle
from detection.dicom_out.source import SourceSeries
from phantom.dicom_writer import hashed_uid

CAPTURE_SERIES = 9003


def captures(pictures: Sequence[Path], source: SourceSeries, device: Device) -> dict[str, Dataset]:
    """Settled images of one series by the endings of their names, `01`, `02`, ...

    Args:
        pictures: key images in their order; nothing that tells the patient is drawn in them.
        source: the series they show.
        device: who drew them.
    """
    made = [_capture(path, number, source, device) for number, path in enumerate(pictures, 1)]
    for image in made:
        settle(image, source)
    series = UID(hashed_uid(*(str(image.SOPInstanceUID) for image in made), "series"))
    for image in made:
        image.SeriesInstanceUID = series
    return {f"{number:02d}": image for number, image in enumerate(made, 1)}


def _capture(path: Path, number: int, source: SourceSeries, device: Device) -> Dataset:
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    made: Dataset = SCImage.from_ref_dataset(
        source.headers[0],
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        # Four views in one picture have no one orientation; it is emptied below, as type 2 allows.
        patient_orientation=("L", "P"),
        series_instance_uid=NAMELESS,
        series_number=CAPTURE_SERIES,
        sop_instance_uid=NAMELESS,
        instance_number=number,
        manufacturer=NAME,
        manufacturer_model_name=device.model,
        device_serial_number=device.checksum,
        software_versions=device.version,
        series_description=f"{NAME} key images, {RESEARCH}",
        specific_character_set="ISO_IR 192",
    )
    made.PatientOrientation, made.BodyPartExamined = None, "CHEST"
    made.BurnedInAnnotation = "NO"
    made.DateOfSecondaryCapture, made.TimeOfSecondaryCapture = source.made_at
    return made
