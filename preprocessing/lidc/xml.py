"""LIDC XML files, as they lie beside the scans in the TCIA collection, into the objects the table gives.

Format: the LIDC schema `LidcReadMessage` (namespace http://www.nih.gov). A file holds up to four reading sessions of
one series. Only nodules of 3 mm and more are read: those are outlined and rated; smaller ones and non-nodules
are single points without ratings.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from preprocessing.lidc.reading import RATINGS, Contour, Reading
from runs.entry import UsageError

_SPACE = "{http://www.nih.gov}"
_ROOT = f"{_SPACE}LidcReadMessage"


def read_xml(path: Path) -> tuple[str, tuple[Reading, ...]]:
    """Series UID and readings of one file, in the order of the file.

    Raises:
        FileNotFoundError: there is no such file.
        UsageError: it is not XML, not a CT reading of LIDC, or a value is missing or not a number.
    """
    root = _root(path)
    if root.tag != _ROOT:
        raise UsageError(f"{path.name}: the root must be LidcReadMessage, the CT readings of LIDC; got {_bare(root)}")
    try:
        uid = _text(root, "ResponseHeader/SeriesInstanceUid")
        return uid, tuple(_reading(element) for element in _rated(root))
    except UsageError as error:
        raise UsageError(f"{path.name}: {error}") from None


def read_xml_folder(path: Path) -> dict[str, tuple[Reading, ...]]:
    """Readings by series UID out of one file, or of all `.xml` files under a folder.

    Other XML in a folder (LIDC's chest radiographs, say) is passed over.

    Raises:
        FileNotFoundError: no such path, or no CT reading under it.
        UsageError: as `read_xml`, and when two files are of one series.
    """
    if path.is_file():
        return dict([read_xml(path)])
    found: dict[str, tuple[Reading, ...]] = {}
    files: dict[str, str] = {}
    for file in sorted(path.rglob("*.xml")):
        if _root(file).tag != _ROOT:
            continue
        uid, readings = read_xml(file)
        if uid in found:
            raise UsageError(f"two files hold readings of series {uid}: {files[uid]} and {file.name}")
        found[uid], files[uid] = readings, file.name
    if not found:
        raise FileNotFoundError(f"no LIDC XML file (.xml, LidcReadMessage) at {path}")
    return found


def _root(path: Path) -> ElementTree.Element:
    if not path.is_file():
        raise FileNotFoundError(f"no such XML file: {path}")
    try:
        return ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise UsageError(f"{path.name} is not XML: {error}") from None


def _rated(root: ElementTree.Element) -> Iterator[ElementTree.Element]:
    for element in root.iterfind(_path("readingSession/unblindedReadNodule")):
        rated = element.find(f"{_SPACE}characteristics")
        if rated is not None and len(rated):
            yield element


def _reading(element: ElementTree.Element) -> Reading:
    ratings = {name: _whole(element, f"characteristics/{name}") for name in RATINGS}
    contours = tuple(_contour(roi) for roi in element.iterfind(f"{_SPACE}roi"))
    name = _text(element, "noduleID")
    if not contours or not all(len(contour.points_xy) for contour in contours):
        raise UsageError(f"nodule {name} is rated, so it must have contours (roi) with points (edgeMap)")
    return Reading(name, ratings, contours)


def _contour(roi: ElementTree.Element) -> Contour:
    z, included = _text(roi, "imageZposition"), _text(roi, "inclusion").upper()
    if included not in ("TRUE", "FALSE"):
        raise UsageError(f"inclusion must be TRUE or FALSE, got {included}")
    points = [(_whole(p, "xCoord"), _whole(p, "yCoord")) for p in roi.iterfind(f"{_SPACE}edgeMap")]
    try:
        return Contour(float(z), included == "TRUE", np.array(points, dtype=np.int64).reshape(-1, 2))
    except ValueError:
        raise UsageError(f"imageZposition must be a number, got {z!r}") from None


def _whole(element: ElementTree.Element, name: str) -> int:
    text = _text(element, name)
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{name} must be a whole number, got {text!r}") from None


def _text(element: ElementTree.Element, name: str) -> str:
    text = (element.findtext(_path(name)) or "").strip()
    if not text:
        raise UsageError(f"{_bare(element)} must have a {name}")
    return text


def _path(name: str) -> str:
    return "/".join(f"{_SPACE}{part}" for part in name.split("/"))


def _bare(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
