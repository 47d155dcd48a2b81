"""Normal tissue for stage 2's training: from real scans and from simulated chests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from classification.samples import Samples, tissue
from classification.settings import DataSettings
from phantom.chest import simulate
from preprocessing.intake import find_scans
from preprocessing.prepare import default_cache, prepare, prepare_scan


def read_tissue(data: DataSettings, diameters_mm: npt.NDArray[np.float32], seed: int) -> list[Samples]:
    """Examples of normal tissue, one entry a scan, in a fixed order.

    Raises:
        FileNotFoundError: a folder does not exist.
        ValueError: a scan is refused: training must not silently run on less than was asked.
    """
    rng = np.random.default_rng([seed, 1])
    found = []
    scans = [scan for folder in data.backgrounds for scan in find_scans(Path(folder))]
    for scan in tqdm(scans, desc="background scans", disable=not scans):
        if scan.patient_id in data.held_out_patients:
            continue
        if scan.refused is not None:
            raise ValueError(f"a background scan was refused ({scan.refused}): {scan.detail}")
        avoid = [(p.center_mm, p.radius_mm) for p in data.ignored if p.seriesuid == scan.series_uid]
        prepared = prepare_scan(scan, cache=default_cache())
        found.append(tissue(prepared, data.tissue_per_scan, diameters_mm, rng, avoid))
    for index in tqdm(range(data.phantoms), desc="phantom backgrounds", disable=not data.phantoms):
        volume, nodules = simulate(np.random.default_rng([seed, 2, index]))
        avoid = [(n.center_mm, n.diameter_mm / 2) for n in nodules]
        found.append(tissue(prepare(volume), data.tissue_per_scan, diameters_mm, rng, avoid))
    return found
