"""Studies in a real Orthanc, analysed by a real server, results back: while all three are killed."""

from __future__ import annotations

import io
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("highdicom")
pytest.importorskip("httpx")
from pydicom import Dataset, dcmread

from phantom.chest import ChestSettings
from phantom.make import make_cohort
from tests.orthanc import ORTHANC, RunningOrthanc
from tests.serving import ROOT, Running, until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(ORTHANC is None, reason="needs Debian's orthanc")]
# The issue wants 20; so many take some minutes.
STUDIES = int(os.environ.get("LUNGSCREEN_STUDIES", "3"))
TOKEN = "a-token-of-some-length"
RULES = ["rules.most_thickness_mm=20", "stable_seconds=0.5", "look_seconds=0.2"]


class Follower:
    """`python -m lungscreen.server.pacs` in a folder that outlives it."""

    def __init__(self, folder: Path, server: Running, *options: str) -> None:
        self.folder, token = folder, folder / "token"
        token.write_text(TOKEN)
        given = [f"folder={folder / 'pacs'}", f"server=http://127.0.0.1:{server.port}", f"token_file={token}"]
        self.command = [sys.executable, "-m", "lungscreen.server.pacs", *given, *RULES, *options]
        self.log = folder / "pacs.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, cwd=ROOT, stdout=log, stderr=log)

    def stop(self, number: int = signal.SIGTERM) -> None:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        self.process.send_signal(number)
        self.process.wait(timeout=60)

    def ask(self, words: str) -> int:
        """A number out of its table."""
        with closing(sqlite3.connect(self.folder / "pacs/studies.sqlite", timeout=60)) as connection:
            return int(connection.execute(words).fetchone()[0])

    def said(self, words: str) -> int:
        """How often the log says something."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        return self.log.read_text().count(words)


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    """Files of studies, by their uid."""
    chest = ChestSettings(matrix=64, targets_per_lung=10, thickness_mm=10.0, mean_nodules=4.0)
    cohort = make_cohort(tmp_path_factory.mktemp("studies"), STUDIES, 5, chest, workers=1)
    found: dict[str, list[bytes]] = {}
    for path in sorted((cohort / "dicom").rglob("*.dcm")):
        found.setdefault(str(dcmread(path, stop_before_pixels=True).StudyInstanceUID), []).append(path.read_bytes())
    assert len(found) == STUDIES
    return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "tokens").write_text(TOKEN)
    running = Running(tmp_path, f"token_file={tmp_path / 'tokens'}")
    running.client.headers["Authorization"] = f"Bearer {TOKEN}"
    running.start()
    yield running
    running.stop()


def check(orthanc: RunningOrthanc, studies: dict[str, list[bytes]]) -> None:
    """One report and one segmentation in every study, about the series of this study; an outside reader reads them."""
    for modality in ("SR", "SEG"):
        objects = orthanc.found(modality)
        assert sorted(uid for uid, _ in objects) == sorted(studies)
        for uid, content in objects:
            source = dcmread(io.BytesIO(studies[uid][0]), stop_before_pixels=True)
            result = dcmread(io.BytesIO(content))
            assert (result.PatientID, result.StudyInstanceUID) == (source.PatientID, uid)
            assert str(source.SeriesInstanceUID) in series_named_in(result)
            if shutil.which("dcmdump"):
                (orthanc.folder / "one.dcm").write_bytes(content)
                subprocess.run(["dcmdump", "-q", str(orthanc.folder / "one.dcm")], check=True, capture_output=True)


def series_named_in(result: Dataset) -> set[str]:
    """Series that an object refers to, at any depth."""
    return {str(e.value) for e in result.iterall() if e.keyword == "SeriesInstanceUID"} - {
        str(result.SeriesInstanceUID)
    }


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[RunningOrthanc]:
    running = RunningOrthanc(tmp_path / "orthanc")
    running.start()
    yield running
    running.stop(signal.SIGKILL)


@pytest.fixture
def follower(tmp_path: Path, server: Running, orthanc: RunningOrthanc) -> Iterator[Follower]:
    running = Follower(tmp_path, server, f"orthanc={orthanc.address}", f"login_file={orthanc.login}", "backlog=true")
    running.start()
    yield running
    running.stop(signal.SIGKILL)


def test_results_lie_beside_the_images_whoever_is_killed_meanwhile(
    server: Running, orthanc: RunningOrthanc, follower: Follower, studies: dict[str, list[bytes]]
) -> None:
    for number, files in enumerate(studies.values()):
        half = len(files) // 2
        for content in files[:half]:
            orthanc.put(content)
        if number % 5 == 0:  # in the middle of a study, of which it will not say that it is stable for these images
            again(orthanc)
        if number % 5 == 1:
            again(follower)
        for content in files[half:]:
            orthanc.put(content)
        if number % 5 == 1:
            until(lambda: follower.said("is case") > 0)
            again(server)
            again(orthanc)
    # Whatever halves were seen, in the end there are results of whole studies.
    until(lambda: min(len(orthanc.ids(modality)) for modality in ("SR", "SEG")) >= STUDIES, seconds=3000)
    # It says so a moment after the archive has them.
    until(lambda: follower.said("is done") >= STUDIES)
    # Our own results are news to Orthanc as any image is: they are looked at, and nothing comes of them.
    orthanc.put(scout(next(iter(studies.values()))[0]))
    marked = orthanc.client.get("/changes", params="last").json()["Last"]
    until(lambda: follower.ask("select value from marks") >= marked)
    until(lambda: follower.ask("select count(*) from studies where state in ('waiting', 'sent')") == 0)
    check(orthanc, studies)
    cases = server.client.get("/api/v1/cases", params={"limit": 200}).json()
    assert [case["state"] for case in cases["items"]] == ["done"] * STUDIES
    assert (follower.said("is case"), follower.said("is done")) == (STUDIES, STUDIES)


def again(process: RunningOrthanc | Follower | Running) -> None:
    """Kill it and start it anew."""
    process.stop(signal.SIGKILL)
    process.start()


def scout(content: bytes) -> bytes:
    """A series of one image in the same study, which is no CT of a chest."""
    image = dcmread(io.BytesIO(content))
    image.SeriesInstanceUID, image.SOPInstanceUID = "2.25.11", "2.25.12"
    image.file_meta.MediaStorageSOPInstanceUID = "2.25.12"
    buffer = io.BytesIO()
    image.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
