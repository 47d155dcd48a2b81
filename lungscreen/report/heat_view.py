"""A heat map over the CT: where a nodule's chance comes from. Same input, same bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from classification.heat_map import HeatMap
from detection.candidate import Candidate
from detection.pictures.canvas import Canvas
from detection.pictures.key_images import PANEL_PX, SIZE_MM, section, section_places
from preprocessing.planes import display_planes
from preprocessing.prepare import PreparedScan

# Integrated gradients change from voxel to voxel: what is shown is their mean over about a nodule's margin, in voxels.
SMOOTH = 1.2
WARM, COOL = (255.0, 96.0, 0.0), (40.0, 130.0, 255.0)
MOST_COVER = 0.75
# What has less than this share of the strongest is left grey.
FAINT = 0.08


def shares(heat: HeatMap) -> npt.NDArray[np.float32]:
    """(D, H, W) in [-1, 1]: a map as it is shown, smoothed, each voxel beside the strongest of the map."""
    smooth = ndimage.gaussian_filter(heat.values, SMOOTH, mode="constant")
    found: npt.NDArray[np.float32] = smooth / max(float(np.abs(smooth).max()), 1e-9)
    return found


def heat_view(prepared: PreparedScan, candidate: Candidate, heat: HeatMap) -> Image.Image:
    """Axial view through a candidate's centre, 320 x 320 pixels: warm where voxels raise its chance, blue where they
    lower it, each as strong as it is beside the strongest in the map."""
    field_mm = max(SIZE_MM, 2.0 * candidate.diameter_mm)
    plane = display_planes(prepared.volume.geometry)[0]
    center = prepared.volume.geometry.to_voxel(candidate.center_mm)
    rgb = section(prepared, plane, center, field_mm).astype(np.float32)
    down, right = section_places(prepared, plane, center, field_mm)
    at: list[npt.NDArray[np.float64]] = [np.zeros(1)] * 3
    at[plane.down.array_axis], at[plane.right.array_axis] = down[:, None], right[None, :]
    at[plane.depth.array_axis] = np.full((1, 1), center[plane.depth.array_axis])
    places = [axis - start for axis, start in zip(np.broadcast_arrays(*at), heat.start_zyx, strict=True)]
    part = ndimage.map_coordinates(shares(heat), places, order=1, mode="constant")
    cover = np.where(np.abs(part) >= FAINT, MOST_COVER * np.abs(part) ** 0.5, 0)[..., None]
    color = np.where((part > 0)[..., None], np.asarray(WARM), np.asarray(COOL))
    canvas = Canvas.of(np.rint(rgb + cover * (color - rgb)).astype(np.uint8))
    canvas.edge_letters(plane)
    canvas.text((8, 6), "heat map", "lt", 14)
    canvas.scale_bar(PANEL_PX / field_mm)
    return canvas.image
