"""One SeriesInstanceUID while its files are found: slices, faults, and what is said of it as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from preprocessing.intake.headers import Slice
from preprocessing.intake.scan import ScanError
from preprocessing.intake.series.told import Told


@dataclass(slots=True)
class Series:
    """What is collected of one series while files are walked."""

    patient_id: str
    slices: list[Slice] = field(default_factory=list)
    errors: list[ScanError] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    # Objects of other classes than CT images, with what is wrong with them or the slices that they are.
    others: list[tuple[Path, ScanError | list[Slice]]] = field(default_factory=list)
    study_uid: str = ""
    study_date: str = ""
    description: str = ""
    image_types: set[str] = field(default_factory=set)

    def take(self, path: Path, told: Told) -> None:
        """Sort in a file, and keep what it says of the series as a whole."""
        if not told.is_ct_image:
            self.others.append((path, told.found))
            return
        self.study_uid = self.study_uid or told.study_uid
        self.study_date = self.study_date or told.study_date
        self.description = self.description or told.description
        if "LOCALIZER" not in told.image_types:
            self.image_types |= told.image_types
        self.paths.append(path)
        if isinstance(told.found, list):
            self.slices.extend(told.found)
        else:
            self.errors.append(told.found)

    def settle(self) -> list[str]:
        """Leave objects of other classes out where there are CT images; alone, they are the series."""
        if not self.others or not (self.slices or self.errors):
            self.paths += [path for path, _ in self.others]
            self.errors += [found for _, found in self.others if isinstance(found, ScanError)]
            self.slices += [image for _, found in self.others if isinstance(found, list) for image in found]
            return []
        return [f"stray_images: {len(self.others)} object(s) of other kinds than CT images were left out"]
