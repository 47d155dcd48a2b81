"""The worst answers of a detector as pictures: what it missed, and what it took for a nodule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detection.candidate import Candidate
from detection.pictures.key_images import SIZE_MM, key_image, png_bytes
from preprocessing.annotations import Nodule
from preprocessing.prepare import PreparedScan

MOST = 12


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    badness: float
    name: str
    png: bytes


@dataclass(slots=True, eq=False)
class Album:
    """Keeps the worst pictures of a bench while its scans come by.

    Attributes:
        folder: where they go; None draws nothing.
        most: of misses, and of false positives.
    """

    folder: Path | None
    most: int = MOST
    _misses: list[_Picture] = field(default_factory=list)
    _false: list[_Picture] = field(default_factory=list)

    def look(
        self,
        prepared: PreparedScan,
        nodules: Sequence[Nodule],
        known: Sequence[Nodule],
        candidates: Sequence[Candidate],
        label: str,
    ) -> None:
        """Draw what is among the worst so far.

        Args:
            prepared: the scan.
            nodules: truth; the box of a miss is the truth's.
            known: findings whose hits are not false.
            candidates: best first.
            label: of the scan, for the file names.
        """
        if self.folder is None:
            return
        for nodule in nodules:
            best = max((c.score for c in candidates if lies_in(c, nodule)), default=0.0)
            what = Candidate(prepared.volume.series_uid, nodule.center_mm, nodule.diameter_mm, best)
            _keep(self._misses, self.most, 1 - best, prepared, what, f"{label}-{nodule.diameter_mm:.1f}mm-{best:.2f}")
        false = [c for c in candidates if not any(lies_in(c, n) for n in (*nodules, *known))]
        for candidate in false[:2]:
            name = f"{label}-{candidate.diameter_mm:.1f}mm-{candidate.score:.2f}"
            _keep(self._false, self.most, candidate.score, prepared, candidate, name)

    def write(self, prefix: str) -> None:
        """`PREFIX-miss-01-....png` and `PREFIX-false-01-....png`, the worst first."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for kind, pictures in (("miss", self._misses), ("false", self._false)):
            for rank, picture in enumerate(pictures, 1):
                (self.folder / f"{prefix}-{kind}-{rank:02d}-{picture.name}.png").write_bytes(picture.png)


def _keep(
    pictures: list[_Picture], most: int, badness: float, prepared: PreparedScan, what: Candidate, name: str
) -> None:
    if len(pictures) >= most and badness <= pictures[-1].badness:
        return
    drawn = png_bytes(key_image(prepared, what, max(SIZE_MM, 2 * what.diameter_mm)))
    pictures.append(_Picture(badness, name, drawn))
    pictures.sort(key=lambda p: -p.badness)
    del pictures[most:]


def lies_in(candidate: Candidate, nodule: Nodule) -> bool:
    """Whether a candidate hits a finding by LUNA16's rule; one of unknown size counts 10 mm across."""
    radius = (nodule.diameter_mm if nodule.diameter_mm > 0 else 10.0) / 2
    return bool(np.linalg.norm(np.asarray(candidate.center_mm) - np.asarray(nodule.center_mm)) < radius)
