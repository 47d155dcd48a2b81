"""Heat maps of a report's first nodules, and one file with all of them on the scan's own grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from classification.assessment import PatientReport
from classification.classifier import NoduleClassifier
from classification.heat_map import HeatMap
from detection.pictures.key_images import file_stem
from preprocessing.prepare import PreparedScan
from runs.writing import whole


def heat_maps(classifier: NoduleClassifier, prepared: PreparedScan, report: PatientReport, top: int) -> list[HeatMap]:
    """Of the first `top` nodules of a report, in its order."""
    return [classifier.heat_map(prepared, nodule.candidate) for nodule in report.nodules[:top]]


def write_heat_maps(folder: Path, prepared: PreparedScan, maps: Sequence[HeatMap]) -> Path:
    """Write `<stem>_heat.nii.gz`: (Z, Y, X) float32 on the prepared grid, in the scan's world coordinates.

    A voxel holds what it adds to the log odds of its nodule's cancer chance; where windows overlap, the sum.
    """
    import SimpleITK as sitk  # half a second, and most processes never need it

    volume = np.zeros(prepared.volume.hu.shape, np.float32)
    for one in maps:
        one.onto(volume)
    geometry = prepared.volume.geometry
    image = sitk.GetImageFromArray(volume)
    image.SetSpacing(geometry.spacing_mm)
    image.SetOrigin(geometry.origin_mm)
    image.SetDirection(np.asarray(geometry.direction).ravel().tolist())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{file_stem(prepared.volume.series_uid)}_heat.nii.gz"
    with whole(path) as part:
        # The library chooses the format by the name.
        named = part.with_suffix(".nii.gz")
        try:
            sitk.WriteImage(image, str(named), useCompression=True)
            named.replace(part)
        finally:
            named.unlink(missing_ok=True)
    return path
