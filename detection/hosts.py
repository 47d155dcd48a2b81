"""Chests to train in: real scans and phantoms, prepared, with what is known to grow in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from detection.sampling import Host
from detection.settings import DataSettings
from phantom.chest import simulate
from phantom.hybrid import Chip, load_chips
from preprocessing.annotations import Nodule, read_annotations
from preprocessing.cohort import every_scan
from preprocessing.geometry import Geometry
from preprocessing.prepare import PreparedScan, default_cache, prepare


def load_hosts(data: DataSettings, seed: int) -> list[Host]:
    """Real hosts first, then phantoms, in a fixed order.

    Raises:
        FileNotFoundError, ValueError: see `every_scan`.
    """
    truth = read_annotations(Path(data.annotations)) if data.annotations else []
    hosts = []
    for scan, prepared in every_scan(data.hosts, data.held_out_patients, default_cache()):
        own = [nodule for nodule in truth if nodule.series_uid == scan.series_uid]
        ignored = [(p.center_mm, p.diameter_mm / 2) for p in data.ignored if p.seriesuid == scan.series_uid]
        hosts.append(_host(prepared, own, ignored))
    # The two kinds share the patches as configured, the chests of a kind share evenly.
    share = data.phantom_share if hosts else 1.0
    real_weight, phantom_weight = (1 - share) / max(len(hosts), 1), share / max(data.phantoms, 1)
    hosts = [replace(host, weight=real_weight) for host in hosts]
    for index in tqdm(range(data.phantoms), desc="phantom hosts", disable=not data.phantoms):
        volume, nodules = simulate(np.random.default_rng([seed, index]))
        hosts.append(replace(_host(prepare(volume), nodules, []), weight=phantom_weight))
    return hosts


def load_nodules(data: DataSettings) -> list[Chip]:
    """Nodules to paste, without those of held-out patients; empty when none are configured."""
    if data.nodules is None:
        return []
    return [c for c in load_chips(Path(data.nodules)) if c.patient_id not in data.held_out_patients]


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
    )


def _marks(geometry: Geometry, places: list[tuple[tuple[float, float, float], float]]) -> npt.NDArray[np.float64]:
    """(n, 4) z, y, x and size in voxels of the isotropic grid."""
    rows = [(*geometry.to_voxel(center), size / geometry.spacing_mm[0]) for center, size in places]
    return np.asarray(rows, dtype=np.float64).reshape(-1, 4)
