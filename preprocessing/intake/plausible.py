"""Whether a volume can be a chest in Hounsfield units and millimetres, as far as its values alone tell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from preprocessing.intake.scan import Reason, ScanError
from preprocessing.volume import HU_MIN, Volume

# What every chest CT has, and no image that lost its rescale intercept.
AIR_BELOW_HU, TISSUE_ABOVE_HU, LEAST_SHARE = -500, -300, 0.01
# Every so many voxels along z, y, x are looked at.
STEP_ZYX = (2, 4, 4)
# From one lung of a small child to the widest bore (850 mm), across; a CT of the whole body, along.
ACROSS_MM = (60.0, 850.0)
ALONG_MM = (4.0, 2500.0)
# Of the tissue, at either end: noise and the couch's edge are no body.
STRAY_SHARE = 0.002


def check_plausible(volume: Volume) -> None:
    """Refuse what lost its scale of values or of lengths on the way.

    Raises:
        ScanError: `not_hounsfield`: hardly any air or tissue; `implausible_size`: the tissue is too small or too large
            for a body, with its measured extent.
    """
    sample = volume.hu[tuple(slice(None, None, step) for step in STEP_ZYX)]
    # Padding sits at the very bottom whatever the rescale, so it is no proof of air.
    air = float(((sample > HU_MIN) & (sample < AIR_BELOW_HU)).mean())
    tissue = sample > TISSUE_ABOVE_HU
    if min(air, float(tissue.mean())) < LEAST_SHARE:
        shares = (
            f"{air:.1%} of the voxels lie between {HU_MIN} and {AIR_BELOW_HU} and {tissue.mean():.1%} above "
            f"{TISSUE_ABOVE_HU}"
        )
        raise ScanError(Reason.NOT_HOUNSFIELD, f"a chest CT holds air and tissue in Hounsfield units; here {shares}")
    extent = [_extent(tissue.sum(axis=tuple({0, 1, 2} - {axis}))) * STEP_ZYX[axis] for axis in range(3)]
    z, y, x = (n * s for n, s in zip(extent, volume.geometry.spacing_mm[::-1], strict=True))
    if not (_within(x, ACROSS_MM) and _within(y, ACROSS_MM) and _within(z, ALONG_MM)):
        low, high = ACROSS_MM
        raise ScanError(
            Reason.IMPLAUSIBLE_SIZE,
            f"a body measures {low:g} to {high:g} mm across; here {x:.4g} x {y:.4g} x {z:.4g} mm (x, y, z): the "
            "spacing or the order of the axes may be lost",
        )


def _extent(profile: npt.NDArray[np.int64]) -> int:
    """Length of the stretch of a profile that holds its sum but for a stray share at either end."""
    share = np.cumsum(profile) / profile.sum()
    first, last = np.searchsorted(share, [STRAY_SHARE, 1 - STRAY_SHARE])
    return int(last - first) + 1


def _within(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]
