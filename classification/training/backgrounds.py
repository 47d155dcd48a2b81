"""What scans teach stage 2: normal tissue, and nodules blended into it; each scan is on one side of the split."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from classification.training.pasted import paste
from classification.training.samples import Samples, fold_in_turn, join, tissue
from classification.training.settings import DataSettings
from phantom.chest import simulate
from phantom.lesions import library
from phantom.pieces import NoduleCrop
from preprocessing.cohort import every_scan
from preprocessing.prepare import PreparedScan, default_cache, prepare
from preprocessing.splits import fold_of
from runs.seeds import stream


def read_backgrounds(
    data: DataSettings,
    held_out: Collection[str],
    diameters_mm: npt.NDArray[np.float32],
    seed: int,
    crops: Sequence[NoduleCrop] = (),
) -> Iterator[tuple[Samples, bool]]:
    """Examples of scans, one entry a scan, in a fixed order, and whether the scan is measured on.

    A nodule goes into scans of its own patient's fold only, so that a network that has not seen a fold has seen
    neither its nodules nor its scans.

    Args:
        data: backgrounds, phantoms and which of them are held out.
        held_out: patients whose nodules are measured on: neither are their scans learnt from.
        diameters_mm: of normal tissue, drawn from, see `tissue`.
        seed: of places, sizes and phantoms.
        crops: to blend in.

    Raises:
        FileNotFoundError: see `every_scan`.
        ValueError: see `every_scan`; or a patient in `held_out_scans` has no background.
    """
    folders = [str(folder) for folder in data.backgrounds]
    missing = set(data.held_out_scans)
    making = _Making(data, diameters_mm, seed, crops)
    for scan, prepared in every_scan(folders, data.split.held_out_patients, default_cache()):
        missing.discard(scan.patient_id)
        avoid = [(p.center_mm, p.diameter_mm / 2) for p in data.ignored if p.seriesuid == scan.series_uid]
        held = scan.patient_id in data.held_out_scans or scan.patient_id in held_out
        # By name: other backgrounds do not change where this one's tissue is taken.
        yield making.of(prepared, scan.patient_id, scan.series_uid, avoid, held), held
    if missing:
        raise ValueError(f"data.held_out_scans must be patients of data.backgrounds; not found: {sorted(missing)}")
    for index in tqdm(range(data.phantoms), desc="phantom backgrounds", disable=not data.phantoms):
        name = f"phantom-{seed}-{index}"
        held = data.split.holds_out(name)
        rng = stream("classification.background", seed, index)
        volume, nodules = simulate(rng, shapes=library(data.split, held))
        avoid = [(n.center_mm, n.diameter_mm / 2) for n in nodules]
        yield making.of(prepare(volume), name, name, avoid, held), held


class _Making:
    """Makes the examples of one scan after the other, and knows which fold the next one is in."""

    def __init__(
        self, data: DataSettings, diameters_mm: npt.NDArray[np.float32], seed: int, crops: Sequence[NoduleCrop]
    ) -> None:
        self.data, self.diameters_mm, self.seed, self.crops = data, diameters_mm, seed, crops
        self.with_nodules = {crop.slab.patient_id for crop in crops}
        self.others: list[str] = []

    def of(
        self,
        prepared: PreparedScan,
        patient_id: str,
        name: str,
        avoid: list[tuple[tuple[float, float, float], float]],
        held: bool,
    ) -> Samples:
        """Tissue and pasted nodules of a scan whose random streams go by `name`."""
        rng = stream(f"classification.tissue {name}", self.seed)
        found = tissue(prepared, patient_id, self.data.tissue_per_scan, self.diameters_mm, rng, avoid)
        if not self.data.pasted_per_scan or not len(found):
            return found
        rng = stream(f"classification.pasted {name}", self.seed)
        crops = self._fitting(patient_id, held)
        return join([found, paste(prepared, patient_id, self.data.pasted_per_scan, crops, rng, avoid)])

    def _fitting(self, patient_id: str, held: bool) -> list[NoduleCrop]:
        """Nodules that are on the scan's side: held out, or in the fold that `folds_of` will give it."""
        split = self.data.split
        if held:
            return [crop for crop in self.crops if split.holds_out(crop.slab.patient_id)]
        if patient_id in self.with_nodules:
            fold = fold_of(patient_id)
        else:
            if patient_id not in self.others:
                self.others.append(patient_id)
            fold = fold_in_turn(self.others.index(patient_id), split)
        mine = (crop for crop in self.crops if not split.holds_out(crop.slab.patient_id))
        return [crop for crop in mine if fold_of(crop.slab.patient_id) == fold]
