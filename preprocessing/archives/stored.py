"""Prepared scans on disk as plain arrays, to be opened where a patch lies: a thousand of them take no memory.

Each scan is a folder of uncompressed `.npy` files, written once. An entry is there when its `meta.json` is, which is
written last, so a pass that was killed goes on with the scans that are missing.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from preprocessing.cohort import attempt
from preprocessing.geometry import Geometry, IntTriple
from preprocessing.intake.headers import quiet_pydicom, read_header, slices_of
from preprocessing.intake.images import data_files, image_ending
from preprocessing.intake.scan import Scan
from preprocessing.intake.stack import stack_of
from preprocessing.masks import box_of
from preprocessing.prepare import PreparedScan, PrepareSettings, prepare_scan
from preprocessing.resample import coarsened, coarsened_mask
from runs.cache import cache_folder, code_digest, drop_stale
from runs.writing import whole, write_json

log = logging.getLogger(__name__)

LungVoxels = npt.NDArray[np.int32]

HU, LUNGS, PLACES, META = "hu.npy", "lungs.npy", "lung_voxels.npy", "meta.json"
# The same at half the resolution lie in this folder, and at a quarter in one of the same name in it.
HALF = "half"
# Raised when the files of an entry change.
LAYOUT = 2


def lung_voxels(lung_mask: npt.NDArray[np.bool_]) -> LungVoxels:
    """(n,) places in the lungs: flat indices into every second voxel along each axis, `lung_mask[::2, ::2, ::2]`."""
    return np.flatnonzero(lung_mask[::2, ::2, ::2]).astype(np.int32)


@dataclass(frozen=True, slots=True)
class StoredVoxels:
    """The arrays of a prepared scan, opened at every access and closed with their last use: no number of scans holds
    memory or file handles.

    Attributes:
        folder: of their files.
    """

    folder: Path

    @property
    def hu(self) -> npt.NDArray[np.int16]:
        """(Z, Y, X) int16, read-only."""
        return _opened(self.folder / HU)

    @property
    def lung_mask(self) -> npt.NDArray[np.bool_]:
        """(Z, Y, X) bool, read-only."""
        return _opened(self.folder / LUNGS)

    @property
    def lung_voxels(self) -> LungVoxels:
        """See `lung_voxels`."""
        return _opened(self.folder / PLACES)

    @property
    def half(self) -> StoredVoxels:
        """At half the resolution, on disk too."""
        return StoredVoxels(self.folder / HALF)


@dataclass(frozen=True, slots=True, eq=False)
class StoredScan:
    """A prepared scan on disk.

    Attributes:
        voxels: its arrays.
        series_uid: of the scan.
        geometry: of the arrays, isotropic.
        pixel_grid: columns, rows and slices as the files have them, before axes were turned; what readers' outlines
            count in.
        lung_box: first voxel and one past the last of the lungs.
    """

    voxels: StoredVoxels
    series_uid: str
    geometry: Geometry
    pixel_grid: Geometry
    lung_box: tuple[IntTriple, IntTriple]


def default_store() -> Path:
    """Where they are kept when no folder is named; nothing there is ever dropped."""
    return cache_folder("chests")


def store_scans(
    scans: Sequence[Scan], folder: Path, settings: PrepareSettings, jobs: int = 1
) -> list[tuple[Scan, StoredScan | None]]:
    """Prepare the scans that are not there yet, past those that are refused, in their order.

    Args:
        scans: from `find_scans`.
        folder: of the store; made if missing. About 100 MB a scan.
        settings: of the preparation.
        jobs: processes.

    Returns:
        every scan with what became of it, None for a refused one; the refused ones are logged too.

    Raises:
        OSError: the store cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    work = partial(_stored, folder=folder, settings=settings)
    done = list(
        tqdm(_each(work, scans, jobs), desc="prepared scans", unit="scan", total=len(scans), disable=not scans)
    )
    refused = [scan for scan, entry in done if entry is None]
    if refused:
        reasons = "".join(f"\n  {s.series_uid or s.patient_id}: {s.refused}: {s.detail}" for s in refused)
        log.warning("%d of %d scans were refused and are left out:%s", len(refused), len(done), reasons)
    return done


def stored_scan(folder: Path) -> StoredScan | None:
    """The entry in a folder, or None when it is not there or not whole."""
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    low, high = meta["lung_box"]
    geometry, grid = (Geometry.from_dict(meta[name]) for name in ("geometry", "pixel_grid"))
    return StoredScan(StoredVoxels(folder), str(meta["series_uid"]), geometry, grid, (tuple(low), tuple(high)))


def pixel_grid(scan: Scan, prepared: PreparedScan) -> Geometry:
    """The grid of a DICOM series as its files have it; of an image file, as it was read."""
    if len(scan.paths) == 1 and image_ending(scan.paths[0]):
        return prepared.source_geometry
    with quiet_pydicom():
        headers = [(read_header(path), path) for path in scan.paths]
        slices = [s for header, path in headers if header for s in slices_of(header, path)]
    return stack_of([s for s in slices if scan.holds(s.path, s.frame)]).geometry


def _stored(scan: Scan, folder: Path, settings: PrepareSettings) -> tuple[Scan, StoredScan | None]:
    if scan.refused is not None:
        return scan, None
    entry = folder / _key(scan, settings)
    found = stored_scan(entry)
    if found is not None:
        return scan, found
    made: list[tuple[PreparedScan, Geometry]] = []

    def work(scan: Scan) -> tuple[str, ...]:
        prepared = prepare_scan(scan, settings)
        made.append((prepared, pixel_grid(scan, prepared)))
        return prepared.warnings

    # Whatever is wrong with a scan is its own matter; a store that cannot be written ends the pass.
    done = attempt(scan, work)
    if done.refused is None:
        _write(entry, *made[0])
    return done, stored_scan(entry)


def _write(entry: Path, prepared: PreparedScan, grid: Geometry) -> None:
    box = box_of(prepared.lung_mask)
    hu, lungs = prepared.volume.hu, prepared.lung_mask
    for folder in (entry, entry / HALF, entry / HALF / HALF):
        _write_voxels(folder, hu, lungs)
        hu, lungs = coarsened(hu, 2), coarsened_mask(lungs, 2)
    meta = {
        "series_uid": prepared.volume.series_uid,
        "geometry": prepared.volume.geometry.to_dict(),
        "pixel_grid": grid.to_dict(),
        "lung_box": [[s.start for s in box], [s.stop for s in box]],
    }
    write_json(entry / META, meta)


def _write_voxels(folder: Path, hu: npt.NDArray[np.int16], lungs: npt.NDArray[np.bool_]) -> None:
    folder.mkdir(exist_ok=True)
    drop_stale(folder)
    for name, array in {HU: hu, LUNGS: lungs, PLACES: lung_voxels(lungs)}.items():
        with whole(folder / name) as part, part.open("xb") as handle:
            np.save(handle, array)


def _key(scan: Scan, settings: PrepareSettings) -> str:
    """Of code, settings and the files by name, size and time: to hash 130 GB at every start would take an hour."""
    files = [part for path in scan.paths for part in (path, *data_files(path))]
    stats = [(file.name, file.stat()) for file in files if file.is_file()]
    what: list[Any] = [
        LAYOUT,
        code_digest("preprocessing.prepare"),
        scan.series_uid,
        asdict(settings),
        [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats],
    ]
    return hashlib.blake2b(json.dumps(what).encode(), digest_size=16).hexdigest()


def _each(
    work: partial[tuple[Scan, StoredScan | None]], scans: Sequence[Scan], jobs: int
) -> Iterator[tuple[Scan, StoredScan | None]]:
    if jobs == 1:
        yield from map(work, scans)
        return
    yield from joblib.Parallel(n_jobs=jobs, return_as="generator")(joblib.delayed(work)(scan) for scan in scans)


def _opened(path: Path) -> npt.NDArray[Any]:
    return np.asarray(np.load(path, mmap_mode="r"))
