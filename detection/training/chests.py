"""What a detector is trained on: chests, real and simulated, and the nodules to blend into them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tqdm import tqdm

from detection.training.hosts import Held, Host, Voxels
from detection.training.sampling import HOST_MARGIN_MM
from detection.training.settings import DataSettings
from detection.training.spheres import Spheres, spheres
from phantom.chest import simulate
from phantom.lesions import library
from phantom.pieces import NoduleCrop, Piece, load_cubes, load_nodule_crops
from preprocessing.annotations import IgnoredPlace, read_annotations
from preprocessing.archives.archive import Archive, Findings, findings
from preprocessing.archives.lidc import open_lidc
from preprocessing.archives.luna16 import open_luna16
from preprocessing.archives.stored import default_store, store_scans
from preprocessing.cohort import every_scan
from preprocessing.geometry import Geometry, IntTriple
from preprocessing.lidc.shapes import NoduleShape
from preprocessing.masks import box_of
from preprocessing.prepare import PreparedScan, PrepareSettings, default_cache, prepare
from runs.seeds import stream

WIDE = PrepareSettings(margin_mm=HOST_MARGIN_MM)

Box = tuple[IntTriple, IntTriple]


def open_archive(data: DataSettings) -> Archive | None:
    """The annotated collection that the hosts are, or None for other chests.

    Raises:
        FileNotFoundError, UsageError: see `open_lidc` and `open_luna16`.
    """
    if data.kind == "lidc":
        return open_lidc(data.hosts, data.min_readers)
    if data.kind == "luna16":
        return open_luna16(data.hosts, data.annotations, data.excluded)
    return None


def split_by(data: DataSettings, archive: Archive | None) -> DataSettings:
    """The data with every patient of a held-out part of the archive held out.

    Raises:
        UsageError: see `Archive.split`.
    """
    return data if archive is None else replace(data, split=archive.split(data.split))


def load_hosts(data: DataSettings, seed: int, archive: Archive | None = None) -> list[Host]:
    """Real hosts first, then phantoms, in a fixed order; without those that the split keeps from training.

    Args:
        data: after `split_by`.
        seed: of the phantoms.
        archive: takes the place of `data.hosts`.

    Raises:
        FileNotFoundError, UsageError: see `every_scan`; OSError: see `store_scans`.
    """
    hosts = _held(data) if archive is None else stored_hosts(data, archive)
    # The two kinds share the patches as configured, the chests of a kind share evenly.
    share = data.phantom_share if hosts else 1.0
    real_weight, phantom_weight = (1 - share) / max(len(hosts), 1), share / max(data.phantoms, 1)
    hosts = [replace(host, weight=real_weight) for host in hosts]
    outlines = library(data.split) if data.phantoms else None
    for index in tqdm(range(data.phantoms), desc="phantom hosts", disable=not data.phantoms):
        hosts.append(replace(_phantom(stream("detection.host", seed, index), outlines), weight=phantom_weight))
    return hosts


def validation_phantoms(data: DataSettings, seed: int) -> list[Host]:
    """As many simulated chests as the training has, none of them among its own."""
    outlines = library(data.split)
    return [_phantom(stream("detection.validation.host", seed, n), outlines) for n in range(data.phantoms)]


def load_crops(data: DataSettings, validation: bool = False) -> list[NoduleCrop]:
    """Nodules to blend in, of the patients to learn from or to choose weights by; empty when none are configured."""
    if data.nodules is None:
        return []
    wanted = data.split.validates if validation else data.split.trains
    return [c for c in load_nodule_crops(data.nodules) if wanted(c.slab.patient_id)]


def load_context(data: DataSettings, validation: bool = False) -> list[Piece]:
    """Nodules in their own surroundings, of the patients that `load_crops` takes; empty when none are configured."""
    if data.context is None:
        return []
    wanted = data.split.validates if validation else data.split.trains
    return [c for c in load_cubes(data.context) if wanted(c.patient_id)]


def without_nodules(host: Host) -> Host:
    """A chest whose own nodules say nothing: training has learnt from them."""
    return replace(host, nodules=spheres(), ignored=host.marked)


def _phantom(rng: np.random.Generator, outlines: tuple[NoduleShape, ...] | None) -> Host:
    volume, nodules = simulate(rng, shapes=outlines)
    return _in_memory(prepare(volume, WIDE), findings(nodules, []))


def _held(data: DataSettings) -> list[Host]:
    """Few chests, in memory; not one of them may be missing."""
    nodules = read_annotations(data.annotations) if data.annotations else []
    excluded = read_annotations(data.excluded) if data.excluded else []
    hosts = []
    for scan, prepared in every_scan(data.hosts, data.held_out_hosts, default_cache(), WIDE):
        truth = findings(*([n for n in listed if n.series_uid == scan.series_uid] for listed in (nodules, excluded)))
        hosts.append(_in_memory(prepared, truth, _more(data, scan.series_uid)))
    return hosts


def stored_hosts(data: DataSettings, archive: Archive, validation: bool = False) -> list[Host]:
    """Any number of chests, on disk, of the patients that `load_crops` takes; what cannot be read is left out."""
    side = data.split.validates if validation else data.split.trains
    wanted = [s for s in archive.scans if side(s.patient_id) and s.patient_id not in data.held_out_hosts]
    hosts = []
    for _, scan in store_scans(wanted, data.store or default_store(), WIDE, data.jobs):
        if scan is not None:
            truth, more = archive.truth(scan.series_uid, scan.pixel_grid) or Findings(), _more(data, scan.series_uid)
            host = _host(scan.voxels, scan.geometry, scan.lung_box, truth, more)
            hosts.append(replace(host, series_uid=scan.series_uid))
    return hosts


def _more(data: DataSettings, series_uid: str) -> tuple[IgnoredPlace, ...]:
    return tuple(place for place in data.ignored if place.seriesuid == series_uid)


def _in_memory(prepared: PreparedScan, truth: Findings, more: tuple[IgnoredPlace, ...] = ()) -> Host:
    lungs = box_of(prepared.lung_mask)
    low, high = (tuple(s.start for s in lungs), tuple(s.stop for s in lungs))
    voxels = Held(prepared.volume.hu, prepared.lung_mask)
    return _host(voxels, prepared.volume.geometry, (low, high), truth, more)


def _host(voxels: Voxels, geometry: Geometry, lung_box: Box, truth: Findings, more: tuple[IgnoredPlace, ...]) -> Host:
    nodules = [(n.center_mm, n.diameter_mm) for n in truth.nodules]
    ignored = [(p.center_mm, p.diameter_mm) for p in (*truth.ignored, *more)]
    return Host(voxels, _marks(geometry, nodules), _marks(geometry, ignored), _seen(geometry, lung_box))


def _seen(geometry: Geometry, lung_box: Box) -> Box:
    """The part of the chest that the preparation of inference keeps."""
    margin = PrepareSettings().margin_mm / geometry.spacing_mm[0]
    low = [max(int(start - margin), 0) for start in lung_box[0]]
    high = [min(int(stop + margin), n) for stop, n in zip(lung_box[1], geometry.shape_zyx, strict=True)]
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _marks(geometry: Geometry, places: list[tuple[tuple[float, float, float], float]]) -> Spheres:
    """World centres and diameters in mm as marks of the isotropic grid."""
    spacing = geometry.spacing_mm[0]
    rows = [(*(float(v) for v in geometry.to_voxel(center)), size / spacing) for center, size in places]
    return spheres([(z, y, x, d) for z, y, x, d in rows])
