"""What of a scan makes the detector less sure than its figures on thin, deeply inspired scans: said, never silent.

The benches show each of them (README, by slice thickness and by inspiration). The bounds are those of eleven public
chests in use here: lungs of -838 to -890 HU in inspiration and of -750 to -780 in expiration, noise of 8 to 44 HU.
"""

from __future__ import annotations

import numpy as np

from preprocessing.prepare import PreparedScan

# One slice in so many is looked at.
SOME = 4
THICK_MM = 4.0
# Median of what is air rather than tissue.
AERATED_HU = -500
DENSE_HU, THIN_HU = -800, -930
# Of what is hardly anything but air: vessels would count as noise.
AIRY_HU = -700
NOISY_HU = 60.0
# Of the second difference (1, -2, 1) / 2 of white noise, whose median absolute value is .6745 of its deviation.
SD_OF_DIFFERENCE = 0.6745 * float(np.sqrt(1.5))


def weak_spots(prepared: PreparedScan) -> tuple[str, ...]:
    """Warnings (`code: sentence`) on slices, lung density and noise; none without aerated lung."""
    found = []
    thickness = max(prepared.source_geometry.spacing_mm)
    if thickness >= THICK_MM:
        found.append(
            f"slices_thick: slices are {thickness:.1f} mm apart; small nodules are missed more often than in thin ones"
        )
    hu = prepared.volume.hu[::SOME]
    values = hu[prepared.lung_mask[::SOME] & (hu < AERATED_HU)]
    if not len(values):
        return tuple(found)
    median = float(np.median(values))
    if median > DENSE_HU:
        found.append(
            f"lungs_dense: the lungs have {median:.0f} HU in the middle (expiration, averaged breathing or disease); "
            "nodules are missed more often than in deep inspiration"
        )
    if median < THIN_HU:
        found.append(
            f"lungs_thin: the lungs have {median:.0f} HU in the middle (emphysema); no figure is known for such"
        )
    noise = noise_hu(prepared)
    if noise > NOISY_HU:
        found.append(
            f"noisy: {noise:.0f} HU of noise in the lungs (low dose or a sharp kernel), more than in any figure"
        )
    return tuple(found)


def noise_hu(prepared: PreparedScan) -> float:
    """Standard deviation of the noise along x in HU, on the prepared grid; 0 without air."""
    hu = prepared.volume.hu[::SOME]
    airy = (prepared.lung_mask[::SOME] & (hu < AIRY_HU))[:, :, 1:-1]
    if not airy.any():
        return 0.0
    values = hu.astype(np.float32)
    difference = (values[:, :, 1:-1] - 0.5 * (values[:, :, :-2] + values[:, :, 2:]))[airy]
    return float(np.median(np.abs(difference))) / SD_OF_DIFFERENCE
