"""Image files as scans, each under a name that no other scan has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from preprocessing.intake.formats.labels import check_place
from preprocessing.intake.images import check_image, check_no_labels, image_ending
from preprocessing.intake.scan import Reason, Scan, known
from runs.csv_text import unicode


def image_scans(images: Sequence[tuple[Path, str]], taken: set[str]) -> list[Scan]:
    """A scan for each file, refused ones too.

    Args:
        images: files with their place below the source.
        taken: names of other scans; the new ones join them.
    """
    places = [unicode(name) for _, name in images]
    stems = [
        Path(place).name[: -len(image_ending(path) or "")] for (path, _), place in zip(images, places, strict=True)
    ]
    times = Counter(stems)
    found = [_checked(path, shared=times[stem] > 1) for (path, _), stem in zip(images, stems, strict=True)]
    # The mask of a scan has its name and leaves it to the scan.
    scans = Counter(s for s, scan in zip(stems, found, strict=True) if scan.refused != Reason.LABEL_MAP)
    named = []
    for scan, place, stem in zip(found, places, stems, strict=True):
        # Equal file names in different folders are different scans; so is the conversion beside a DICOM series.
        full = place.replace("/", "_")
        alone = times[stem] == 1 or (scans[stem] == 1 and scan.refused != Reason.LABEL_MAP)
        wanted = [stem, full] if alone else [full]
        uid = next(u for u in (*wanted, *(f"{full}_{k}" for k in range(2, len(images) + 3))) if u not in taken)
        taken.add(uid)
        named.append(replace(scan, patient_id=uid, series_uid=uid))
    return named


def _checked(path: Path, shared: bool) -> Scan:
    """Without a name; of files that share theirs we need to know at once which ones are masks."""
    scan = Scan("", "", (path,))
    try:
        check_place(path)
        warnings = check_image(path)
        if shared:
            check_no_labels(path)
    except Exception as error:
        reason = known(error)
        return replace(scan, refused=reason.reason, detail=reason.detail)
    return replace(scan, warnings=warnings)
