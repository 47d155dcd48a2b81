"""Hand-placed LIDC readings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from preprocessing.lidc.reading import RATINGS, Contour, LidcScan, Reading

DATA = Path(__file__).parents[2] / "shared/data"


def square(left: int, top: int, size: int, z_mm: float = 0.0, included: bool = True) -> Contour:
    """A closed square of `size` steps a side; (size - 1)² pixels lie strictly inside."""
    n = range(size)
    right, bottom = left + size, top + size
    points = [(left + i, top) for i in n] + [(right, top + i) for i in n]
    points += [(right - i, bottom) for i in n] + [(left, bottom - i) for i in n]
    return Contour(z_mm, included, np.array([*points, points[0]]))


def reading(*contours: Contour, nodule_id: str = "1", **ratings: int) -> Reading:
    return Reading(nodule_id, {**dict.fromkeys(RATINGS, 3), **ratings}, contours)


def scan(
    *readings: Reading,
    thickness: float = 2.5,
    pixel: float = 0.5,
    slices: Sequence[float] = tuple(range(0, 40, 2)),
    uid: str = "1.2.3",
    patient: str = "LIDC-IDRI-9999",
) -> LidcScan:
    return LidcScan(uid, patient, thickness, pixel, np.array(slices, dtype=float), readings)


def as_xml(uid: str, readings: Sequence[Reading], extra: str = "") -> str:
    """A LIDC file with one reading session; `extra` goes into it as it is."""
    nodules = "".join(
        f"<unblindedReadNodule><noduleID>{escape(r.nodule_id)}</noduleID><characteristics>"
        + "".join(f"<{name}>{value}</{name}>" for name, value in r.ratings.items())
        + "</characteristics>"
        + "".join(_roi(c) for c in r.contours)
        + "</unblindedReadNodule>"
        for r in readings
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><LidcReadMessage xmlns="http://www.nih.gov">'
        f"<ResponseHeader><SeriesInstanceUid>{uid}</SeriesInstanceUid></ResponseHeader>"
        f"<readingSession>{nodules}{extra}</readingSession></LidcReadMessage>"
    )


def _roi(contour: Contour) -> str:
    points = "".join(f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>" for x, y in contour.points_xy)
    return (
        f"<roi><imageZposition>{contour.z_mm} </imageZposition>"
        f"<inclusion>{'TRUE' if contour.included else 'FALSE'}</inclusion>{points}</roi>"
    )
