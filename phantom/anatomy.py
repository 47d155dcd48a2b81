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

Field = npt.NDArray[np.float32]
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
        body, muscle, organ, lung, bone: signed distances; `organ` is heart, great vessels and abdominal organs.
        organ_level: 0 fat, 1 muscle, 2 blood, 3 liver, 4 gas: which tissue `organ` is made of, smooth.
        marrow: 0 cortical to 1 spongy, for bone.
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

    def sample(self, field: Field, points_xyz: npt.ArrayLike) -> npt.NDArray[np.float64]:
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
    wobble = _smooth_noise(rng, (zs.size, across.size, across.size), 14.0)
    wall = (_thorax(build, x, y, z) + 2.0 * wobble).astype(np.float32)
    spine_y = 0.80 * build.half_depth
    spine, canal = _spine(x, y, z, spine_y)
    heart, pericardium = _heart(build, x, y, z, wobble)
    vessels = _great_vessels(build, x, y, z, spine_y)
    middle = _minimum(_mediastinum(build, x, y, z, spine_y), pericardium, vessels - 2.5, spine - 4.0)
    floor = _diaphragm(build, x, y, z) + 3.0 * wobble
    lung = _smooth_max(_smooth_max(wall, -(middle + 1.5 * wobble), 4.0), floor, 3.0)
    abdomen, gas = _abdomen(build, x, y, z, wall, floor)
    bone = _minimum(_ribs(build, x, y, z, wall), spine, _shoulders(build, x, y, z, wall))
    bone = np.maximum(bone, 1.2 - lung)
    organ = np.maximum(_minimum(heart, vessels, abdomen, canal), 0.7 - lung)
    muscle = wall - _muscle_depth(build, x, y, z)
    shapes = [_body(build, x, y, z, wall), np.maximum(muscle, 1.0 - wall), organ, lung, bone]
    full = [np.ascontiguousarray(np.broadcast_to(s, wobble.shape), dtype=np.float32) for s in shapes]
    blood = np.clip(0.5 - np.minimum(heart, vessels) / 6, 0, 1).astype(np.float32)
    carina = np.array([0.0, 14.0, 0.60 * build.height])
    top = np.array([2.0, 6.0, build.height + 40.0])
    trachea = top + np.linspace(0, 1, 40)[:, None] * (carina - top)
    hila = np.array([[-36.0, 8.0, 0.53 * build.height], [36.0, 12.0, 0.55 * build.height]])
    return Anatomy(
        (float(zs[0]), float(across[0]), float(across[0])), *full, blood, gas.astype(np.float32), trachea, hila, build
    )


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
    return cast(Field, _smooth_max(side, z - b.height, 6.0))


def _mediastinum(b: Build, x: Field, y: Field, z: Field, spine_y: float) -> Field:
    """The sheet between the lungs: thin at the sternum, wide at the great vessels, narrow behind the heart."""
    u = z / b.height
    top = np.clip((u - 0.66) / 0.12, 0, 1)
    front = np.clip((-y - 0.35 * b.half_depth) / 25, 0, 1)
    half = 17 + 9 * top - 11 * front * (1 - 0.5 * top) + 7 * np.exp(-(((y - 12) / 26) ** 2 + ((u - 0.55) / 0.12) ** 2))
    taper = 0.25 * np.clip(y - spine_y, 0, 30)
    hila = [
        _ellipsoid(x, y, z, (s * 30, 10, 0.54 * b.height), (17, 15, 22)) for s in (-1, 1)
    ]
    return _smooth_min(np.abs(x - 3 + 0 * z) - half + taper, np.minimum(*hila), 8.0)


def _heart(b: Build, x: Field, y: Field, z: Field, wobble: Field) -> tuple[Field, Field]:
    s = b.heart
    left = _ellipsoid(x - 0.25 * (y + 30), y, z, (b.left_shift + 12, -24, 0.27 * b.height), (50 * s, 42 * s, 46 * s))
    right = _ellipsoid(x, y, z, (-16, -20, 0.32 * b.height), (40 * s, 36 * s, 48 * s))
    heart = _smooth_min(left, right, 15.0) + 2 * wobble
    return heart, heart - 4.0


def _great_vessels(b: Build, x: Field, y: Field, z: Field, spine_y: float) -> Field:
    h = b.height
    back, front = spine_y - 24, -18.0
    aorta = [(-6, front, 0.42 * h), (-12, front, 0.62 * h), (-4, front + 12, 0.735 * h), (10, 4, 0.775 * h)]
    aorta += [(22, back - 6, 0.745 * h), (24, back, 0.66 * h), (22, back, 0.3 * h), (12, back + 4, -0.15 * h)]
    cava = [(-24, -14, 0.40 * h), (-25, -10, 0.70 * h), (-20, -12, 0.86 * h)]
    trunk = [(8, -28, 0.48 * h), (12, -12, 0.585 * h), (34, 8, 0.575 * h)]
    right = [(8, -10, 0.575 * h), (-32, 4, 0.55 * h)]
    arteries = [[(-10, -6, 0.78 * h), (-26, 0, 1.08 * h)], [(10, 2, 0.78 * h), (22, 6, 1.08 * h)]]
    tubes = [_tube(x, y, z, aorta, 12.5), _tube(x, y, z, cava, 9), _tube(x, y, z, trunk, 11), _tube(x, y, z, right, 9)]
    return _minimum(*tubes, *(_tube(x, y, z, a, 5) for a in arteries))


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
    spleen = _ellipsoid(x, y, z, (0.66 * b.half_width, 38, b.dome_left - 36), (32, 40, 36))
    stomach = _ellipsoid(x, y, z, (0.5 * b.half_width, -18, b.dome_left - 34), (36, 34, 30))
    gas = np.maximum(np.maximum(stomach + 4, y + 12), inside) if b.gas else np.full_like(wall, 50.0)
    return np.minimum(liver, np.maximum(np.minimum(spleen, stomach), inside)), np.broadcast_to(gas, wall.shape)


def _spine(x: Field, y: Field, z: Field, spine_y: float) -> tuple[Field, Field]:
    """Vertebrae (with arches and processes) and the cord."""
    phase = np.abs(((z / 25.0) % 1.0) - 0.5) * 25.0
    disc = np.float32(3.0) - (12.5 - phase)
    body = np.maximum(_ellipse(x, y, (0, spine_y), (17.5, 14)), disc)
    arch = np.abs(_ellipse(x, y, (0, spine_y + 22), (13, 11))) - 2.5
    process = np.maximum(np.abs(x) - 3, np.abs(y - spine_y - 45) - 14)
    wings = np.maximum(np.maximum(np.abs(x) - 28, np.abs(y - spine_y - 24 - 0.2 * np.abs(x)) - 5), phase - 6)
    parts = _minimum(np.maximum(arch, phase - 10), np.maximum(process, phase - 8), wings)
    canal = _ellipse(x, y, (0, spine_y + 22), (7, 6)) + 0 * z
    return _minimum(body, np.maximum(parts, -_ellipse(x, y, (0, spine_y + 22), (10, 8.5)))), canal


def _ribs(b: Build, x: Field, y: Field, z: Field, wall: Field) -> Field:
    """Rings in the chest wall that sink from back to front, and the sternum."""
    along = z + 0.42 * (b.half_depth - y)
    offset = ((along / b.rib_pitch) % 1.0 - 0.5) * b.rib_pitch * 0.9
    layer = wall - 8.5
    rib = np.sqrt((layer / 4.2) ** 2 + (offset / 6.3) ** 2) * 5.0 - 5.0
    gap = np.maximum(20 - np.abs(x), -40 + 0 * y) * (np.abs(y) > 0)
    sternum = np.maximum(np.maximum(np.abs(x) - 17, np.abs(wall - 10) - 5.5), -(y + 30))
    sternum = np.maximum(np.where(y < 0, np.abs(x) - 17, 30), np.abs(wall - 10) - 5.5)
    sternum = np.maximum(sternum, np.abs(z - 0.62 * b.height) - 0.27 * b.height)
    return np.minimum(np.maximum(rib, gap), sternum)


def _shoulders(b: Build, x: Field, y: Field, z: Field, wall: Field) -> Field:
    """Shoulder blades and collar bones."""
    plate = np.abs(wall - 25 - 0.06 * np.abs(x)) - 3.0
    blade = np.maximum(np.maximum(plate, np.abs(np.abs(x) - 98) - 34), 15 - y)
    blade = np.maximum(blade, 0.60 * b.height - z)
    front = -0.62 * b.half_depth
    collar = [
        _tube(x, y, z, [(s * 18, front, 0.93 * b.height), (s * 70, front + 15, b.height), (s * 140, 20, 1.12 * b.height)], 6)
        for s in (-1, 1)
    ]
    return np.minimum(blade, np.minimum(*collar))


def _muscle_depth(b: Build, x: Field, y: Field, z: Field) -> Field:
    """How far outside the inner chest wall the muscle reaches, mm."""
    u = np.clip(z / b.height, 0, 1.1)
    chest = 16 * np.exp(-(((np.abs(x) - 75) / 42) ** 2)) * np.clip((-y - 10) / 30, 0, 1) * np.clip((u - 0.45) * 4, 0, 1)
    back = 26 * np.exp(-((np.abs(x) - 30) / 26) ** 2) * np.clip(y / 40, 0, 1)
    blade = 22 * np.exp(-(((np.abs(x) - 100) / 40) ** 2)) * np.clip(y / 30, 0, 1) * np.clip((u - 0.40) * 4, 0, 1)
    side = 7 * np.exp(-((y - 10) / 35) ** 2)
    return cast(Field, 15 + chest + back + blade + side)


def _body(b: Build, x: Field, y: Field, z: Field, wall: Field) -> Field:
    u = np.clip(z / b.height, 0, 1.2)
    shoulder = np.clip((u - 0.78) / 0.3, 0, 1)
    ax = b.half_width + 24 + b.fat - 30 * shoulder
    ay = b.half_depth + 34 + 0.8 * b.fat - 22 * shoulder
    rho = ((np.abs(x) / ax) ** 2.5 + (np.abs(y - 10) / ay) ** 2.5) ** (1 / 2.5) + 1e-3
    outer = (rho - 1) * np.sqrt(x**2 + (y - 10) ** 2) / rho
    return np.minimum(outer, np.maximum(wall - 20, outer - 12))


def _ellipse(x: Field, y: Field, center: tuple[float, float], radii: tuple[float, float]) -> Field:
    rho = np.sqrt(((x - center[0]) / radii[0]) ** 2 + ((y - center[1]) / radii[1]) ** 2)
    return cast(Field, (rho - 1) * np.float32(min(radii)))


def _ellipsoid(
    x: Field, y: Field, z: Field, center: tuple[float, float, float], radii: tuple[float, float, float]
) -> Field:
    scaled = [((a - c) / r) ** 2 for a, c, r in zip((x, y, z), center, radii, strict=True)]
    return cast(Field, (np.sqrt(scaled[0] + scaled[1] + scaled[2]) - 1) * np.float32(min(radii)))


def _tube(x: Field, y: Field, z: Field, points: list[tuple[float, float, float]], radius: float) -> Field:
    """Distance to a polyline of round cross-section."""
    best: Field | None = None
    for a, b in zip(points, points[1:], strict=False):
        step = np.subtract(b, a)
        t = ((x - a[0]) * step[0] + (y - a[1]) * step[1] + (z - a[2]) * step[2]) / float(step @ step)
        t = np.clip(t, 0, 1)
        far = (x - a[0] - t * step[0]) ** 2 + (y - a[1] - t * step[1]) ** 2 + (z - a[2] - t * step[2]) ** 2
        best = far if best is None else np.minimum(best, far)
    assert best is not None
    return cast(Field, np.sqrt(best) - np.float32(radius))


def _minimum(*fields: Field) -> Field:
    out = fields[0]
    for field in fields[1:]:
        out = np.minimum(out, field)
    return out


def _smooth_min(a: Field, b: Field, k: float) -> Field:
    """Polynomial smooth minimum (Quilez); k is the width of the blend in mm."""
    h = np.clip(0.5 + 0.5 * (b - a) / k, 0, 1)
    return cast(Field, b + (a - b) * h - k * h * (1 - h))


def _smooth_max(a: Field, b: Field, k: float) -> Field:
    return -_smooth_min(-a, -b, k)


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, int, int], length_mm: float) -> Field:
    """Unit-variance noise of a correlation length, made small and enlarged."""
    factor = max(1, int(length_mm / STEP_MM / 1.5))
    small = rng.standard_normal(tuple(-(-n // factor) + 3 for n in shape)).astype(np.float32)
    small = ndimage.gaussian_filter(small, length_mm / STEP_MM / factor)
    large = ndimage.zoom(small, factor, order=1)[tuple(slice(0, n) for n in shape)]
    return cast(Field, large / large.std())
