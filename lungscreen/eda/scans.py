"""Facts of scans on disk: what their headers state, and what their lungs look like."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.multival import MultiValue

from classification.measuring.place import lung_extent
from detection.pictures.key_images import LUNG_WINDOW_HU
from lungscreen.eda.facts import LungFacts, ScanFacts
from lungscreen.eda.settings import EdaSettings, HistogramSettings
from lungscreen.eda.view3d import surface
from preprocessing.geometry import Triple
from preprocessing.intake.headers import quiet_pydicom, text_of
from preprocessing.intake.images import image_ending
from preprocessing.intake.scan import Scan
from preprocessing.intake.tags import flattened
from preprocessing.lungs.mask import LUNG_HU
from preprocessing.prepare import PreparedScan

EMPHYSEMA_HU = -950
STATED = (
    "Manufacturer", "ConvolutionKernel", "SliceThickness", "KVP", "CTDIvol", "ImageOrientationPatient",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
# As the readers of LIDC saw the images: rows to the patient's left, columns to the back.
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def refused_facts(scan: Scan) -> ScanFacts:
    """Of a scan that nobody could read."""
    return ScanFacts(scan.patient_id, scan.series_uid, str(scan.refused), scan.detail, scan.warnings, len(scan.paths))


def scan_facts(scan: Scan, prepared: PreparedScan, settings: EdaSettings) -> ScanFacts:
    """Of a scan and its prepared lungs."""
    header = stated(scan.paths)
    x, _, z = prepared.source_geometry.spacing_mm
    return ScanFacts(
        patient_id=scan.patient_id,
        series_uid=scan.series_uid,
        warnings=prepared.warnings,
        slices=prepared.source_geometry.shape_zyx[0],
        pixel_mm=x,
        slice_mm=z,
        thickness_mm=number_of(header, "SliceThickness"),
        kernel=text_of(header, "ConvolutionKernel"),
        manufacturer=text_of(header, "Manufacturer"),
        kvp=number_of(header, "KVP"),
        dose_mgy=number_of(header, "CTDIvol"),
        lungs=lung_facts(prepared, settings),
    )


def lung_facts(prepared: PreparedScan, settings: EdaSettings) -> LungFacts:
    """Volume, density and looks of the lungs."""
    hu = prepared.volume.hu[prepared.lung_mask]
    air = hu[hu < LUNG_HU]
    low, high = lung_extent(prepared)
    return LungFacts(
        volume_ml=len(air) * prepared.volume.geometry.voxel_volume_mm3 / 1000,
        mean_hu=float(air.mean()) if len(air) else math.nan,
        below_950=float((air < EMPHYSEMA_HU).mean()) if len(air) else math.nan,
        histogram=histogram(hu, settings.histogram),
        picture=picture(prepared, settings.view.picture_px),
        surface=surface(prepared, settings.view.cell_mm),
        extent_mm=(cast(Triple, tuple(low)), cast(Triple, tuple(high))),
    )


def histogram(hu: npt.NDArray[np.int16], settings: HistogramSettings) -> npt.NDArray[np.float64]:
    """(bins,) shares of the values; the sum is 1, for those beyond the ends count in the first or last bin."""
    clipped = np.clip(hu, settings.low_hu, settings.high_hu)
    counts, _ = np.histogram(clipped, settings.bins, (settings.low_hu, settings.high_hu))
    return np.asarray(counts / max(len(hu), 1), dtype=np.float64)


def picture(prepared: PreparedScan, size_px: int) -> bytes:
    """PNG of the middle axial section and the middle coronal one, side by side, lung window."""
    hu = prepared.volume.hu
    z, y = hu.shape[0] // 2, hu.shape[1] // 2
    spacing_x, spacing_y, spacing_z = prepared.volume.geometry.spacing_mm
    sections = [(hu[z], spacing_y, spacing_x), (hu[::-1, y], spacing_z, spacing_x)]
    sheet = Image.new("L", (2 * size_px, size_px))
    for number, (section, down, right) in enumerate(sections):
        low, high = LUNG_WINDOW_HU
        grey = np.clip((section - low) / (high - low) * 255, 0, 255).astype(np.uint8)
        height, width = section.shape[0] * down, section.shape[1] * right
        scale = size_px / max(height, width)
        small = Image.fromarray(grey).resize((max(1, round(width * scale)), max(1, round(height * scale))))
        sheet.paste(small, (number * size_px + (size_px - small.width) // 2, (size_px - small.height) // 2))
    written = io.BytesIO()
    sheet.save(written, "PNG", optimize=True)
    return written.getvalue()


def stated(paths: Sequence[Path]) -> Dataset:
    """What the first file states of `STATED`, an enhanced object in the classic place; nothing of image files."""
    if not paths or image_ending(paths[0]):
        return Dataset()
    with quiet_pydicom():
        header = cast(Dataset, dcmread(paths[0], stop_before_pixels=True, force=True, specific_tags=list(STATED)))
        shared = header.get("SharedFunctionalGroupsSequence")
        if shared:
            frames = header.get("PerFrameFunctionalGroupsSequence") or [Dataset()]
            header.update(flattened(shared[0], frames[0]))
        return header


def is_axial(scan: Scan) -> bool:
    """Whether rows and columns run as the readers of LIDC had them before their eyes."""
    return numbers_of(stated(scan.paths), "ImageOrientationPatient") == AXIAL


def number_of(header: Dataset, name: str) -> float:
    """A number above 0, or NaN: neither a missing dose nor one of 0 is a dose."""
    found = numbers_of(header, name)
    return found[0] if found and math.isfinite(found[0]) and found[0] > 0 else math.nan


def numbers_of(header: Dataset, name: str) -> tuple[float, ...]:
    """All numbers of a tag; none where it is missing or holds something else."""
    value = header.get(name)
    parts = value if isinstance(value, MultiValue) else [] if value is None else [value]
    try:
        return tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        return ()
