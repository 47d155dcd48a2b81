"""What is known of a cohort before anything is drawn or tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import mean

import numpy as np
import numpy.typing as npt

from preprocessing.geometry import Triple


@dataclass(frozen=True, slots=True, eq=False)
class LungFacts:
    """What the voxels of the lungs say.

    Attributes:
        volume_ml: of the voxels in the lung mask below -400 HU: air and lung, without vessels and wall.
        mean_hu: of those voxels.
        below_950: share of those voxels below -950 HU, emphysema's usual measure.
        histogram: (bins,) share of all voxels of the mask.
        picture: PNG of an axial and a coronal section.
        surface: (n, 6) int8 points and normals of the lungs, see `view3d.surface`.
        extent_mm: lowest and highest world x, y, z of the mask.
    """

    volume_ml: float
    mean_hu: float
    below_950: float
    histogram: npt.NDArray[np.float64]
    picture: bytes
    surface: npt.NDArray[np.int8]
    extent_mm: tuple[Triple, Triple]


@dataclass(frozen=True, slots=True, eq=False)
class ScanFacts:
    """One series; NaN and empty text where it does not say.

    Attributes:
        patient_id, series_uid: of the series.
        status: "ok", or why it was refused.
        detail: one sentence about a refusal.
        warnings: of intake and preparation, each `code: sentence`.
        slices: how many.
        pixel_mm: in plane.
        slice_mm: median distance of slices.
        gap: largest over median distance of slices.
        thickness_mm: as stated.
        kernel, manufacturer: as stated.
        kvp: tube voltage.
        dose_mgy: CTDIvol.
        lungs: None where no voxels were read.
    """

    patient_id: str
    series_uid: str
    status: str = "ok"
    detail: str = ""
    warnings: tuple[str, ...] = ()
    slices: int = 0
    pixel_mm: float = np.nan
    slice_mm: float = np.nan
    gap: float = 1.0
    thickness_mm: float = np.nan
    kernel: str = ""
    manufacturer: str = ""
    kvp: float = np.nan
    dose_mgy: float = np.nan
    lungs: LungFacts | None = None


@dataclass(frozen=True, slots=True, eq=False)
class NoduleFacts:
    """One true nodule.

    Attributes:
        patient_id, series_uid: whose.
        diameter_mm: NaN where unknown.
        place: fractions from the patient's right to left, front to back and foot to head; None where unknown.
        center_mm: world LPS mm; None where no scan with this series was read.
        ratings: by name, one for each reader.
        upper: whether it lies in an upper lobe, or None where nobody says.
        in_lungs: whether its centre lies in the lung mask; None where no voxels were read.
    """

    patient_id: str
    series_uid: str
    diameter_mm: float
    place: Triple | None = None
    center_mm: Triple | None = None
    ratings: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    upper: bool | None = None
    in_lungs: bool | None = None

    @property
    def n_readers(self) -> int:
        """How many readers rated it."""
        return max((len(values) for values in self.ratings.values()), default=0)

    def rating(self, name: str) -> float:
        """Mean over the readers, NaN without any."""
        values = self.ratings.get(name, ())
        return float(mean(values)) if values else np.nan


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """All of it.

    Attributes:
        name: what it is, in words.
        scans: also the refused ones.
        nodules: true ones.
        labels: cancer (1) or none (0) by patient.
        place_words: what the fractions of `NoduleFacts.place` are of.
        truth_words: where nodules and ratings come from.
        faults: of the truth's files, each `code: sentence`.
    """

    name: str
    scans: tuple[ScanFacts, ...]
    nodules: tuple[NoduleFacts, ...]
    labels: Mapping[str, int]
    place_words: str
    truth_words: str
    faults: tuple[str, ...] = ()

    @property
    def patients(self) -> list[str]:
        """Ids of the scans' patients, sorted."""
        return sorted({scan.patient_id for scan in self.scans})
