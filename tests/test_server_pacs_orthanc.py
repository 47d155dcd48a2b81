"""A real Orthanc that is killed among 20 studies, followed; the server is one that answers at once."""

from __future__ import annotations

import hashlib
import io
import re
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytest.importorskip("sqlalchemy")
from pydicom import Dataset, dcmread
from pydicom.uid import ComprehensiveSRStorage, CTImageStorage, ExplicitVRLittleEndian, SegmentationStorage

from lungscreen.server.pacs.asking import Server
from lungscreen.server.pacs.following import Follower
from lungscreen.server.pacs.orthanc import Orthanc
from lungscreen.server.pacs.settings import PacsSettings
from lungscreen.server.pacs.studies import State, Studies
from runs.entry import compose_settings
from tests.orthanc import ORTHANC, RunningOrthanc
from tests.serving import until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(ORTHANC is None, reason="needs Debian's orthanc")]
STUDIES, IMAGES = 20, 20
RULES = compose_settings(PacsSettings, "server_pacs", ["orthanc=http://localhost:1"]).rules
RESULTS = {"SR": ComprehensiveSRStorage, "SEG": SegmentationStorage}


def file_of(study: str, kind: str, modality: str, number: str) -> bytes:
    """An object without pixels: Orthanc does not look at them."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = kind, f"{study}.{number}", modality
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, f"{study}.{number.partition('.')[0]}"
    dataset.PatientID, dataset.PatientName = "one", "Doe^Jane"
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


class Answering:
    """A server whose cases are done when they come; it counts how often images came."""

    def __init__(self) -> None:
        self.cases: dict[str, str] = {}
        self.images: dict[str, int] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(202, json={"id": self._take(request.read())})
        found = re.fullmatch(r"/api/v1/cases/(\w+)(/files)?(/dicom/(\w+))?", request.url.path)
        assert found is not None
        study = self.cases[found[1]]
        if found[4]:
            return httpx.Response(200, content=file_of(study, RESULTS[found[4]], found[4], f"{len(found[4])}00.1"))
        if found[2]:
            return httpx.Response(200, json=[{"name": f"dicom/{kind}"} for kind in RESULTS])
        return httpx.Response(200, json={"state": "done", "reason": ""})

    def _take(self, body: bytes) -> str:
        packed = body[body.index(b"PK\x03\x04") : body.rindex(b"\r\n--")]
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            images = [archive.read(name) for name in archive.namelist()]
        case = hashlib.sha256(packed).hexdigest()[:32]
        assert case not in self.cases  # the same images came twice
        self.cases[case] = str(dcmread(io.BytesIO(images[0])).StudyInstanceUID)
        self.images[self.cases[case]] = len(images)
        return case


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[RunningOrthanc]:
    running = RunningOrthanc(tmp_path / "orthanc")
    running.start()
    yield running
    running.stop(signal.SIGKILL)


def follower_of(tmp_path: Path, orthanc: RunningOrthanc, answering: Answering, backlog: bool = True) -> Follower:
    client = httpx.Client(transport=httpx.MockTransport(answering), base_url="http://server")
    source = Orthanc(orthanc.client, backlog)
    return Follower(Studies(tmp_path / "studies.sqlite"), Server(client), {"orthanc": source}, RULES, 0, tmp_path)


def test_20_studies_in_20_reports_and_20_segmentations_out(tmp_path: Path, orthanc: RunningOrthanc) -> None:
    answering = Answering()
    follower = follower_of(tmp_path, orthanc, answering)
    studies = [f"2.25.9{number}" for number in range(STUDIES)]
    for number, study in enumerate(studies):
        for image in range(IMAGES):
            if number % 5 == 0 and image == IMAGES // 2:  # of this one it will not say that it is stable
                orthanc.stop(signal.SIGKILL)
                follower.step()
                orthanc.start()
                follower.step()
            orthanc.put(file_of(study, CTImageStorage, "CT", f"1.{image}"))
        follower.step()
        if number % 5 == 1:
            follower.studies.close()
            follower = follower_of(tmp_path, orthanc, answering)

    def is_over() -> bool:
        follower.step()
        return not follower.studies.of(State.WAITING) and not follower.studies.of(State.SENT)

    until(is_over)
    follower.step()
    until(is_over)
    assert answering.images == dict.fromkeys(studies, IMAGES)
    for modality in RESULTS:
        assert sorted(uid for uid, _ in orthanc.found(modality)) == sorted(studies)
    assert {study.state for study in follower.studies.of(State.DONE)} == {State.DONE}
    assert len(follower.studies.names("orthanc")) == STUDIES
    follower.studies.close()


def test_what_lay_there_before_is_left_unless_it_is_wanted(tmp_path: Path, orthanc: RunningOrthanc) -> None:
    orthanc.put(file_of("2.25.91", CTImageStorage, "CT", "1.1"))
    follower = follower_of(tmp_path, orthanc, Answering(), backlog=False)
    follower.step()
    assert follower.studies.names("orthanc") == set()
    orthanc.put(file_of("2.25.92", CTImageStorage, "CT", "1.1"))
    follower.step()
    assert len(follower.studies.names("orthanc")) == 1
    # Deleted before anybody looked at its changes.
    orthanc.put(file_of("2.25.93", CTImageStorage, "CT", "1.1"))
    (gone,) = orthanc.client.post(
        "/tools/find", json={"Level": "Study", "Query": {"StudyInstanceUID": "2.25.93"}}
    ).json()
    orthanc.client.delete(f"/studies/{gone}").raise_for_status()
    follower.step()
    assert gone not in follower.studies.names("orthanc")
    follower.studies.close()
