"""`python -m lungscreen.server.jobs.worker`: analyses the cases it is told of, one after the other.

Orders come as lines of JSON on stdin, answers leave as lines of JSON on stdout. It ends when stdin does, whatever it
is doing: a server that was killed leaves no worker behind.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import shutil
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import torch

from classification.calibration.stored import load_calibration
from classification.classifier import load_classifier
from classification.heat_map import HeatMap
from detection.detect import Search
from detection.detector import load_detector
from detection.pictures.key_images import file_stem
from lungscreen.analysing import analyse
from lungscreen.pipeline import Analysis, Pipeline
from lungscreen.priors import find_priors
from lungscreen.server.jobs.beside import write_places
from lungscreen.server.jobs.folders import RESULT
from lungscreen.server.jobs.heat import write_heat
from lungscreen.server.jobs.options import read_options
from lungscreen.server.jobs.results import case_result, scan_result, write_volume
from preprocessing.intake.archive import give_back
from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Scan
from preprocessing.intake.upright import upright
from preprocessing.intake.volume_reader import read_volume
from runs.entry import is_users
from runs.writing import write_json

log = logging.getLogger(__name__)

# An installation that has put the server together by hand may lack it.
DICOM = find_spec("highdicom") is not None


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What the server tells a worker at its start.

    Attributes:
        weights, classifier, calibration: paths, or None for the shipped ones.
        key_images: of how many candidates a scan.
        threads: to compute on.
    """

    weights: str | None
    classifier: str | None
    calibration: str | None
    key_images: int
    threads: int


def load_pipeline(options: WorkerOptions) -> Pipeline:
    """Both stages, as the server's settings want them.

    Raises:
        FileNotFoundError, UsageError: no such weights or calibration.
    """
    calibration = load_calibration(Path(options.calibration)) if options.calibration else None
    detector = load_detector(Path(options.weights) if options.weights else None)
    classifier = load_classifier(Path(options.classifier) if options.classifier else None, calibration=calibration)
    return Pipeline(Search(detector), classifier)


def analyse_case(folder: Path, pipeline: Pipeline, key_images: int, say: Any) -> dict[str, Any]:
    """Everything under `input/` to `result/`, which is there when it is whole; a case that has one is left alone.

    What was prepared and detected is kept in the folder until then, so that after a cut nothing is done twice.

    Args:
        folder: of the case.
        pipeline: both stages.
        key_images: of how many candidates a scan.
        say: called with a dict that tells how far it is.

    Returns:
        What becomes of the case: `state`, `scans`, `refused`, `reason`, `detail`.
    """
    result, work, cache = folder / "result", folder / "work", folder / "cache"
    if not (result / RESULT).exists():
        shutil.rmtree(work, ignore_errors=True)
        search = replace(pipeline.search, prepared=cache / "prepared", candidates=cache / "candidates")
        _fill(work, folder, replace(pipeline, search=search), key_images, say)
        work.rename(result)
    shutil.rmtree(cache, ignore_errors=True)
    scans = json.loads((result / RESULT).read_text(encoding="utf-8"))["scans"]
    refused = [scan for scan in scans if scan["status"] == "refused"]
    first = refused[0] if len(refused) == len(scans) else {"reason": "", "detail": ""}
    state = "refused" if len(refused) == len(scans) else "done"
    return {
        "state": state,
        "scans": len(scans),
        "refused": len(refused),
        "reason": first["reason"],
        "detail": first["detail"],
    }


def _fill(work: Path, folder: Path, pipeline: Pipeline, key_images: int, say: Any) -> None:
    say({"step": "reading headers", "done": 0, "of": 0})
    options, scans = read_options(folder), find_scans(folder / "input")
    # Of two studies of one patient the later one is compared with the earlier one.
    pipeline = replace(pipeline, anyone=options.person, priors=find_priors(None, None, scans))
    whole = sum(scan.refused is None for scan in scans)
    read: dict[str, dict[str, Any]] = {}

    def seen(scan: Scan, analysis: Analysis, maps: Sequence[HeatMap]) -> None:
        volume, voxels = upright(read_volume(scan)), work / "volumes" / file_stem(scan.series_uid)
        write_volume(voxels, volume)
        write_heat(voxels, maps, analysis.prepared.volume.geometry, volume.geometry)
        if analysis.followed is not None:
            write_places(voxels, analysis.followed, volume.geometry)
        read[scan.series_uid] = scan_result(analysis, volume.geometry)
        say({"step": "analysing", "done": len(read), "of": whole})

    say({"step": "analysing", "done": 0, "of": whole})
    done = analyse(pipeline, scans, work, key_images, seen, dicom=DICOM, dicom_images=options.dicom_images)
    write_json(work / RESULT, case_result(done, read))


def _orders(source: IO[str]) -> queue.Queue[str]:
    """Lines of stdin; its end is the end of this process."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in source:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return lines


def main() -> None:
    """Entry point."""
    # Whatever prints, prints to stderr: stdout carries answers and nothing else.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    logging.basicConfig(level=logging.INFO, format="worker: %(message)s")

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    orders = _orders(sys.stdin)
    options = WorkerOptions(**json.loads(orders.get()))
    torch.set_num_threads(options.threads)
    try:
        pipeline = load_pipeline(options)
    except (ValueError, OSError) as error:
        if not is_users(error):
            raise
        say({"cannot_start": str(error)})
        return
    say({"ready": True})
    while True:
        folder = Path(json.loads(orders.get())["case"])
        try:
            answer = analyse_case(folder, pipeline, options.key_images, say)
        except Exception as error:  # the next case shall have its turn; of this one the kind of error is all we say
            log.warning("a case failed with %s", type(error).__name__, exc_info=log.isEnabledFor(logging.DEBUG))
            answer = {"state": "failed", "reason": "internal_error", "detail": f"unexpected {type(error).__name__}"}
        finally:
            give_back()
        say(answer)


if __name__ == "__main__":
    main()
