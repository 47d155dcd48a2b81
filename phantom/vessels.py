"""Branching trees that fill a lung, and their coverage on the scan grid.

A tree is a greedy minimum spanning tree of random points with a penalty on path length (Cuntz et al., "One rule to
grow them all", PLoS Comput Biol 2010): branches run in all directions and bifurcate like vessels do. Radii follow
Murray's law from the tips upwards, r ~ n_tips^(1/2.7).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import distance

Points = npt.NDArray[np.float64]
Coverage = npt.NDArray[np.float32]
BALANCE = 0.5
TIP_MM = 0.5
MURRAY = 2.7
LARGEST_MM = 6.5


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """Nodes (n, 3) x, y, z mm with the index of the parent (root: itself) and radius in mm."""

    points: Points
    parent: npt.NDArray[np.int64]
    radius: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Grid:
    """A regular grid in body mm: place of the first voxel, step and shape, all z, y, x."""

    first: tuple[float, float, float]
    step: tuple[float, float, float]
    shape: tuple[int, int, int]


def grow(root: npt.ArrayLike, targets: Points, tip_mm: float = TIP_MM) -> Tree:
    """A tree from the root through all targets (n, 3)."""
    points = np.vstack([np.asarray(root, dtype=np.float64)[None], targets])
    n = len(points)
    parent = np.zeros(n, dtype=np.int64)
    path = np.zeros(n)
    between = distance.cdist(points, points)
    cost, reach = between[0].copy(), between[0].copy()
    waiting = np.ones(n, dtype=bool)
    cost[0], waiting[0] = np.inf, False
    order = [0]
    for _ in range(n - 1):
        new = int(np.argmin(cost))
        path[new] = path[parent[new]] + reach[new]
        cost[new], waiting[new] = np.inf, False
        order.append(new)
        through = between[new] + BALANCE * path[new]
        better = np.flatnonzero((through < cost) & waiting)
        cost[better], parent[better], reach[better] = through[better], new, between[new, better]
    tips = np.zeros(n)
    children = np.bincount(parent[1:], minlength=n)
    for node in reversed(order[1:]):
        if children[node] == 0:
            tips[node] = 1
        tips[parent[node]] += tips[node]
    radius = np.minimum(tip_mm * np.maximum(tips, 1) ** (1 / MURRAY), LARGEST_MM)
    return Tree(_relaxed(points, parent, tips), parent, radius)


def _relaxed(points: Points, parent: npt.NDArray[np.int64], tips: npt.NDArray[np.float64]) -> Points:
    """Straighten: every inner node moves towards the middle of its parent and its heaviest child, three times."""
    n = len(points)
    heavy = np.full(n, -1)
    by_weight = np.argsort(tips, kind="stable")
    heavy[parent[by_weight]] = by_weight
    inner = np.flatnonzero((heavy >= 0) & (np.arange(n) != 0))
    moved = points.copy()
    for _ in range(3):
        middle = (moved[parent[inner]] + moved[heavy[inner]]) / 2
        moved[inner] = 0.45 * moved[inner] + 0.55 * middle
    return moved


def samples(tree: Tree, step_mm: float = 0.5) -> tuple[Points, npt.NDArray[np.float64]]:
    """Points (m, 3) every `step_mm` along all branches, on quadratic arcs, with radii (m,)."""
    child = np.arange(1, len(tree.points))
    parent = tree.parent[child]
    grand = tree.parent[parent]
    a, b = tree.points[parent], tree.points[child]
    length = np.linalg.norm(b - a, axis=1)
    count = np.maximum(np.ceil(length / step_mm).astype(int), 1)
    owner = np.repeat(np.arange(len(child)), count)
    t = (np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + 0.5) / count[owner]
    bend = (a - tree.points[grand]) / np.maximum(np.linalg.norm(a - tree.points[grand], axis=1), 1e-6)[:, None]
    bend = bend * (0.25 * length)[:, None] - 0.25 * (b - a)
    curve = a[owner] + t[:, None] * (b - a)[owner] + (t * (1 - t) ** 2 * 1.6)[:, None] * bend[owner]
    start = np.minimum(tree.radius[parent], 1.35 * tree.radius[child])
    radius = start[owner] + t * (tree.radius[child] - start)[owner]
    return curve, radius


def paint(into: Coverage, grid: Grid, points: Points, radii: npt.NDArray[np.float64], step_mm: float = 0.5) -> None:
    """Add tubes through sampled points to a coverage in [0, 1], in place.

    Thin tubes deposit their cross-section by volume (partial volume), thick ones are soft-edged balls.
    """
    pixel = grid.step[1]
    thin = radii < 1.1 * pixel
    _deposit(into, grid, points[thin], np.pi * radii[thin] ** 2 * step_mm)
    np.minimum(into, 1.0, out=into)
    thick = np.flatnonzero(~thin)
    level = np.round(radii[thick] / 0.25).astype(int)
    for value in np.unique(level):
        chosen = thick[level == value]
        stride = max(1, int(0.25 * value * 0.25 / step_mm * 2))
        _balls(into, grid, points[chosen[::stride]], 0.25 * float(value))


def _deposit(into: Coverage, grid: Grid, points: Points, volume: npt.NDArray[np.float64]) -> None:
    index = (points[:, ::-1] - np.asarray(grid.first)) / np.asarray(grid.step)
    base = np.floor(index).astype(np.int64)
    part = index - base
    keep = np.all((base >= 0) & (base < np.asarray(grid.shape) - 1), axis=1)
    base, part, share = base[keep], part[keep], volume[keep] / float(np.prod(grid.step))
    flat = np.ravel_multi_index(tuple(base.T), grid.shape)
    strides = (grid.shape[1] * grid.shape[2], grid.shape[2], 1)
    view = into.reshape(-1)
    for corner in np.ndindex(2, 2, 2):
        weight = share.copy()
        for axis, bit in enumerate(corner):
            weight *= part[:, axis] if bit else 1 - part[:, axis]
        np.add.at(view, flat + int(np.dot(corner, strides)), weight.astype(np.float32))


def _balls(into: Coverage, grid: Grid, points: Points, radius: float) -> None:
    step = np.asarray(grid.step)
    reach = np.ceil((radius + 1) / step).astype(int)
    offsets = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), -1).reshape(-1, 3)
    index = (points[:, ::-1] - np.asarray(grid.first)) / step
    base = np.round(index).astype(np.int64)
    inside = np.all((base >= reach) & (base < np.asarray(grid.shape) - reach), axis=1)
    base, part = base[inside], (index - np.round(index))[inside]
    view = into.reshape(-1)
    strides = np.array([grid.shape[1] * grid.shape[2], grid.shape[2], 1])
    for block in range(0, len(base), 2000):
        b, p = base[block : block + 2000], part[block : block + 2000]
        away = [(offsets[:, k] - p[:, k, None]) * step[k] for k in range(3)]
        far = np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2)
        cover = np.clip(0.5 + (radius - far) / step[1], 0, 1).astype(np.float32)
        flat = (b @ strides)[:, None] + (offsets @ strides)[None]
        hit = cover > 0
        np.maximum.at(view, flat[hit], cover[hit])
