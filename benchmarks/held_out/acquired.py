"""How a scanner sees a chest at 1 mm: breath, slice thickness, kernel, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from phantom.hybrid import lung_shifted
from phantom.pieces import FloatVolume
from preprocessing.geometry import Geometry
from preprocessing.volume import HU_MAX, HU_MIN, Volume

THICKNESSES_MM = (1.0, 2.5, 5.0, 8.0)
# Median HU of aerated lung that a breath is drawn from.
BREATHS = {"inspiration": (-890.0, -820.0), "expiration": (-760.0, -660.0)}


@dataclass(frozen=True, slots=True)
class Acquisition:
    """One way to see a chest.

    Attributes:
        thickness_mm: slices lie side by side, each the mean over its thickness.
        breath: key of `BREATHS`.
        lung_hu: median of aerated lung.
        kernel: from -0.6 (sharpened) over 0 to 0.8 (blurred with this standard deviation in mm) in plane.
        noise_hu: added, standard deviation.
        grain_mm: standard deviation of the noise's blur in plane.
    """

    thickness_mm: float
    breath: str
    lung_hu: float
    kernel: float
    noise_hu: float
    grain_mm: float


def draw_acquisition(rng: np.random.Generator, thickness_mm: float, breath: str) -> Acquisition:
    """A scanner for this thickness and breath; noise is louder in thin slices."""
    return Acquisition(
        thickness_mm,
        breath,
        lung_hu=float(rng.uniform(*BREATHS[breath])),
        kernel=float(rng.uniform(-0.6, 0.8)),
        noise_hu=float(rng.uniform(3, 12) * (2.5 / thickness_mm) ** 0.5),
        grain_mm=float(rng.uniform(0.4, 0.8)),
    )


def acquire(
    hu: FloatVolume,
    lungs: npt.NDArray[np.bool_],
    lung_hu: float,
    geometry: Geometry,
    how: Acquisition,
    rng: np.random.Generator,
    series_uid: str,
) -> Volume:
    """The chest as a scan.

    Args:
        hu: (Z, Y, X) at 1 mm; changed in place.
        lungs: the lung mask on its grid; air elsewhere keeps its HU, whatever the breath.
        lung_hu: median of its aerated lung.
        geometry: of `hu`.
        how: breath, slices, kernel and noise.
        rng: of the noise.
        series_uid: of the scan.

    Returns:
        Slices of `how.thickness_mm`, pixels of 1 mm, in the same world.
    """
    for k, inside in enumerate(lungs):
        # Slice by slice: a chest is large, and its lungs are a third of it.
        hu[k][inside] = lung_shifted(hu[k][inside], how.lung_hu - lung_hu)
    seen = averaged(hu, how.thickness_mm)
    for k in range(len(seen)):
        seen[k] = _kernel(seen[k], how.kernel)
        noise = ndimage.gaussian_filter(rng.standard_normal(seen[k].shape, dtype=np.float32), how.grain_mm)
        seen[k] += noise * np.float32(how.noise_hu / max(float(noise.std()), 1e-6))
    rounded = np.clip(np.rint(seen), HU_MIN, HU_MAX).astype(np.int16)
    x, y, _ = geometry.spacing_mm
    grid = geometry.resampled((x, y, how.thickness_mm))
    return Volume(rounded, grid, series_uid)


def averaged(hu: FloatVolume, thickness_mm: float) -> FloatVolume:
    """(ceil(Z / thickness), Y, X): exact means over slices that lie side by side; the last may be thinner."""
    n = int(np.ceil(len(hu) / thickness_mm - 1e-6))
    slices = np.empty((n, *hu.shape[1:]), np.float32)
    for k in range(n):
        low, high = k * thickness_mm, min((k + 1) * thickness_mm, len(hu))
        rows = np.arange(int(low), int(np.ceil(high - 1e-9)))
        share = np.minimum(rows + 1, high) - np.maximum(rows, low)
        slices[k] = np.tensordot((share / share.sum()).astype(np.float32), hu[rows[0] : rows[-1] + 1], 1)
    return slices


def _kernel(plane: npt.NDArray[np.float32], kernel: float) -> npt.NDArray[np.float32]:
    if kernel > 0.25:
        return np.asarray(ndimage.gaussian_filter(plane, kernel))
    if kernel < 0:
        return plane + np.float32(-kernel) * (plane - ndimage.gaussian_filter(plane, 1.0))
    return plane
