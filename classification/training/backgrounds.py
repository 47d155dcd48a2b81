"""Normal tissue for stage 2's training: from real scans and from simulated chests, each on one side of the split."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from classification.training.samples import Samples, tissue
from classification.training.settings import DataSettings
from phantom.chest import simulate
from phantom.lesions import library
from preprocessing.cohort import every_scan
from preprocessing.prepare import default_cache, prepare
from runs.seeds import stream


def read_tissue(
    data: DataSettings, held_out: Collection[str], diameters_mm: npt.NDArray[np.float32], seed: int
) -> Iterator[tuple[Samples, bool]]:
    """Examples of normal tissue, one entry a scan, in a fixed order, and whether the scan is measured on.

    Args:
        data: backgrounds, phantoms and which of them are held out.
        held_out: patients whose nodules are measured on: neither is their normal tissue learnt from.
        diameters_mm: drawn from, see `tissue`.
        seed: of places, sizes and phantoms.

    Raises:
        FileNotFoundError: see `every_scan`.
        ValueError: see `every_scan`; or a patient in `held_out_scans` has no background.
    """
    folders = [str(folder) for folder in data.backgrounds]
    missing = set(data.held_out_scans)
    for scan, prepared in every_scan(folders, data.split.held_out_patients, default_cache()):
        missing.discard(scan.patient_id)
        avoid = [(p.center_mm, p.diameter_mm / 2) for p in data.ignored if p.seriesuid == scan.series_uid]
        # By name: other backgrounds do not change where this one's tissue is taken.
        rng = stream(f"classification.tissue {scan.series_uid}", seed)
        found = tissue(prepared, scan.patient_id, data.tissue_per_scan, diameters_mm, rng, avoid)
        yield found, scan.patient_id in data.held_out_scans or scan.patient_id in held_out
    if missing:
        raise ValueError(f"data.held_out_scans must be patients of data.backgrounds; not found: {sorted(missing)}")
    for index in tqdm(range(data.phantoms), desc="phantom backgrounds", disable=not data.phantoms):
        name = f"phantom-{seed}-{index}"
        held = data.split.holds_out(name)
        rng = stream("classification.background", seed, index)
        volume, nodules = simulate(rng, shapes=library(data.split, held))
        avoid = [(n.center_mm, n.diameter_mm / 2) for n in nodules]
        rng = stream(f"classification.tissue {name}", seed)
        yield tissue(prepare(volume), name, data.tissue_per_scan, diameters_mm, rng, avoid), held
