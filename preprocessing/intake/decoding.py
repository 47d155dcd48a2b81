"""The images of many files, decoded on several cores where that pays.

Decoders hold the interpreter lock, so threads gain nothing; worker processes do, once they have been started. A series
that costs less than the start is decoded here, unless others came before it: what has been decoded here counts, so
that a cohort never pays much more than twice what it would have paid had its size been known.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError
from pydicom import Dataset, dcmread
from pydicom.uid import UID, JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

from preprocessing.intake.headers import Slice, quiet_pydicom
from preprocessing.intake.pixels import UNDECODED, Image, read_images
from preprocessing.intake.scan import Reason, ScanError

# CPU seconds for a million pixels, on one core of a Xeon of 2.5 GHz. RLE costs as much as sending the pixels back.
DECODING_S = {
    **dict.fromkeys(JPEG2000TransferSyntaxes, 0.17),
    **dict.fromkeys(JPEGTransferSyntaxes, 0.05),
    **dict.fromkeys(JPEGLSTransferSyntaxes, 0.03),
}
# A worker starts within one second; two of them halve two.
STARTING_S = 2.0
MOST_WORKERS = 4
BATCH = 8


@dataclass(slots=True)
class _Account:
    """What this process has spent on decoding without workers, in the seconds of `DECODING_S`."""

    spent_s: float = 0.0


_account = _Account()


def decoded(paths: Sequence[Path]) -> list[tuple[Slice, Image]]:
    """The images of DICOM files with their Hounsfield units, in the order of the files and of the frames in each.

    Raises:
        ScanError: see `read_images`; `unreadable` also where a decoder brought its process down.
    """
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    if workers < 2 or not _pays(paths):
        return list(chain.from_iterable(read_images(path) for path in paths))
    pool = joblib.Parallel(n_jobs=workers, batch_size=BATCH if len(paths) > BATCH else 1)
    try:
        return list(chain.from_iterable(pool(joblib.delayed(read_images)(*job) for job in _jobs(paths, workers))))
    except TerminatedWorkerError as error:
        raise ScanError(Reason.UNREADABLE, UNDECODED) from error


def _pays(paths: Sequence[Path]) -> bool:
    """Whether decoding costs more than the start of workers, or has by now."""
    header = _header(paths[0])
    meta = getattr(header, "file_meta", Dataset())
    each = DECODING_S.get(UID(str(meta.get("TransferSyntaxUID", ""))), 0.0)
    pixels = len(paths) * _count(header, "NumberOfFrames") * _count(header, "Rows") * _count(header, "Columns")
    if each:
        _account.spent_s += each * pixels / 1e6
    return each > 0 and _account.spent_s >= STARTING_S


def _jobs(paths: Sequence[Path], workers: int) -> Iterator[tuple[Path, slice]]:
    """Files, and those of many frames in parts, two for each worker: each part reads its file again."""
    for path in paths:
        frames = _count(_header(path), "NumberOfFrames") if len(paths) < 2 * workers else 1
        step = math.ceil(frames / (2 * workers))
        if frames <= BATCH:
            yield path, slice(None)
            continue
        yield from ((path, slice(start, start + step)) for start in range(0, frames, step))


def _header(path: Path) -> Dataset:
    """The few tags that tell how much there is to decode; an empty data set where the file cannot be read."""
    wanted = ["Rows", "Columns", "NumberOfFrames"]
    with quiet_pydicom():
        try:
            return dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(wanted))
        except Exception:  # on damaged bytes pydicom raises what it likes; who reads the pixels says it better
            return Dataset()


def _count(header: Dataset, name: str) -> int:
    try:
        return int(header.get(name) or 1)
    except Exception:  # as in `_header`
        return 1
