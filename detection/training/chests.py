"""What a detector is trained on: chests, real and simulated, and the nodules to blend into them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from detection.training.sampling import HOST_MARGIN_MM, Host
from detection.training.settings import DataSettings
from detection.training.spheres import Spheres, spheres
from phantom.chest import simulate
from phantom.lesions import library
from phantom.pieces import NoduleCrop, Piece, load_cubes, load_nodule_crops
from preprocessing.annotations import Nodule, read_annotations
from preprocessing.cohort import every_scan
from preprocessing.geometry import Geometry, IntTriple
from preprocessing.lidc.shapes import NoduleShape
from preprocessing.prepare import PreparedScan, PrepareSettings, default_cache, prepare
from runs.seeds import stream

WIDE = PrepareSettings(margin_mm=HOST_MARGIN_MM)


def load_hosts(data: DataSettings, seed: int) -> list[Host]:
    """Real hosts first, then phantoms, in a fixed order; without those that the split holds out.

    Raises:
        FileNotFoundError, UsageError: see `every_scan`.
    """
    truth = read_annotations(data.annotations) if data.annotations else []
    hosts = []
    for scan, prepared in every_scan(data.hosts, data.held_out_hosts, default_cache(), WIDE):
        own = [nodule for nodule in truth if nodule.series_uid == scan.series_uid]
        ignored = [(p.center_mm, p.diameter_mm) for p in data.ignored if p.seriesuid == scan.series_uid]
        hosts.append(_host(prepared, own, ignored))
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
    return _host(prepare(volume, WIDE), nodules, [])


def _host(
    prepared: PreparedScan,
    nodules: list[Nodule],
    ignored: list[tuple[tuple[float, float, float], float]],
) -> Host:
    geometry = prepared.volume.geometry
    return Host(
        prepared.volume.hu,
        prepared.lung_mask,
        _marks(geometry, [(n.center_mm, n.diameter_mm) for n in nodules]),
        _marks(geometry, ignored),
        _box(prepared),
    )


def _box(prepared: PreparedScan) -> tuple[IntTriple, IntTriple]:
    """The part of the chest that the preparation of inference keeps."""
    margin = PrepareSettings().margin_mm / prepared.volume.geometry.spacing_mm[0]
    lungs = ndimage.find_objects(prepared.lung_mask.view(np.uint8))[0]
    low = [max(int(s.start - margin), 0) for s in lungs]
    high = [min(int(s.stop + margin), n) for s, n in zip(lungs, prepared.lung_mask.shape, strict=True)]
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _marks(geometry: Geometry, places: list[tuple[tuple[float, float, float], float]]) -> Spheres:
    """World centres and diameters in mm as marks of the isotropic grid."""
    spacing = geometry.spacing_mm[0]
    rows = [(*(float(v) for v in geometry.to_voxel(center)), size / spacing) for center, size in places]
    return spheres([(z, y, x, d) for z, y, x, d in rows])
