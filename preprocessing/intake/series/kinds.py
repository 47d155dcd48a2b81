"""Whether a series is what the scanner measured or was computed from it (PS3.3 C.7.6.1.1.2, Image Type).

A reformat has the finest spacing of all series of a patient, a projection no Hounsfield units of any place: neither
may be taken for the scan.
"""

from __future__ import annotations

import re
from collections.abc import Set
from enum import StrEnum

import numpy as np

from preprocessing.intake.headers import Slice
from preprocessing.intake.scan import Reason, ScanError, SeriesKind

PROJECTIONS = {"MIP", "MAX_IP", "MAXIP", "MIN_IP", "MINIP", "MNIP", "MINIMUM", "MAXIMUM", "PROJECTION IMAGE", "VRT"}
PROJECTION_WORDS = re.compile(r"\b(mip|min ?ip|minip|mnip|vrt)\b", re.IGNORECASE)
REFORMATS = {"REFORMATTED", "MPR", "CSA MPR", "CURVED", "CPR", "RESAMPLED"}
REFORMAT_WORDS = re.compile(r"\b(mpr|cor|coronal|sag|sagittal|cpr|reformat\w*)\b", re.IGNORECASE)
# Slices that lean by more than this are coronal, sagittal or oblique: no scanner's gantry does.
MOST_LEANING_DEG = 35.0


class _Words(StrEnum):
    REFORMATTED = "the series is a reformat of another one; it stands for its patient only where there is no other"
    DERIVED = "the series was computed from another one; an original one stands for the patient where there is one"


def kind_of(image_types: Set[str], description: str, first: Slice) -> SeriesKind:
    """What a series is, from the words of its ImageType, its SeriesDescription and the lie of its slices.

    Raises:
        ScanError: `projection`: maximum or minimum intensity.
    """
    if image_types & PROJECTIONS or PROJECTION_WORDS.search(description):
        raise ScanError(Reason.PROJECTION, "the series holds intensity projections, which are no slices of a scan")
    axes = np.asarray(first.orientation).reshape(2, 3)
    axial = abs(np.cross(axes[0], axes[1])[2]) >= np.cos(np.radians(MOST_LEANING_DEG))
    derived = "DERIVED" in image_types
    if not axial or image_types & REFORMATS or (derived and REFORMAT_WORDS.search(description)):
        return SeriesKind.REFORMATTED
    return SeriesKind.DERIVED if derived else SeriesKind.ORIGINAL


def kind_warnings(kind: SeriesKind) -> tuple[str, ...]:
    """What to say of a series that is not an original one."""
    if kind == SeriesKind.ORIGINAL:
        return ()
    return (f"derived_series: {_Words[kind.name]}",)
