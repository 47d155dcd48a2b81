"""The chests that training patches are cut from, held in memory or opened on disk a patch at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from detection.training.spheres import Spheres, spheres
from preprocessing.archives.stored import LungVoxels, lung_voxels
from preprocessing.geometry import IntTriple
from preprocessing.resample import coarsened, coarsened_mask


class Voxels(Protocol):
    """Arrays of a prepared chest; asked for once a patch, for they may be opened at that moment."""

    @property
    def hu(self) -> npt.NDArray[np.int16]:
        """(Z, Y, X) int16 at 1 mm."""

    @property
    def lung_mask(self) -> npt.NDArray[np.bool_]:
        """(Z, Y, X) bool."""

    @property
    def lung_voxels(self) -> LungVoxels:
        """See `lung_voxels` of preprocessing/archives/stored.py."""

    @property
    def half(self) -> Voxels:
        """The same chest at half its resolution."""


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A chest in memory; attributes as of `Voxels`."""

    hu: npt.NDArray[np.int16]
    lung_mask: npt.NDArray[np.bool_]
    lung_voxels: LungVoxels = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lung_voxels", lung_voxels(self.lung_mask))

    @property
    def half(self) -> Held:
        """At half the resolution, in memory too."""
        return Held(coarsened(self.hu, 2), coarsened_mask(self.lung_mask, 2))


@dataclass(frozen=True, slots=True, eq=False)
class Host:
    """A prepared chest to cut patches from.

    Attributes:
        voxels: `Held`, or `StoredVoxels` on disk.
        nodules: true nodules already in it.
        ignored: places that must teach nothing (unannotated tumours, excluded findings).
        box: first voxel and one past the last of what inference would see of the chest.
        weight: how often patches come from it, relative to the other hosts.
        step: edge of its voxels in mm; in a chest at lower resolutions nodules of any crop are masses.
        series_uid: of a scan of an archive.
    """

    voxels: Voxels
    nodules: Spheres = field(default_factory=spheres)
    ignored: Spheres = field(default_factory=spheres)
    box: tuple[IntTriple, IntTriple] | None = None
    weight: float = 1.0
    step: int = 1
    series_uid: str = ""

    @property
    def marked(self) -> Spheres:
        """Nodules and ignored places."""
        return np.concatenate([self.nodules, self.ignored])
