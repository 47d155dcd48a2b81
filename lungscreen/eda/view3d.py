"""What the view in three dimensions is drawn from: points on the lungs' surface, and nodules as balls."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lungscreen.eda.facts import Cohort, NoduleFacts, ScanFacts
from preprocessing.geometry import Triple
from preprocessing.prepare import PreparedScan

# Positions are eighths of the box from its middle: int8 reaches +-127.
REACH = 127
# About the field of a chest CT, for cohorts without voxels: width, depth, height.
FIELD_MM = (350.0, 350.0, 330.0)


def surface(prepared: PreparedScan, cell_mm: float) -> npt.NDArray[np.int8]:
    """Points of the lung mask's surface with their outward normals.

    Args:
        prepared: the scan.
        cell_mm: how far the points lie apart.

    Returns:
        (n, 6) int8: x, y, z in 127ths of half the box of `lung_extent`, from its middle, along the grid's own axes
        (which the intake turned to left, back and head), and the unit normal times 127.
    """
    mask = prepared.lung_mask
    step = [max(1, round(cell_mm / s)) for s in prepared.volume.geometry.spacing_mm[::-1]]
    padding = [(2 * s, 2 * s + (-n) % s) for s, n in zip(step, mask.shape, strict=True)]
    cells: npt.NDArray[np.float64] = np.pad(mask, padding).astype(np.float64)
    for axis, s in enumerate(step):
        cells = np.add.reduceat(cells, np.arange(0, cells.shape[axis], s), axis=axis) / s
    field: npt.NDArray[np.float64] = ndimage.gaussian_filter(cells, 0.8)
    inside = field >= 0.5
    edge = inside & ~ndimage.binary_erosion(inside)
    at = np.argwhere(edge)
    if not len(at):
        return np.zeros((0, 6), np.int8)
    slopes: list[npt.NDArray[np.float64]] = list(np.gradient(field))
    gradient = np.stack([slope[edge] for slope in slopes], axis=1)
    length = np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-6)
    # From the cell's middle down the slope to where the field is one half.
    points = at - gradient / length * np.minimum((field[edge][:, None] - 0.5) / length, 1.0)
    voxels = (points + 0.5) * step - [low for low, _ in padding] - 0.5
    spans = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    low, high = (np.array([span[end] for span in spans], dtype=float) for end in (0, -1))
    half = np.maximum((high - low) / 2, 0.5)
    place = np.clip((voxels - (low + high) / 2) / half, -1, 1)[:, ::-1]
    made: npt.NDArray[np.int8] = np.rint(REACH * np.hstack([place, (-gradient / length)[:, ::-1]])).astype(np.int8)
    return made


def scenes(cohort: Cohort, most: int) -> list[dict[str, object]]:
    """The choices of the view, each `{name, half_mm, lungs, nodules}`; those with most nodules first.

    `lungs` is base64 of `surface`; a nodule is `[x, y, z, radius, malignancy, words]` in mm from the middle, the
    malignancy None where there is none. Without voxels there is one scene with the nodules of all scans.
    """
    by_series: dict[str, list[NoduleFacts]] = {}
    for nodule in cohort.nodules:
        if nodule.place is not None:
            by_series.setdefault(nodule.series_uid, []).append(nodule)
    shown = [scan for scan in cohort.scans if scan.lungs is not None and len(scan.lungs.surface)]
    shown.sort(key=lambda scan: (-len(by_series.get(scan.series_uid, ())), scan.patient_id, scan.series_uid))
    if shown:
        return [_scene(scan, by_series.get(scan.series_uid, ())) for scan in shown[:most]]
    placed = [nodule for nodules in by_series.values() for nodule in nodules]
    name = f"all {len(placed):,} nodules in one field"
    half = [v / 2 for v in FIELD_MM]
    balls = [_ball(nodule, half) for nodule in placed]
    return [{"name": name, "half_mm": half, "lungs": "", "nodules": balls}] if balls else []


def as_json(found: Sequence[dict[str, object]]) -> str:
    """Inside a `script` element no `<` may stand: ids come from files."""
    return json.dumps(found, separators=(",", ":")).replace("<", "\\u003c")


def _scene(scan: ScanFacts, nodules: Sequence[NoduleFacts]) -> dict[str, object]:
    assert scan.lungs is not None
    low, high = scan.lungs.extent_mm
    half = [round(abs(b - a) / 2, 1) for a, b in zip(low, high, strict=True)]
    packed = base64.b64encode(np.ascontiguousarray(scan.lungs.surface).tobytes()).decode("ascii")
    name = f"{scan.patient_id} ({len(nodules)} nodule{'' if len(nodules) == 1 else 's'})"
    return {"name": name, "half_mm": half, "lungs": packed, "nodules": [_ball(n, half) for n in nodules]}


def _ball(nodule: NoduleFacts, half: Sequence[float]) -> list[object]:
    assert nodule.place is not None
    place: Triple = nodule.place
    x, y, z = (round((2 * p - 1) * h, 1) for p, h in zip(place, half, strict=True))
    radius = round(nodule.diameter_mm / 2, 1) if nodule.diameter_mm > 0 else 3.0
    grade = nodule.rating("malignancy")
    size = f"{nodule.diameter_mm:.1f} mm" if nodule.diameter_mm > 0 else "size unknown"
    words = f"{nodule.patient_id}: {size}" + ("" if np.isnan(grade) else f", malignancy {grade:.1f}")
    return [x, y, z, radius, None if np.isnan(grade) else round(grade, 1), words]
