"""The CT series that a result belongs to: where each of its images lies, and the headers that a result inherits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.multival import MultiValue

from preprocessing.intake.headers import Slice, quiet_pydicom, read_header, slices_of, text_of
from preprocessing.intake.images import image_ending
from preprocessing.intake.scan import Scan
from preprocessing.intake.stack import Stack, stack_of

# Without one of these a result cannot be hung beside its images.
REQUIRED = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"
)  # fmt: skip
# Type 2 in every composite object (PS3.3 C.7.1.1, C.7.2.1): there, though they may be empty.
MAY_BE_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName",
    "StudyID", "AccessionNumber",
)  # fmt: skip
# Of one image; everything else is said once for the series.
OF_THE_IMAGE = ("SOPClassUID", "SOPInstanceUID", "InstanceNumber", "ImagePositionPatient")
DATES, TIMES = ("PatientBirthDate", "StudyDate"), ("StudyTime",)
SEXES = ("", "M", "F", "O")
NO_DICOM = "no_dicom"
# The day that results of undated images bear: plainly none on which a CT was taken.
NO_DATE, NO_TIME = "19000101", "000000"


class NoSourceError(ValueError):
    """Why no DICOM result can refer to a scan; becomes a warning, and has no word about the patient in it."""

    @property
    def warning(self) -> str:
        """`code: sentence`."""
        return f"{NO_DICOM}: no results were written as DICOM, {self}"


@dataclass(frozen=True, slots=True, eq=False)
class SourceSeries:
    """A series as its results refer to it.

    Attributes:
        headers: of single-frame images one for each of `slices`; of a multi-frame image that one. Patient and study
            are the first file's in all of them, and valid.
        slices: the images that were read, in order along the normal; all share orientation and pixel spacing.
        frame_uid: FrameOfReferenceUID.
        made_at: date and time of the images, YYYYMMDD and HHMMSS, which the results bear too.
    """

    headers: tuple[Dataset, ...]
    slices: tuple[Slice, ...]
    frame_uid: str
    made_at: tuple[str, str]

    @property
    def series_uid(self) -> str:
        """SeriesInstanceUID as in the headers."""
        return str(self.headers[0].SeriesInstanceUID)

    @property
    def is_multi_frame(self) -> bool:
        """Whether one file holds all slices."""
        return len(self.headers) < len(self.slices)


def read_source(scan: Scan) -> SourceSeries:
    """The headers of a scan whose pixels could be read.

    Raises:
        NoSourceError: it came as an image file, or lacks what a result must refer to.
    """
    if len(scan.paths) == 1 and image_ending(scan.paths[0]):
        raise NoSourceError("the scan did not come as DICOM")
    with quiet_pydicom():
        headers = {path: read_header(path) or Dataset() for path in scan.paths}
        found = [image for path, header in headers.items() for image in slices_of(header, path)]
        stack = stack_of([image for image in found if scan.holds(image.path, image.frame)])
        used = [headers[path] for path in dict.fromkeys(image.path for image in stack.slices)]
        _check(used, len(stack.slices))
        common = _common(dcmread(stack.slices[0].path, stop_before_pixels=True, force=True))
        if len(stack.slices) == len(used):
            _state_spacing(common, stack)
            used = [_of_image(header, common) for header in used]
        else:
            used = [common]
        return SourceSeries(tuple(used), stack.slices, str(common.FrameOfReferenceUID), _made_at(common))


def _check(headers: list[Dataset], n_slices: int) -> None:
    for name in REQUIRED:
        if not all(text_of(header, name) for header in headers):
            raise NoSourceError(f"an image of the series has no {name}")
    for name in REQUIRED[2:]:
        if len({text_of(header, name) for header in headers}) > 1:
            raise NoSourceError(f"the images of the series do not share one {name}")
    if len({text_of(header, "SOPInstanceUID") for header in headers}) < len(headers):
        raise NoSourceError("two images of the series have the same SOPInstanceUID")
    if 1 < len(headers) < n_slices:
        raise NoSourceError("the series is spread over several multi-frame images")


def _of_image(header: Dataset, common: Dataset) -> Dataset:
    own = Dataset()
    own.update(common)
    for name in OF_THE_IMAGE:
        if name in header:
            own[name] = header[name]
    return own


def _state_spacing(header: Dataset, stack: Stack) -> None:
    """Spacing as the positions of the slices have it: what headers say of it is often wrong, and wrong if uneven."""
    between = round(stack.geometry.spacing_mm[2], 6)
    if np.array_equal(stack.layers, np.arange(len(stack.slices))):
        header.SpacingBetweenSlices = between
    elif "SpacingBetweenSlices" in header:
        del header.SpacingBetweenSlices
    try:
        known = float(header.SliceThickness) > 0
    except (AttributeError, TypeError, ValueError):
        known = False
    if not known:
        header.SliceThickness = between


def _common(header: Dataset) -> Dataset:
    """The first header without what cannot be read, and with what every object must have."""
    for tag in list(header.keys()):
        try:
            header[tag]
        except Exception:  # pydicom converts values when they are asked for, and fails in many ways
            del header[tag]
    for name in MAY_BE_EMPTY:
        value = header.get(name)
        if value is None or isinstance(value, MultiValue):
            setattr(header, name, value[0] if value else "")
    for name in (*DATES, *TIMES):
        written = text_of(header, name)
        if not (_is_time(written) if name in TIMES else _is_date(written)):
            setattr(header, name, "")
    if text_of(header, "PatientSex") not in SEXES:
        header.PatientSex = ""
    return header


def _made_at(header: Dataset) -> tuple[str, str]:
    """When the images were made; a time of another day than the date would be a third moment."""
    for kind in ("Content", "Acquisition", "Series", "Study"):
        date, time = text_of(header, f"{kind}Date"), text_of(header, f"{kind}Time")
        if date and _is_date(date):
            return date, time[:6] if len(time) >= 6 and _is_time(time) else NO_TIME
    return NO_DATE, NO_TIME


def _is_date(text: str) -> bool:
    try:
        return text == "" or (len(text) == 8 and bool(datetime.strptime(text, "%Y%m%d")))
    except ValueError:
        return False


def _is_time(text: str) -> bool:
    """HH, HHMM or HHMMSS with a fraction (PS3.5 6.2, TM)."""
    return text == "" or bool(re.fullmatch(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?", text))
