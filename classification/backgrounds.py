"""Normal tissue for stage 2's training: from real scans and from simulated chests."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from classification.samples import Samples, tissue
from classification.settings import DataSettings
from phantom.chest import simulate
from preprocessing.cohort import every_scan
from preprocessing.prepare import default_cache, prepare


def read_tissue(data: DataSettings, diameters_mm: npt.NDArray[np.float32], seed: int) -> list[Samples]:
    """Examples of normal tissue, one entry a scan, in a fixed order.

    Raises:
        FileNotFoundError, ValueError: see `every_scan`.
    """
    rng = np.random.default_rng([seed, 1])
    found = []
    for scan, prepared in every_scan(data.backgrounds, data.held_out_patients, default_cache()):
        avoid = [(p.center_mm, p.diameter_mm / 2) for p in data.ignored if p.seriesuid == scan.series_uid]
        found.append(tissue(prepared, data.tissue_per_scan, diameters_mm, rng, avoid))
    for index in tqdm(range(data.phantoms), desc="phantom backgrounds", disable=not data.phantoms):
        volume, nodules = simulate(np.random.default_rng([seed, 2, index]))
        avoid = [(n.center_mm, n.diameter_mm / 2) for n in nodules]
        found.append(tissue(prepare(volume), data.tissue_per_scan, diameters_mm, rng, avoid))
    return found
