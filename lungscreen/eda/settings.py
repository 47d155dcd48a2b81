"""What the exploration takes; the numbers stand in `conf/eda.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runs.checks import above, at_least, between
from runs.entry import UsageError


@dataclass(frozen=True, slots=True)
class HistogramSettings:
    """Of the densities in the lungs.

    Attributes:
        low_hu, high_hu: its ends; densities beyond fall into the first or the last bin.
        bins: of equal width.
    """

    low_hu: float
    high_hu: float
    bins: int

    def __post_init__(self) -> None:
        above("histogram.high_hu", self.high_hu, self.low_hu)
        at_least("histogram.bins", self.bins, 2)


@dataclass(frozen=True, slots=True)
class ViewSettings:
    """Of pictures and of the view in three dimensions.

    Attributes:
        cell_mm: how far the points of a lung's surface lie apart.
        scans: how many can be chosen in the view; a page holds all of them.
        pictures: how many scans have their picture in the montage.
        picture_px: its width and height.
    """

    cell_mm: float
    scans: int
    pictures: int
    picture_px: int

    def __post_init__(self) -> None:
        at_least("view.cell_mm", self.cell_mm, 2)
        at_least("view.scans", self.scans, 0)
        at_least("view.pictures", self.pictures, 0)
        at_least("view.picture_px", self.picture_px, 16)


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """Of the tests.

    Attributes:
        benign_to, suspicious_from: mean malignancy up to which, and from which on, a nodule is of the one or the other
            group; those between are in neither.
        min_readers: nodules with fewer are not tested, where the cohort has nodules with as many.
        least_patients: with fewer on either side nothing is tested.
        bootstrap: draws behind the intervals of agreement.
        level: of the intervals.
    """

    benign_to: float
    suspicious_from: float
    min_readers: int
    least_patients: int
    bootstrap: int
    level: float

    def __post_init__(self) -> None:
        above("comparing.suspicious_from", self.suspicious_from, self.benign_to)
        at_least("comparing.min_readers", self.min_readers, 1)
        at_least("comparing.least_patients", self.least_patients, 2)
        at_least("comparing.bootstrap", self.bootstrap, 1)
        between("comparing.level", self.level, 0.5, 0.999)


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """From where on something is a problem.

    Attributes:
        least_mm, most_mm: diameters outside are named.
        disagreement: readers whose malignancy differs by as much are named.
        thick_mm: slices above it are named (LUNA16 leaves them out).
        uneven: largest over median distance of neighbouring slices, above which slices are missing.
    """

    least_mm: float
    most_mm: float
    disagreement: int
    thick_mm: float
    uneven: float

    def __post_init__(self) -> None:
        above("limits.most_mm", self.most_mm, self.least_mm)
        at_least("limits.disagreement", self.disagreement, 1)
        above("limits.thick_mm", self.thick_mm, 0)
        above("limits.uneven", self.uneven, 1)


@dataclass(frozen=True)
class EdaSettings:
    """What `lungscreen.eda` takes.

    Attributes:
        phantoms: size of the phantom cohort that stands in where no input is given.
        histogram, view, comparing, limits: see there.
        input: as `lungscreen.classify` takes it; None: phantoms.
        lidc: the LIDC table in place of files.
        annotations: nodules as LUNA16's `annotations.csv` has them, or None.
        labels: csv of `id,cancer`, or None.
        out: folder for the page and its tables; made if missing.
        cache: keep prepared scans between runs.
    """

    phantoms: int
    histogram: HistogramSettings
    view: ViewSettings
    comparing: CompareSettings
    limits: LimitSettings
    input: Path | None = None
    lidc: bool = False
    annotations: Path | None = None
    labels: Path | None = None
    out: Path = Path("outputs/eda")
    cache: bool = True

    def __post_init__(self) -> None:
        at_least("phantoms", self.phantoms, 1)
        if self.lidc and (self.input is not None or self.annotations is not None):
            raise UsageError("lidc=true takes the table of LIDC-IDRI; it goes without input= and annotations=")
