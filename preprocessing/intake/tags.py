"""Which tags of a DICOM header are read, and how a value is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from preprocessing.intake.scan import Reason, ScanError

CT_IMAGES = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
MULTI_FRAME = (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
# Functional groups of enhanced objects (PS3.3 C.7.6.16.2, C.8.15.3): the numbers of a slice, and what parts slices.
MACROS = (
    "PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "PixelValueTransformationSequence",
    "FrameContentSequence", "CTReconstructionSequence", "CardiacSynchronizationSequence", "CTXRayDetailsSequence",
    "ContrastBolusUsageSequence",
)  # fmt: skip
# What classic headers call otherwise.
CLASSIC_NAMES = {
    "FrameAcquisitionNumber": "AcquisitionNumber",
    "TemporalPositionIndex": "TemporalPositionIdentifier",
    "FrameAcquisitionDateTime": "AcquisitionDateTime",
    "ContrastBolusAgentNumber": "ContrastBolusAgent",
}
# Without these no pixel can be decoded.
PIXEL_TAGS = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")
# Named in messages; anything else in that tag may be text nobody should see.
OTHER_MODALITIES = (
    "MR", "PT", "NM", "US", "CR", "DX", "MG", "XA", "RF", "OT", "SC", "SR", "PR", "KO", "SEG", "RTSTRUCT",
)  # fmt: skip
# No CT is rescaled by more; beyond, 16-bit pixels leave the range of 32-bit integers.
MAX_SLOPE, MAX_INTERCEPT = 100.0, 100_000.0
# What parts the acquisitions of a series, the likeliest first.
SPLIT_TAGS = (
    "AcquisitionNumber", "ConvolutionKernel", "TemporalPositionIdentifier", "NominalPercentageOfCardiacPhase",
    "TriggerTime", "EchoTime", "KVP", "FilterType", "ContrastBolusAgent", "AcquisitionTime", "AcquisitionDateTime",
)  # fmt: skip
# The numbers of one image; everything a reader of geometry and Hounsfield units must know, and nothing else.
TAGS = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "PatientID", "Modality", "ImageType",
    "PhotometricInterpretation", "SamplesPerPixel", "Rows", "Columns", "NumberOfFrames", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PixelSpacing", "ImagePositionPatient",
    "ImageOrientationPatient", "FrameOfReferenceUID", "RescaleSlope", "RescaleIntercept", "PixelPaddingValue",
    "GantryDetectorTilt", "InstanceNumber", "StudyInstanceUID", "StudyDate", "SeriesDescription", *SPLIT_TAGS,
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip


def numbers(dataset: Dataset, name: str, n: int) -> tuple[float, ...]:
    """`n` finite numbers.

    Raises:
        ScanError: `missing_tag`, `bad_value`.
    """
    value = need(dataset, name)
    parts: Sequence[Any] = [value] if n == 1 else value
    found = tuple(float(part) for part in parts)
    # Python takes 1_0 for ten, and no other reader does.
    underscore = any("_" in str(getattr(part, "original_string", "")) for part in parts)
    if underscore or len(found) != n or not np.all(np.isfinite(found)):
        raise ScanError(Reason.BAD_VALUE, f"{name} must hold {n} finite number(s)")
    return found


def need(dataset: Dataset, name: str) -> Any:
    """The value of a tag that must be there.

    Raises:
        ScanError: `missing_tag`.
    """
    value = dataset.get(name)
    if value is None or value == "" or (hasattr(value, "__len__") and len(value) == 0):
        raise ScanError(Reason.MISSING_TAG, f"{name} is missing")
    return value


def flattened(shared: Dataset, own: Dataset) -> Dataset:
    """The functional groups of one frame as if they stood in a classic header."""
    flat = Dataset()
    for name in MACROS:
        for group in (shared, own):
            for element in (group.get(name) or [Dataset()])[0]:
                flat.add(element)
    for name, classic in CLASSIC_NAMES.items():
        if name in flat:
            flat.add_new(classic, "LT", str(flat[name].value))
    kinds = own.get("CTImageFrameTypeSequence") or shared.get("CTImageFrameTypeSequence") or [Dataset()]
    if "FrameType" in kinds[0]:
        flat.ImageType = kinds[0].FrameType
    return flat
