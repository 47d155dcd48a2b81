"""Volume to prepared scan: the lung box at one spacing, with the mask and the way back to the source."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from preprocessing.geometry import Geometry, Triple
from preprocessing.intake.images import data_files
from preprocessing.intake.scan import Scan
from preprocessing.intake.volume_reader import read_volume
from preprocessing.lungs.mask import lung_mask
from preprocessing.masks import box_of
from preprocessing.orientation import facing_ras
from preprocessing.resample import resample, sample_mask
from preprocessing.volume import Volume
from runs.cache import cache_folder, code_digest, load, store

CACHE_LIMIT_BYTES = 20 * 1024**3
ORIENTATIONS = ("source", "RAS")


@dataclass(frozen=True, slots=True)
class PrepareSettings:
    """Numbers of the preparation.

    Attributes:
        spacing_mm: of the prepared volume, along its axes x, y, z.
        margin_mm: how far the box reaches beyond the lung mask.
        orientation: "source": the axes point as the scan's do; "RAS": x to the patient's right, y to the front, z to
            the head, or as near to that as the scan's axes come.
    """

    spacing_mm: Triple = (1.0, 1.0, 1.0)
    margin_mm: float = 8.0
    orientation: str = "source"

    def __post_init__(self) -> None:
        if self.orientation not in ORIENTATIONS:
            raise ValueError(f"orientation must be one of {ORIENTATIONS}, got '{self.orientation}'")


@dataclass(frozen=True, slots=True, eq=False)
class PreparedScan:
    """What every network sees.

    Attributes:
        volume: the box around the lungs, axes parallel to those of the source grid; its geometry is in the
            source's world, so a voxel here and its `to_world` point at the same anatomy as in the source.
        lung_mask: (Z, Y, X) bool on `volume`'s grid, where candidates may lie; never empty.
        source_geometry: the grid of the scan as read.
        warnings: of intake and preparation, each `code: sentence`.
    """

    volume: Volume
    lung_mask: npt.NDArray[np.bool_]
    source_geometry: Geometry
    warnings: tuple[str, ...] = ()


def prepare(volume: Volume, settings: PrepareSettings | None = None) -> PreparedScan:
    """Find the lungs, cut their box out and resample it; nothing outside the box is ever resampled."""
    settings = settings or PrepareSettings()
    mask, warnings = lung_mask(volume)
    warnings = (*volume.warnings, *warnings)
    source = volume.geometry
    margin = settings.margin_mm / np.asarray(source.spacing_mm[::-1])
    box = box_of(mask)
    start = np.maximum(np.floor([s.start - m for s, m in zip(box, margin, strict=True)]), 0).astype(int)
    stop = np.minimum(np.ceil([s.stop + m for s, m in zip(box, margin, strict=True)]), source.shape_zyx)
    stop = stop.astype(int)
    cropped = source.cropped(start, stop)
    window = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    part = Volume(np.ascontiguousarray(volume.hu[window]), cropped, volume.series_uid)
    lungs = mask[window]
    if settings.orientation == "RAS":
        part, lungs = facing_ras(part, lungs)
    # One grid for all scans: the spacing wanted, over the outer faces of the box.
    grid = part.geometry.resampled(settings.spacing_mm)
    return PreparedScan(resample(part, grid), sample_mask(lungs, part.geometry, grid), source, warnings)


def prepare_scan(scan: Scan, settings: PrepareSettings | None = None, cache: Path | None = None) -> PreparedScan:
    """Read and prepare one scan, from the cache when the same bytes were prepared with the same settings.

    Args:
        scan: from `find_scans`, not refused.
        settings: of the preparation.
        cache: folder of the cache; None reads and prepares afresh.

    Raises:
        ScanError: when the pixels cannot be read.
    """
    settings = settings or PrepareSettings()
    if cache is None:
        return _with_warnings(prepare(read_volume(scan), settings), scan.warnings)
    entry = cache / f"{_key(scan, settings)}.npz"
    prepared = load(entry, _read)
    if prepared is None:
        prepared = prepare(read_volume(scan), settings)
        store(entry, partial(_write, prepared), size=2 * prepared.volume.hu.nbytes, limit=CACHE_LIMIT_BYTES)
    return _with_warnings(prepared, scan.warnings)


def default_cache() -> Path:
    """Where prepared scans are kept."""
    return cache_folder("prepared")


def _with_warnings(prepared: PreparedScan, more: tuple[str, ...]) -> PreparedScan:
    return PreparedScan(prepared.volume, prepared.lung_mask, prepared.source_geometry, (*more, *prepared.warnings))


def _key(scan: Scan, settings: PrepareSettings) -> str:
    """Of the bytes the scan is made of, the settings and the code that prepares."""
    digest = hashlib.blake2b(digest_size=16)
    what = [code_digest(__name__), scan.series_uid, asdict(settings)]
    digest.update(json.dumps(what, sort_keys=True).encode())
    for path in scan.paths:
        for part in (path, *data_files(path)):
            content = part.read_bytes() if part.is_file() else b""
            digest.update(len(content).to_bytes(8, "little"))
            digest.update(content)
    return digest.hexdigest()


def _write(prepared: PreparedScan, handle: BinaryIO) -> None:
    meta = {
        "volume": prepared.volume.geometry.to_dict(),
        "source": prepared.source_geometry.to_dict(),
        "series_uid": prepared.volume.series_uid,
        "warnings": list(prepared.warnings),
    }
    packed = np.packbits(prepared.lung_mask)
    np.savez(handle, hu=prepared.volume.hu, mask=packed, meta=np.array(json.dumps(meta)))


def _read(entry: Path) -> PreparedScan:
    with np.load(entry, allow_pickle=False) as stored:
        meta = json.loads(str(stored["meta"]))
        hu, packed = stored["hu"], stored["mask"]
    mask = np.unpackbits(packed, count=hu.size).reshape(hu.shape).astype(bool)
    volume = Volume(hu, Geometry.from_dict(meta["volume"]), str(meta["series_uid"]))
    warnings = cast(list[str], meta["warnings"])
    return PreparedScan(volume, mask, Geometry.from_dict(meta["source"]), tuple(warnings))
