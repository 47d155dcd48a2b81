"""Outlines as a binary DICOM segmentation: a segment for each nodule, on the source's own slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom import AlgorithmIdentificationSequence, CoordinateSystemNames, PlanePositionSequence, seg
from pydicom.sr.codedict import codes

from classification.measuring.outline import Outline
from detection.dicom_out.report import NAME, RESEARCH, SEGMENTATION_SERIES, Device, Finding
from detection.dicom_out.settled import NAMELESS
from detection.dicom_out.source import SourceSeries
from lungscreen.dicom_out.masks import slice_masks
from preprocessing.geometry import Geometry


def segmentation(
    source: SourceSeries,
    device: Device,
    findings: Sequence[Finding],
    outlines: Sequence[Outline],
    grid: Geometry,
) -> seg.Segmentation:
    """The segmentation, nameless (see `settle`), without slices on which there is nothing.

    Args:
        source: the series outlined.
        device: who outlined.
        findings: at least one, numbered from 1 on by their `segment`.
        outlines: one for each finding.
        grid: on which the outlines were drawn.
    """
    masks = [slice_masks(outline, grid, source.slices) for outline in outlines]
    touched = sorted({k for found in masks for k in found})
    pixels = np.zeros((len(touched), *source.slices[0].shape, len(masks)), np.uint8)
    for number, found in enumerate(masks):
        for k, mask in found.items():
            pixels[touched.index(k), ..., number] = mask
    images, positions = list(source.headers), None
    if source.is_multi_frame:
        places = [source.slices[k].position_mm for k in touched]
        positions = [PlanePositionSequence(CoordinateSystemNames.PATIENT, place) for place in places]
    else:
        images = [images[k] for k in touched]
    return seg.Segmentation(
        source_images=images,
        pixel_array=pixels,
        plane_positions=positions,
        segmentation_type=seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_described(finding, device) for finding in findings],
        series_instance_uid=NAMELESS,
        series_number=SEGMENTATION_SERIES,
        sop_instance_uid=NAMELESS,
        instance_number=1,
        manufacturer=NAME,
        manufacturer_model_name=device.model,
        software_versions=device.version,
        device_serial_number=device.checksum,
        content_label="NODULES",
        content_description=f"Outlines of lung nodules, {RESEARCH}",
        series_description=f"{NAME} nodules, {RESEARCH}",
        specific_character_set="ISO_IR 192",
    )


def _described(finding: Finding, device: Device) -> seg.SegmentDescription:
    outliner = AlgorithmIdentificationSequence(
        name=f"{NAME} outline at half contrast", family=codes.DCM.MorphologicalOperations, version=device.version
    )
    return seg.SegmentDescription(
        segment_number=finding.segment,
        segment_label=finding.label,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Nodule,
        algorithm_type=seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=outliner,
        tracking_uid=finding.tracking_uid,
        tracking_id=finding.label,
        anatomic_regions=[codes.SCT.Lung],
    )
