"""What is measured of a candidate in its scan, as `nodules.csv` and the report show it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from classification.measuring.axes import axes_of
from classification.measuring.bare_crop import is_bare
from classification.measuring.density import density_of, solid_part
from classification.measuring.outline import Draw, Outline, outline
from classification.measuring.place import place_of, pleura_mm
from classification.measuring.shape import shape_of
from detection.candidate import Candidate
from preprocessing.geometry import Geometry
from preprocessing.prepare import PreparedScan

# Of a bare crop, which does not say where in the chest it is from.
NOWHERE: Mapping[str, float | str] = {"side": "unknown", "zone": "unknown", "pleura_mm": math.nan}


def measurements(candidate: Candidate, prepared: PreparedScan, draw: Draw = outline) -> Mapping[str, float | str]:
    """Size from the outline, density, and place in the lungs.

    Args:
        candidate: with a diameter; the outline is sought around its centre.
        prepared: the scan, at 1 mm.
        draw: what draws the outline.

    Returns:
        `diameter_mm` (the candidate's), what `measured` returns, `side`, `zone` and `pleura_mm`.
    """
    hu, geometry = prepared.volume.hu, prepared.volume.geometry
    nodule, bare = outline_of(candidate, prepared, draw), is_bare(prepared)
    return {
        "diameter_mm": candidate.diameter_mm,
        **measured(nodule, hu, geometry),
        **(NOWHERE if bare else _place(candidate, prepared, nodule)),
    }


def measured(nodule: Outline, hu: npt.NDArray[np.int16], geometry: Geometry) -> Mapping[str, float | str]:
    """What an outline tells by itself.

    Args:
        nodule: a window of `hu`.
        hu: (Z, Y, X) at 1 mm.
        geometry: of `hu`.

    Returns:
        `mean_diameter_mm`, `long_axis_mm`, `short_axis_mm` (axial, Lung-RADS), `volume_mm3`, `hu_mean`, `hu_sd`,
        `hu_p95`, `type`, `solid_share`, `calcification_pattern`, `calcium_share`, and of its shape and border
        `compactness`, `convexity`, `flatness`, `edge_hu_mm`, `spicules`; `solid_diameter_mm`, the mean diameter of the
        solid part, where it is part-solid.
    """
    axes, density, shape = axes_of(nodule, geometry), density_of(nodule, hu), shape_of(nodule, hu)
    solid = solid_part(nodule, hu) if density.kind == "part-solid" else None
    part = {"solid_diameter_mm": axes_of(solid, geometry).mean_diameter_mm} if solid is not None else {}
    return {
        "mean_diameter_mm": axes.mean_diameter_mm,
        "long_axis_mm": axes.long_mm,
        "short_axis_mm": axes.short_mm,
        "volume_mm3": nodule.volume_mm3,
        "hu_mean": density.mean_hu,
        "hu_sd": density.sd_hu,
        "hu_p95": density.p95_hu,
        "type": density.kind,
        "solid_share": density.solid_share,
        "calcification_pattern": density.calcification,
        "calcium_share": density.calcium_share,
        "compactness": shape.compactness,
        "convexity": shape.convexity,
        "flatness": shape.flatness,
        "edge_hu_mm": shape.edge_hu_mm,
        "spicules": shape.spicules,
        **part,
    }


def outline_of(candidate: Candidate, prepared: PreparedScan, draw: Draw = outline) -> Outline:
    """What is measured: the outline around a candidate with a diameter, of a bare crop no more than is in its file."""
    geometry = prepared.volume.geometry
    nodule = draw(prepared.volume.hu, geometry.to_voxel(candidate.center_mm), candidate.diameter_mm)
    return nodule.within(prepared.lung_mask) if is_bare(prepared) else nodule


def _place(candidate: Candidate, prepared: PreparedScan, nodule: Outline) -> Mapping[str, float | str]:
    place = place_of(prepared, candidate.center_mm)
    return {"side": place.side, "zone": place.zone, "pleura_mm": pleura_mm(nodule, prepared)}
