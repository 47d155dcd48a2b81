"""How the report says things: percentages, places and warnings in words."""

from __future__ import annotations

from collections.abc import Mapping

from preprocessing.geometry import Geometry, Triple
from preprocessing.planes import orientation_letters

TAIL = 14
# Ends of LIDC's scales, in words (McNitt-Gray et al. 2007, the LIDC reading forms).
RATING_ENDS = {
    "malignancy": ("unlikely", "suspicious"),
    "spiculation": ("none", "marked"),
    "texture": ("ground glass", "solid"),
    "lobulation": ("none", "marked"),
    "margin": ("blurred", "sharp"),
    "sphericity": ("linear", "round"),
    "subtlety": ("hard to see", "obvious"),
    "calcification": ("popcorn", "absent"),
}
ENDS_OF_BODY = {"F": "foot end", "H": "head end", "A": "front", "P": "back", "L": "left side", "R": "right side"}


def percent(value: float) -> str:
    """Whole percents where that is honest, a decimal near 0 and 1, and never a rounded certainty."""
    if value < 0.0005:
        return "0%" if value <= 0 else "<0.1%"
    if value > 0.9994:
        return "100%" if value >= 1 else ">99.9%"
    return f"{100 * value:.0f}%" if 0.0995 <= value < 0.985 else f"{100 * value:.1f}%"


def in_hundred(value: float) -> str:
    count = round(100 * value)
    if count == 0:
        return "fewer than 1"
    return "more than 99" if count == 100 else f"about {count}"


def fixed(value: float, digits: int) -> str:
    """A number with a true minus sign; minus zero is zero."""
    text = f"{value:.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else text.replace("-", "−")


def warning(text: str) -> tuple[str, str]:
    """`code: sentence` to (code, Sentence.); without a code, ("", Sentence.)."""
    code, colon, sentence = text.partition(": ")
    if not colon or " " in code:
        code, sentence = "", text
    sentence = sentence.strip()
    sentence = sentence[:1].upper() + sentence[1:]
    return code, sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


def tail(uid: str) -> str:
    """The end of a uid, where series differ."""
    return uid if len(uid) <= TAIL else f"…{uid[-TAIL:]}"


def place(measured: Mapping[str, float | str]) -> str:
    side, zone = measured.get("side"), measured.get("zone")
    words = [f"{side} lung" if side else "lungs", f"{zone} zone" if zone else ""]
    return ", ".join(w for w in words if w)


def slice_words(source: Geometry, center_mm: Triple) -> str:
    """Which image of the source series, from 1, and from which end it is counted."""
    count = source.shape_zyx[0]
    number = min(max(round(float(source.to_voxel(center_mm)[0])), 0), count - 1) + 1
    end = ENDS_OF_BODY[orientation_letters(-source.direction[:, 2])[0]]
    return f"image {number} of {count} from the {end}"


def grid(source: Geometry) -> str:
    z, y, x = source.shape_zyx
    dx, dy, dz = source.spacing_mm
    return f"{x} × {y} × {z} voxels of {dx:.3f} × {dy:.3f} × {dz:.3f} mm"
