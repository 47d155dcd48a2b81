"""Results to DICOM files that belong into the study of their scan, or to the warning that says why there are none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset

from detection.candidate import Candidate
from detection.dicom_out.captures import captures
from detection.dicom_out.coding import (
    CANDIDATE_DIAMETER,
    CANDIDATES,
    DETECTOR_SCORE,
    DIGITS,
    MM,
    NO_UNIT,
    Number,
    percent,
)
from detection.dicom_out.report import Device, Finding, device_of, measurement_report
from detection.dicom_out.settled import encoded, quiet_dicom, settle
from detection.dicom_out.source import NoSourceError, SourceSeries, read_source
from detection.pictures.key_images import file_stem
from phantom.dicom_writer import hashed_uid
from preprocessing.intake.scan import Scan, in_kind
from runs.writing import whole

log = logging.getLogger(__name__)

Make = Callable[[SourceSeries], Mapping[str, Dataset]]


@dataclass(frozen=True, slots=True)
class Written:
    """What came of it.

    Attributes:
        paths: the files, the report first.
        warnings: why there are none, `code: sentence`.
    """

    paths: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()


def write_candidate_report(
    candidates: Sequence[Candidate],
    provenance: Mapping[str, str],
    scan: Scan,
    folder: Path,
    pictures: Sequence[Path] = (),
) -> Written:
    """Write the candidates of stage 1 as a structured report (`..._sr.dcm`), each a sphere; see `write_objects`.

    Args:
        candidates: of the scan, with diameters; best first.
        provenance: of the detector.
        scan: as found on disk, its files still there.
        folder: made if missing.
        pictures: key images to write as secondary captures (`..._01.dcm`, ...), too.
    """
    device = device_of(provenance)

    def make(source: SourceSeries) -> Mapping[str, Dataset]:
        findings = [_finding(number, candidate, device) for number, candidate in enumerate(candidates, 1)]
        said = measurement_report(source, device, findings, [Number(CANDIDATES, len(findings), NO_UNIT)])
        settle(said, source)
        return {"sr": said, **captures(pictures, source, device)}

    return write_objects(scan, folder, make)


def write_objects(scan: Scan, folder: Path, make: Make) -> Written:
    """Write what `make` makes of the source series.

    Names tell nothing but a checksum of the series. A scan that did not come as DICOM, or whose headers no result can
    refer to, costs a warning and nothing else.

    Args:
        scan: as found on disk, its files still there.
        folder: made if missing.
        make: settled objects by the ending of their names.

    Raises:
        OSError: a file cannot be read or written.
    """
    try:
        with quiet_dicom():
            files = {kind: encoded(made) for kind, made in make(read_source(scan)).items()}
    except NoSourceError as error:
        return Written(warnings=(error.warning,))
    except OSError:
        raise
    except Exception as error:  # on odd headers highdicom raises what it likes, and the results do not depend on it
        log.debug("traceback", exc_info=error)
        return Written(warnings=(NoSourceError(f"of an {in_kind(error)}").warning,))
    folder.mkdir(parents=True, exist_ok=True)
    paths = {folder / f"{file_stem(scan.series_uid)}_{kind}.dcm": content for kind, content in files.items()}
    for path, content in paths.items():
        with whole(path) as part:
            part.write_bytes(content)
    return Written(tuple(paths))


def tracking_uid(candidate: Candidate, device: Device) -> str:
    """By which a candidate of these weights is known in every object."""
    place = (*candidate.center_mm, candidate.diameter_mm)
    return hashed_uid(candidate.series_uid, device.uid, *(f"{value:.3f}" for value in place))


def _finding(number: int, candidate: Candidate, device: Device) -> Finding:
    numbers = (
        Number(CANDIDATE_DIAMETER, round(candidate.diameter_mm, DIGITS), MM),
        percent(DETECTOR_SCORE, candidate.score),
    )
    label, uid = f"Candidate {number}", tracking_uid(candidate, device)
    return Finding(label, uid, candidate.center_mm, candidate.diameter_mm, numbers=numbers)
