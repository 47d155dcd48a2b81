"""Volume to prepared scan: the lung box at one spacing, with the mask and the way back to the source."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from preprocessing.geometry import Geometry
from preprocessing.lungs import lung_mask
from preprocessing.read import read_volume
from preprocessing.resample import resample, sample_mask
from preprocessing.scan import Scan
from preprocessing.volume import Volume
from runs.cache import cache_folder

# Raise when the stored form or the algorithm changes: old cache entries are then never read again.
CACHE_VERSION = 1
CACHE_LIMIT_BYTES = 20 * 1024**3


@dataclass(frozen=True, slots=True)
class PrepareSettings:
    """Numbers of the preparation.

    Attributes:
        spacing_mm: isotropic spacing of the prepared volume.
        margin_mm: how far the box reaches beyond the lung mask.
    """

    spacing_mm: float = 1.0
    margin_mm: float = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class PreparedScan:
    """What every network sees.

    Attributes:
        volume: the box around the lungs, isotropic, axes parallel to the source grid; its geometry is in the
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
    source = volume.geometry
    margin = settings.margin_mm / np.asarray(source.spacing_mm[::-1])
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    start = np.maximum(np.floor([s.start - m for s, m in zip(box, margin, strict=True)]), 0).astype(int)
    stop = np.minimum(np.ceil([s.stop + m for s, m in zip(box, margin, strict=True)]), source.shape_zyx)
    stop = stop.astype(int)
    cropped = source.cropped(start, stop)
    window = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    # One grid for all scans: 1 mm over the outer faces of the box.
    grid = cropped.resampled((settings.spacing_mm,) * 3)
    part = Volume(np.ascontiguousarray(volume.hu[window]), cropped, volume.series_uid)
    return PreparedScan(resample(part, grid), sample_mask(mask[window], cropped, grid), source, warnings)


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
    if entry.exists():
        found = _load(entry)
        if found is not None:
            return _with_warnings(found, scan.warnings)
    prepared = prepare(read_volume(scan), settings)
    _store(entry, prepared)
    return _with_warnings(prepared, scan.warnings)


def default_cache() -> Path:
    """Where prepared scans are kept."""
    return cache_folder("prepared")


def _with_warnings(prepared: PreparedScan, more: tuple[str, ...]) -> PreparedScan:
    return PreparedScan(prepared.volume, prepared.lung_mask, prepared.source_geometry, (*more, *prepared.warnings))


def _key(scan: Scan, settings: PrepareSettings) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([CACHE_VERSION, scan.series_uid, asdict(settings)], sort_keys=True).encode())
    for path in scan.paths:
        for part in _files_of(path):
            content = part.read_bytes()
            digest.update(len(content).to_bytes(8, "little"))
            digest.update(content)
    return digest.hexdigest()


def _files_of(path: Path) -> list[Path]:
    """The file, and for a MetaImage header also the files it names: ElementDataFile stands last in it."""
    if path.suffix.lower() != ".mhd":
        return [path]
    _, _, names = path.read_text(errors="replace").partition("ElementDataFile")
    lines = names.lstrip(" =").splitlines()
    return [path, *(part for line in lines if line.strip() and (part := path.parent / line.strip()).is_file())]


def _store(entry: Path, prepared: PreparedScan) -> None:
    """Write to a neighbour and rename, so that a killed run leaves no half entry; then drop the oldest."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    meta = {
        "volume": prepared.volume.geometry.to_dict(),
        "source": prepared.source_geometry.to_dict(),
        "series_uid": prepared.volume.series_uid,
        "warnings": list(prepared.warnings),
    }
    if shutil.disk_usage(entry.parent).free < 4 * prepared.volume.hu.nbytes:
        return
    with tempfile.NamedTemporaryFile(dir=entry.parent, suffix=".tmp", delete=False) as handle:
        packed = np.packbits(prepared.lung_mask)
        np.savez(handle, hu=prepared.volume.hu, mask=packed, meta=np.array(json.dumps(meta)))
    Path(handle.name).replace(entry)
    _prune(entry.parent)


def _prune(folder: Path) -> None:
    entries = sorted(folder.glob("*.npz"), key=lambda p: p.stat().st_mtime, reverse=True)
    total = 0
    for path in entries:
        total += path.stat().st_size
        if total > CACHE_LIMIT_BYTES:
            path.unlink(missing_ok=True)


def _load(entry: Path) -> PreparedScan | None:
    """None when the entry cannot be read: it is then made again."""
    try:
        with np.load(entry, allow_pickle=False) as stored:
            meta = json.loads(str(stored["meta"]))
            hu, packed = stored["hu"], stored["mask"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    mask = np.unpackbits(packed, count=hu.size).reshape(hu.shape).astype(bool)
    volume = Volume(hu, Geometry.from_dict(meta["volume"]), str(meta["series_uid"]))
    warnings = cast(list[str], meta["warnings"])
    return PreparedScan(volume, mask, Geometry.from_dict(meta["source"]), tuple(warnings))
