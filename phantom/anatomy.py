"""The large organs of a synthetic chest as signed distances on a coarse grid.

Everything is in body millimetres: x to the patient's left, y to the back, z up, (0, 0) the middle of the thorax and
z = 0 the lowest lung. A signed distance is negative inside. Values are approximate distances: exact enough within
the few millimetres where they are turned into coverage. Sizes follow adult chest CT (lung height 21-28 cm, inner
width 24-29 cm).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from phantom.solids import Field, ellipse, ellipsoid, minimum, smooth_max, smooth_min, smooth_noise, tube

Points = npt.NDArray[np.float64]
STEP_MM = 3.0


@dataclass(frozen=True, slots=True)
class Build:
    """The body of one patient, mm; `left_shift` is how far the heart leans to the left."""

    height: float
    half_width: float
    half_depth: float
    fat: float
    heart: float
    dome_right: float
    dome_left: float
    left_shift: float
    rib_pitch: float
    gas: bool


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """Coarse fields (Z, Y, X) float32 and the place of their first voxel.

    Attributes:
        first_mm: body position (z, y, x) of voxel [0, 0, 0]; the step is `STEP_MM`.
        body, muscle, organ, lung, bone: signed distances; `organ` is heart, great vessels, gullet, cord and abdomen.
        blood: share of blood in `organ`, 0 (liver, cord, gullet) to 1.
        gas: signed distance of the gas in the stomach.
        trachea_xyz: (n, 3) points from the top of the trachea to the carina.
        hila_xyz: right and left hilum.
    """

    first_mm: tuple[float, float, float]
    body: Field
    muscle: Field
    organ: Field
    lung: Field
    bone: Field
    blood: Field
    gas: Field
    trachea_xyz: Points
    hila_xyz: Points
    build: Build

    def sample(self, field: Field, points_xyz: npt.ArrayLike) -> Points:
        """Trilinear values of a field at body points (..., 3) x, y, z."""
        points = np.asarray(points_xyz, dtype=np.float64)
        index = (points[..., ::-1] - np.asarray(self.first_mm)) / STEP_MM
        flat = ndimage.map_coordinates(field, index.reshape(-1, 3).T, order=1, mode="nearest")
        return cast(npt.NDArray[np.float64], flat.reshape(points.shape[:-1]).astype(np.float64))


def draw_build(rng: np.random.Generator) -> Build:
    """A patient of random size."""
    scale = float(rng.uniform(0.92, 1.08))
    return Build(
        height=float(rng.uniform(215, 275)),
        half_width=scale * float(rng.uniform(124, 136)),
        half_depth=scale * float(rng.uniform(80, 92)),
        fat=float(rng.uniform(6, 28)),
        heart=float(rng.uniform(0.88, 1.12)),
        dome_right=float(rng.uniform(55, 80)),
        dome_left=float(rng.uniform(42, 65)),
        left_shift=float(rng.uniform(14, 26)),
        rib_pitch=float(rng.uniform(25, 30)),
        gas=bool(rng.random() < 0.6),
    )


def build_anatomy(build: Build, rng: np.random.Generator, half_fov: float) -> Anatomy:
    """All coarse fields over +-half_fov in plane and from 24 mm below to 18 mm above the lungs."""
    zs = np.arange(-24.0, build.height + 18.0 + STEP_MM, STEP_MM)
    across = np.arange(-half_fov - STEP_MM, half_fov + 2 * STEP_MM, STEP_MM)
    z, y, x = (a.astype(np.float32) for a in np.meshgrid(zs, across, across, indexing="ij", sparse=True))
    wobble = smooth_noise(rng, (zs.size, across.size, across.size), 14.0, STEP_MM)
    wall = (_thorax(build, x, y, z) + 2.0 * wobble).astype(np.float32)
    spine_y = 0.80 * build.half_depth
    spine, canal = _spine(x, y, z, spine_y)
    heart, pericardium = _heart(build, x, y, z, wobble)
    vessels = _great_vessels(build, x, y, z, spine_y)
    middle = minimum(_mediastinum(build, x, y, z, spine_y), pericardium, vessels - 2.5, spine - 4.0)
    floor = _diaphragm(build, x, y, z) + 3.0 * wobble
    lung = smooth_max(smooth_max(wall, -(middle + 1.5 * wobble), 4.0), floor, 3.0)
    abdomen, gas = _abdomen(build, x, y, z, wall, floor)
    bone = minimum(_ribs(build, x, y, z, wall), spine, _shoulders(build, x, y, z, wall))
    bone = np.maximum(bone, 1.2 - lung)
    gullet = tube(x, y, z, _gullet(build, spine_y), 7)
    organ = np.maximum(minimum(heart, vessels, abdomen, canal, gullet), 0.7 - lung)
    muscle = wall - _muscle_depth(build, x, y, z)
    shapes = [_body(build, x, y, z, wall), np.maximum(muscle, 1.0 - wall), organ, lung, bone, gas]
    body, muscle, organ, lung, bone, gas = (
        np.ascontiguousarray(np.broadcast_to(s, wobble.shape), dtype=np.float32) for s in shapes
    )
    blood = np.clip(0.5 - np.minimum(heart, vessels) / 6, 0, 1).astype(np.float32)
    carina = np.array([-2.0, 19.0, 0.60 * build.height])
    top = np.array([0.0, 8.0, build.height + 40.0])
    trachea = top + np.linspace(0, 1, 40)[:, None] * (carina - top)
    hila = np.array([[-36.0, 8.0, 0.53 * build.height], [36.0, 12.0, 0.55 * build.height]])
    first = (float(zs[0]), float(across[0]), float(across[0]))
    return Anatomy(first, body, muscle, organ, lung, bone, blood, gas, trachea, hila, build)


def _thorax(b: Build, x: Field, y: Field, z: Field) -> Field:
    """The inner chest wall: lungs, mediastinum and the upper abdomen lie inside."""
    u = z / b.height
    taper = np.clip((u - 0.30) / 0.72, 0, 1.4) ** 2.3
    profile = np.sqrt(np.maximum(1 - taper, 0.02)) * (1 - 0.06 * np.clip(0.3 - u, 0, 1))
    gutter = 0.17 * b.half_depth * np.exp(-(((np.abs(x) - 62) / 34) ** 2)) * (y > 0) * np.clip(y / 30, 0, 1)
    yy = y - gutter - 14 * np.clip(u - 0.3, 0, 1)
    ax = b.half_width * profile
    ay = b.half_depth * (0.25 + 0.75 * profile) * (1 - 0.10 * np.clip(u - 0.45, 0, 1))
    rho = ((np.abs(x) / ax) ** 2.3 + (np.abs(yy) / ay) ** 2.3) ** (1 / 2.3) + 1e-3
    side = (rho - 1) * np.sqrt(x**2 + yy**2) / rho
    return smooth_max(side, z - b.height, 6.0)


def _mediastinum(b: Build, x: Field, y: Field, z: Field, spine_y: float) -> Field:
    """The sheet between the lungs: thin at the sternum, wide at the great vessels, narrow behind the heart."""
    u = z / b.height
    top = np.clip((u - 0.66) / 0.12, 0, 1)
    front = np.clip((-y - 0.35 * b.half_depth) / 25, 0, 1)
    half = 17 + 9 * top - 11 * front * (1 - 0.5 * top) + 7 * np.exp(-(((y - 12) / 26) ** 2 + ((u - 0.55) / 0.12) ** 2))
    taper = 0.25 * np.clip(y - spine_y, 0, 30)
    hila = [ellipsoid(x, y, z, (s * 30, 10, 0.54 * b.height), (17, 15, 22)) for s in (-1, 1)]
    return smooth_min(np.abs(x - 3 + 0 * z) - half + taper, np.minimum(*hila), 8.0)


def _heart(b: Build, x: Field, y: Field, z: Field, wobble: Field) -> tuple[Field, Field]:
    s = b.heart
    left = ellipsoid(x - 0.25 * (y + 30), y, z, (b.left_shift + 12, -24, 0.27 * b.height), (50 * s, 42 * s, 46 * s))
    right = ellipsoid(x, y, z, (-16, -20, 0.32 * b.height), (40 * s, 36 * s, 48 * s))
    heart = smooth_min(left, right, 15.0) + 2 * wobble
    return heart, heart - 4.0


def _great_vessels(b: Build, x: Field, y: Field, z: Field, spine_y: float) -> Field:
    h = b.height
    back, front = spine_y - 24, -18.0
    aorta = [(-6, front, 0.42 * h), (-12, front, 0.62 * h), (-4, front + 4, 0.735 * h), (12, front + 14, 0.775 * h)]
    aorta += [(22, back - 6, 0.745 * h), (24, back, 0.66 * h), (22, back, 0.3 * h), (12, back + 4, -0.15 * h)]
    cava = [(-24, -14, 0.40 * h), (-25, -10, 0.70 * h), (-20, -12, 0.86 * h)]
    trunk = [(8, -28, 0.48 * h), (14, -12, 0.60 * h), (34, 4, 0.605 * h)]
    right = [(10, -12, 0.59 * h), (-12, -7, 0.57 * h), (-34, 2, 0.56 * h)]
    arteries = [[(-10, -6, 0.78 * h), (-26, 0, 1.08 * h)], [(10, 2, 0.78 * h), (22, 6, 1.08 * h)]]
    tubes = [tube(x, y, z, aorta, 12.5), tube(x, y, z, cava, 9), tube(x, y, z, trunk, 11), tube(x, y, z, right, 9)]
    return minimum(*tubes, *(tube(x, y, z, a, 5) for a in arteries))


def _gullet(b: Build, spine_y: float) -> list[tuple[float, float, float]]:
    behind = spine_y - 26
    return [(4.0, behind, 1.1 * b.height), (3.0, behind, 0.5 * b.height), (14.0, behind - 12, 0.1 * b.height)]


def _diaphragm(b: Build, x: Field, y: Field, z: Field) -> Field:
    """Positive below the two domes."""

    def dome(center: float, top: float) -> Field:
        drop = 0.75 * ((x - center) / 88) ** 2 + ((y + 14) / (1.12 * b.half_depth)) ** 2
        return cast(Field, top * (1 - drop))

    height = np.maximum(dome(-0.55 * b.half_width, b.dome_right), dome(0.55 * b.half_width, b.dome_left))
    return cast(Field, (np.maximum(height, -12) - z) * np.float32(0.8))


def _abdomen(b: Build, x: Field, y: Field, z: Field, wall: Field, floor: Field) -> tuple[Field, Field]:
    """Liver and spleen under the diaphragm, and the gas in the stomach (signed distances)."""
    inside = np.maximum(wall + 6, 4 - floor)
    liver = np.maximum(inside, x - 35 + 0.5 * (y + 20))
    spleen = ellipsoid(x, y, z, (0.66 * b.half_width, 38, b.dome_left - 36), (32, 40, 36))
    stomach = ellipsoid(x, y, z, (0.5 * b.half_width, -18, b.dome_left - 34), (36, 34, 30))
    gas = np.maximum(np.maximum(stomach + 4, y + 12), inside) if b.gas else np.full_like(wall, 50.0)
    return np.minimum(liver, np.maximum(np.minimum(spleen, stomach), inside)), np.broadcast_to(gas, wall.shape)


def _spine(x: Field, y: Field, z: Field, spine_y: float) -> tuple[Field, Field]:
    """Vertebrae (with arches and processes) and the cord."""
    phase = np.abs(((z / 25.0) % 1.0) - 0.5) * 25.0
    disc = np.float32(3.0) - (12.5 - phase)
    body = np.maximum(ellipse(x, y, (0, spine_y), (17.5, 14)), disc)
    arch = np.abs(ellipse(x, y, (0, spine_y + 22), (13, 11))) - 2.5
    process = np.maximum(np.abs(x) - 3, np.abs(y - spine_y - 45) - 14)
    wings = np.maximum(np.maximum(np.abs(x) - 28, np.abs(y - spine_y - 24 - 0.2 * np.abs(x)) - 5), phase - 6)
    parts = minimum(np.maximum(arch, phase - 10), np.maximum(process, phase - 8), wings)
    canal = ellipse(x, y, (0, spine_y + 22), (7, 6)) + 0 * z
    return minimum(body, np.maximum(parts, -ellipse(x, y, (0, spine_y + 22), (10, 8.5)))), canal


def _ribs(b: Build, x: Field, y: Field, z: Field, wall: Field) -> Field:
    """Rings in the chest wall that sink from back to front, and the sternum."""
    along = z + 0.42 * (b.half_depth - y)
    offset = ((along / b.rib_pitch) % 1.0 - 0.5) * b.rib_pitch * 0.9
    layer = wall - 8.5
    rib = np.sqrt((layer / 4.2) ** 2 + (offset / 6.3) ** 2) * 5.0 - 5.0
    gap = 20 - np.abs(x)
    sternum = np.maximum(np.where(y < 0, np.abs(x) - 17, 30), np.abs(wall - 10) - 5.5)
    sternum = np.maximum(sternum, np.abs(z - 0.62 * b.height) - 0.27 * b.height)
    return minimum(np.maximum(rib, gap), sternum)


def _shoulders(b: Build, x: Field, y: Field, z: Field, wall: Field) -> Field:
    """Shoulder blades and collar bones."""
    plate = np.abs(wall - 25 - 0.06 * np.abs(x)) - 3.0
    blade = np.maximum(np.maximum(plate, np.abs(np.abs(x) - 98) - 34), 15 - y)
    blade = np.maximum(blade, 0.60 * b.height - z)
    front = -0.62 * b.half_depth
    collar = [
        [(s * 18.0, front, 0.93 * b.height), (s * 70.0, front + 15, b.height), (s * 140.0, 20.0, 1.12 * b.height)]
        for s in (-1, 1)
    ]
    return minimum(blade, *(tube(x, y, z, bone, 6) for bone in collar))


def _muscle_depth(b: Build, x: Field, y: Field, z: Field) -> Field:
    """How far outside the inner chest wall the muscle reaches, mm."""
    u = np.clip(z / b.height, 0, 1.1)
    chest = (
        16 * np.exp(-(((np.abs(x) - 75) / 42) ** 2)) * np.clip((-y - 10) / 30, 0, 1) * np.clip((u - 0.45) * 4, 0, 1)
    )
    back = 26 * np.exp(-(((np.abs(x) - 30) / 26) ** 2)) * np.clip(y / 40, 0, 1)
    blade = 22 * np.exp(-(((np.abs(x) - 100) / 40) ** 2)) * np.clip(y / 30, 0, 1) * np.clip((u - 0.40) * 4, 0, 1)
    side = 7 * np.exp(-(((y - 10) / 35) ** 2))
    return cast(Field, 15 + chest + back + blade + side)


def _body(b: Build, x: Field, y: Field, z: Field, wall: Field) -> Field:
    u = np.clip(z / b.height, 0, 1.2)
    shoulder = np.clip((u - 0.78) / 0.3, 0, 1)
    ax = b.half_width + 24 + b.fat - 30 * shoulder
    ay = b.half_depth + 34 + 0.8 * b.fat - 22 * shoulder
    rho = ((np.abs(x) / ax) ** 2.5 + (np.abs(y - 10) / ay) ** 2.5) ** (1 / 2.5) + 1e-3
    outer = (rho - 1) * np.sqrt(x**2 + (y - 10) ** 2) / rho
    return minimum(outer, np.maximum(wall - 20, outer - 12))
