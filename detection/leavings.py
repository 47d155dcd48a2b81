"""What an earlier run left in the folder of results: it must not look like a result of this one."""

from __future__ import annotations

import re
from pathlib import Path

TABLES = ("candidates.csv", "scans.csv", "nodules.csv", "patients.csv")
# Pictures, pages, heat maps and DICOM objects are called by the checksum of their series.
FOLDERS = {
    "key_images": re.compile(r"[0-9a-f]{16}.*\.png"),
    "report": re.compile(r"([0-9a-f]{16}|index)\.html"),
    "heat_maps": re.compile(r"[0-9a-f]{16}_heat\.nii\.gz"),
    "dicom": re.compile(r"[0-9a-f]{16}_(sr|seg|\d\d)\.dcm"),
}


def remove_results(out: Path) -> None:
    """Remove tables, pictures, pages, heat maps and DICOM objects of an earlier run; files of other names stay."""
    for name in TABLES:
        (out / name).unlink(missing_ok=True)
    for folder, name_of_ours in FOLDERS.items():
        for path in (out / folder).glob("*"):
            if name_of_ours.fullmatch(path.name):
                path.unlink(missing_ok=True)
