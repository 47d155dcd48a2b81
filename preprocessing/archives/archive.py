"""What the readers of published collections have in common: scans with truth, in parts for cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from preprocessing.annotations import UNKNOWN_DIAMETER_MM, IgnoredPlace, Nodule
from preprocessing.geometry import Geometry
from preprocessing.intake.scan import Scan
from preprocessing.splits import SplitSettings
from runs.entry import UsageError


@dataclass(frozen=True, slots=True)
class Findings:
    """The truth of one scan.

    Attributes:
        nodules: to be found, of known size.
        ignored: what neither teaches nor counts.
    """

    nodules: tuple[Nodule, ...] = ()
    ignored: tuple[IgnoredPlace, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Archive:
    """A collection of annotated scans.

    Attributes:
        name: of the collection.
        scans: in a fixed order, refused ones too; `patient_id` is the patient of every split.
        part: of each scan by series uid.
        parts: how many there are.
        setting: of `SplitSettings`, that says which part is held out.
        truth: of a series with this `StoredScan.pixel_grid`; None where that is needed and absent.
    """

    name: str
    scans: tuple[Scan, ...]
    part: Mapping[str, int]
    parts: int
    setting: str
    truth: Callable[[str, Geometry | None], Findings | None]

    def split(self, split: SplitSettings) -> SplitSettings:
        """The same split with every patient of a held-out part among those that are held out: by patient all keep it.

        Raises:
            UsageError: there is no such part, or the collection has no such parts.
        """
        held = getattr(split, self.setting)
        if split.held_out_subset is not None and self.setting != "held_out_subset":
            raise UsageError(f"data.split.held_out_subset is a subset of LUNA16; {self.name} has none")
        if held is None:
            return split
        if not 0 <= held < self.parts:
            raise UsageError(f"data.split.{self.setting} must be 0 to {self.parts - 1}, got {held}")
        patients = {scan.patient_id for scan in self.members(held)}
        return replace(split, held_out_patients=(*split.held_out_patients, *sorted(patients)))

    def members(self, part: int) -> tuple[Scan, ...]:
        """The scans of one part."""
        return tuple(scan for scan in self.scans if self.part.get(scan.series_uid) == part)


def findings(nodules: list[Nodule], others: list[Nodule]) -> Findings:
    """Nodules, and other findings as ignored places; so is a nodule whose size nobody stated."""
    sized = tuple(n for n in nodules if n.diameter_mm > 0)
    unsized = [n for n in nodules if not n.diameter_mm > 0]
    return Findings(sized, tuple(_ignored(n) for n in (*others, *unsized)))


def _ignored(finding: Nodule) -> IgnoredPlace:
    diameter = finding.diameter_mm if finding.diameter_mm > 0 else UNKNOWN_DIAMETER_MM
    return IgnoredPlace(finding.series_uid, finding.center_mm, diameter)
