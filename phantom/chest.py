"""A whole synthetic chest CT with exact truth, in memory.

The order is that of nature: organs, vessels and airways, nodules, then the scanner (partial volume over the slice
thickness, kernel, noise, padding). All randomness comes from the generator passed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from phantom.acquisition import Enlarger, Protocol, Scanner, draw_protocol, padded
from phantom.anatomy import Anatomy, build_anatomy, draw_build
from phantom.lesions import Lesion, draw_lesion
from phantom.parenchyma import Parenchyma, fill_lungs
from phantom.placing import Placed, place
from phantom.solids import Field, cover
from phantom.vessels import Grid
from preprocessing.annotations import Nodule
from preprocessing.geometry import Geometry
from preprocessing.lidc.shapes import NoduleShape
from preprocessing.volume import Volume

BACKGROUND_MM = 2.6


@dataclass(frozen=True, slots=True)
class ChestSettings:
    """What a phantom is like.

    Attributes:
        matrix: pixels per row; the field of view is 310-360 mm, so 384 gives LIDC-like 0.81-0.94 mm.
        mean_nodules: of the Poisson number of nodules; 1.8 leaves about one scan in six without.
        most_nodules: upper bound.
        targets_per_lung: end points of each of the two vessel trees of a lung.
        thickness_mm: fixed slice thickness, or None for LIDC's mix.
    """

    matrix: int = 384
    mean_nodules: float = 1.8
    most_nodules: int = 7
    targets_per_lung: int = 1800
    thickness_mm: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Chest:
    """A simulated scan with all that is known of it.

    Attributes:
        volume: HU on the scan grid.
        nodules: truth, in the order they were placed.
        protocol: how it was scanned.
        upper: for each nodule whether it lies in the upper half of its lung, the risk law's upper lobe.
        lung: (Z, Y, X) bool, inside the lungs (vessels and nodules included).
    """

    volume: Volume
    nodules: list[Nodule]
    protocol: Protocol
    upper: tuple[bool, ...]
    lung: npt.NDArray[np.bool_]


def simulate(
    rng: np.random.Generator,
    settings: ChestSettings = ChestSettings(),
    nodules: Sequence[Lesion] | None = None,
    series_uid: str = "phantom",
    shapes: tuple[NoduleShape, ...] | None = None,
) -> tuple[Volume, list[Nodule]]:
    """A scan and its nodules: `simulate_chest` without the extras."""
    chest = simulate_chest(rng, settings, nodules, series_uid, shapes)
    return chest.volume, chest.nodules


def simulate_chest(
    rng: np.random.Generator,
    settings: ChestSettings = ChestSettings(),
    nodules: Sequence[Lesion] | None = None,
    series_uid: str = "phantom",
    shapes: tuple[NoduleShape, ...] | None = None,
) -> Chest:
    """A scan with everything known about it.

    Args:
        rng: the only source of randomness.
        settings: matrix, number of nodules, vessels.
        nodules: lesions to place, or None for a random number of random ones. One for which no room is found is
            left out, so the truth may be shorter.
        series_uid: put into the volume and the nodules.
        shapes: outlines that random lesions are made from, one side of the split (`library` of phantom/lesions.py);
            None takes all of LIDC's.
    """
    protocol = draw_protocol(rng, settings.matrix)
    if settings.thickness_mm is not None:
        protocol = _with_thickness(protocol, settings.thickness_mm)
    build = draw_build(rng)
    half_fov = protocol.pixel_mm * protocol.matrix / 2
    anatomy = build_anatomy(build, rng, half_fov)
    low = float(rng.uniform(-20, -8))
    n = int((build.height + float(rng.uniform(4, 14)) - low) / protocol.thickness_mm)
    first = (low, (0.5 - protocol.matrix / 2) * protocol.pixel_mm, (0.5 - protocol.matrix / 2) * protocol.pixel_mm)
    grid = Grid(
        first, (protocol.thickness_mm, protocol.pixel_mm, protocol.pixel_mm), (n, protocol.matrix, protocol.matrix)
    )
    if nodules is None:
        count = min(int(rng.poisson(settings.mean_nodules)), settings.most_nodules)
        nodules = [draw_lesion(rng, shapes) for _ in range(count)]
    lungs = fill_lungs(anatomy, grid, settings.targets_per_lung, rng)
    placed = place(nodules, anatomy, grid, lungs.branch_points, rng)
    hu, lung = _compose(anatomy, grid, lungs, placed, protocol, rng)
    geometry = _geometry(grid, rng)
    truth = [_truth(p, geometry, grid, series_uid) for p in placed]
    upper = tuple(bool(p.center_xyz[2] > 0.52 * build.height) for p in placed)
    return Chest(Volume(hu, geometry, series_uid), truth, protocol, upper, lung)


def _with_thickness(protocol: Protocol, thickness: float) -> Protocol:
    return replace(protocol, thickness_mm=thickness)


def _geometry(grid: Grid, rng: np.random.Generator) -> Geometry:
    """Straight LPS with the table somewhere: body positions plus an offset in whole tenths of a millimetre."""
    offset = np.round(np.array([rng.uniform(-15, 15), rng.uniform(-30, 30), rng.uniform(-400, 100)]), 1)
    z, y, x = grid.first
    origin = np.round(np.array([x, y, z]) + offset, 4)
    dz, dy, dx = grid.step
    return Geometry(grid.shape, (dx, dy, dz), (float(origin[0]), float(origin[1]), float(origin[2])), np.eye(3))


def _truth(placed: Placed, geometry: Geometry, grid: Grid, uid: str) -> Nodule:
    index = (placed.center_xyz[::-1] - np.asarray(grid.first)) / np.asarray(grid.step)
    x, y, z = (float(v) for v in geometry.to_world(index))
    return Nodule(uid, (x, y, z), placed.diameter_mm, placed.ratings["malignancy"], placed.ratings, 1)


def _compose(
    anatomy: Anatomy, grid: Grid, lungs: Parenchyma, placed: list[Placed], protocol: Protocol, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.bool_]]:
    scanner = Scanner(protocol, rng)
    across = (grid.first[1] + grid.step[1] * np.arange(grid.shape[1])).astype(np.float32)
    enlarge = Enlarger(anatomy.first_mm, cast(tuple[int, int, int], anatomy.lung.shape), across)
    levels = _levels(protocol, rng)
    out = np.empty(grid.shape, dtype=np.int16)
    inside = np.empty(grid.shape, dtype=bool)
    grain = ndimage.gaussian_filter(rng.standard_normal((2 * grid.shape[1], grid.shape[2])).astype(np.float32), 3.0)
    grain *= 9 / grain.std()
    for k, (background, body) in enumerate(_backgrounds(enlarge, anatomy, grid, levels, _couch(anatomy, across))):
        z = grid.first[0] + k * grid.step[0]
        shift = int(rng.integers(grid.shape[1]))
        hu = background + body * grain[shift : shift + grid.shape[1]]
        inside[k] = lungs.fill(hu, k, enlarge, anatomy.lung, z, levels["vessel"])
        for nodule in placed:
            nodule.blend(k, hu)
        loud = 1 + 0.5 * float(np.clip((z / anatomy.build.height - 0.85) * 5, 0, 1))
        out[k] = padded(scanner.acquire(hu, rng, loud), scanner.outside)
    return out, inside


def _couch(anatomy: Anatomy, across: Field) -> Field:
    """The table in air, (Y, X) HU: a bent shell, hollow inside."""
    back = np.float32(anatomy.build.half_depth + 34 + 0.8 * anatomy.build.fat + 14)
    depth = np.abs(across[:, None] - back + (across[None] / 160) ** 2 * 10)
    return cast(Field, (-1000 + 900 * (cover(depth - 5, 1.0) - 0.85 * cover(depth - 3, 1.0))).astype(np.float32))


def _backgrounds(
    enlarge: Enlarger, anatomy: Anatomy, grid: Grid, levels: dict[str, float], couch: Field
) -> Iterator[tuple[Field, Field]]:
    """Each slice without lungs, (Y, X) HU, and the share of body.

    Thin slices are made every `BACKGROUND_MM` or so and interpolated: the organs are on a 3 mm grid anyway.
    """

    def at(k: int) -> tuple[Field, Field]:
        z = grid.first[0] + k * grid.step[0]
        body = cover(enlarge.slice(anatomy.body, z), grid.step[1])
        return couch + body * (_soft_tissue(enlarge, anatomy, z, grid, levels) - couch), body

    stride, last = max(1, int(BACKGROUND_MM / grid.step[0])), grid.shape[0] - 1
    after = at(0)
    for k in range(grid.shape[0]):
        part = np.float32(k % stride / stride)
        if part == 0:
            before = after
            after = at(min(k + stride, last)) if k < last else after
        yield (before[0] + part * (after[0] - before[0]), before[1]) if part else before


def _levels(protocol: Protocol, rng: np.random.Generator) -> dict[str, float]:
    contrast = protocol.blood_hu > 60
    return {
        "fat": float(rng.uniform(-115, -90)),
        "muscle": float(rng.uniform(45, 60)),
        "organ": float(rng.uniform(85, 115) if contrast else rng.uniform(45, 62)),
        "blood": protocol.blood_hu,
        "vessel": protocol.blood_hu + float(rng.uniform(-10, 10)),
        "bone": float(rng.uniform(380, 620)),
    }


def _soft_tissue(enlarge: Enlarger, anatomy: Anatomy, z: float, grid: Grid, levels: dict[str, float]) -> Field:
    """Everything but lung and outer air on one slice, (Y, X) HU."""
    pixel = grid.step[1]
    skin = enlarge.slice(anatomy.body, z) + 2.2
    hu = levels["muscle"] - 30 + cover(skin, pixel) * np.float32(levels["fat"] - levels["muscle"] + 30)
    hu = hu + cover(enlarge.slice(anatomy.muscle, z), 2 * pixel) * (levels["muscle"] - hu)
    blood = enlarge.slice(anatomy.blood, z)
    organ = levels["organ"] + blood * (levels["blood"] - levels["organ"])
    hu = hu + cover(enlarge.slice(anatomy.organ, z), pixel) * (organ - hu)
    if enlarge.plane(anatomy.gas, z).min() < pixel:
        gas = cover(enlarge.slice(anatomy.gas, z), pixel)
        hu = hu + gas * (-980 - hu)
    depth = enlarge.slice(anatomy.bone, z)
    bone = np.float32(150) + np.float32(levels["bone"]) * np.exp(-(((depth + 0.8) / 1.5) ** 2))
    return cast(Field, (hu + cover(depth, pixel) * (bone - hu)).astype(np.float32))
