"""`python -m benchmarks.scale.listing`: seconds to list a folder of 300,000 DICOM files and to hash what was found.

The files are made for it, 150 slices a series, of 16 x 16 pixels (headers are read, pixels are not), and deleted
after. CPU seconds are of all processes. Listing is what every command starts with; listing again is what it is to the
shards of `lungscreen.cluster`, whose launcher has done it; hashing is what a journal knows a cohort and its files by.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from pathlib import Path

import numpy as np
import pydicom
from tqdm import tqdm

from benchmarks.scale.processes import cpu_seconds_of_all
from phantom.dicom_writer import Series, write_series
from preprocessing.geometry import Geometry
from preprocessing.journal.listing import list_scans
from preprocessing.journal.record import cohort_digest, keys_of, seen_of
from preprocessing.volume import Volume

SLICES = 150


def main() -> None:
    """Print what each step takes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.listing", description=__doc__)
    parser.add_argument("--files", type=int, default=300_000)
    parser.add_argument("--folder", type=Path, help="on the file system that is to be measured; left out: temporary")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        source, kept = Path(name, "in"), Path(name, "listing.json")
        source.mkdir()
        make_files(source, args.files // SLICES)
        marks = [(time.perf_counter(), cpu_seconds_of_all())]
        scans = list_scans(source, kept)
        marks.append((time.perf_counter(), cpu_seconds_of_all()))
        list_scans(source, kept)
        marks.append((time.perf_counter(), cpu_seconds_of_all()))
        cohort_digest(scans)
        keys_of(scans)
        for scan in scans:
            seen_of(scan, source)
        marks.append((time.perf_counter(), cpu_seconds_of_all()))
        files = sum(len(scan.paths) for scan in scans)
        assert all(scan.refused is None for scan in scans), next(s for s in scans if s.refused)
        print(f"{files} files, {len(scans)} series")
        for what, (before, after) in zip(
            ("listing", "listing again", "hashing"), itertools.pairwise(marks), strict=True
        ):
            wall, cpu = after[0] - before[0], after[1] - before[1]
            print(f"{what}: {wall:.1f} s, {cpu:.1f} CPU s, {1e6 * cpu / files:.0f} us a file")


def make_files(folder: Path, series: int) -> None:
    """Copies of one small series, each of a patient of its own."""
    hu = np.full((SLICES, 16, 16), -800, np.int16)
    volume = Volume(hu, Geometry(hu.shape, (20.0, 20.0, 2.0), (0.0, 0.0, 0.0), np.eye(3)), "2.25.1000000")
    told = Series("patient-000000", "listing", 2.0)
    (folder / "template").mkdir()
    written = write_series(volume, folder / "template", told)
    contents = [path.read_bytes() for path in written]
    header = pydicom.dcmread(written[0], stop_before_pixels=True)
    for path in (folder / "template").iterdir():
        path.unlink()
    (folder / "template").rmdir()
    uids = [str(header[name].value).encode() for name in ("StudyInstanceUID", "SeriesInstanceUID")]
    for number in tqdm(range(series), desc="making files", unit="series"):
        here = folder / f"{number:06}"
        here.mkdir()
        for index, content in enumerate(contents):
            mine = content.replace(b"patient-000000", f"patient-{number:06}".encode())
            for uid in uids:
                mine = mine.replace(uid, uid[:-6] + f"{number:06}".encode())
            (here / f"{index:03}.dcm").write_bytes(mine)


if __name__ == "__main__":
    main()
