"""Images that are sent here by C-STORE, and results that are sent back to an archive."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pynetdicom")
import pynetdicom
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from lungscreen.server.pacs.following import NotTakenError
from lungscreen.server.pacs.listening import NAME, Listener
from lungscreen.server.pacs.settings import PacsSettings
from lungscreen.server.pacs.studies import State, Studies
from runs.entry import compose_settings
from tests.serving import free_port

pytestmark = pytest.mark.slow


def image(number: int, study: str = "2.25.1") -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f"2.25.100.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, "2.25.3"
    dataset.PatientName, dataset.Modality = "Doe^Jane", "CT"
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


@pytest.fixture
def settings() -> PacsSettings:
    options = [f"listen_port={free_port()}", "back_aet=PACS", f"back_port={free_port()}", "callers=[MODALITY]"]
    return compose_settings(PacsSettings, "server_pacs", options)


@pytest.fixture
def listener(tmp_path: Path, settings: PacsSettings) -> Iterator[Listener]:
    studies = Studies(tmp_path / "studies.sqlite")
    listening = Listener(tmp_path / "sent", settings, studies)
    listening.start()
    yield listening
    listening.stop()
    studies.close()


def send(
    settings: PacsSettings, *datasets: Dataset, caller: str = "MODALITY", called: str = "LUNGSCREEN"
) -> list[int]:
    entity = pynetdicom.AE(caller)
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", settings.listen_port, ae_title=called)
    if not association.is_established:
        return []
    found = [association.send_c_store(dataset).Status for dataset in datasets]
    association.release()
    return found


def test_what_is_accepted_is_kept_under_names_that_tell_nothing(
    tmp_path: Path, settings: PacsSettings, listener: Listener
) -> None:
    assert send(settings, image(1), image(2), image(2)) == [0, 0, 0]
    (study,) = listener.studies.of(State.WAITING)
    assert listener.state(study.name) == "2"
    (series,) = listener.series(study.name)
    kept = [dcmread(io.BytesIO(content)) for content in listener.files(study.name, series.images)]
    assert sorted(one.SOPInstanceUID for one in kept) == ["2.25.100.1", "2.25.100.2"]
    assert kept[0].file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert not [path for path in tmp_path.rglob("*") if "2.25" in path.name or "Doe" in path.name]
    nameless = image(3)
    del nameless.StudyInstanceUID
    assert send(settings, nameless) == [0xC000]


def test_others_are_not_let_in(settings: PacsSettings, listener: Listener) -> None:
    assert send(settings, image(1), caller="STRANGER") == []
    assert send(settings, image(1), called="SOMEBODY") == []
    assert listener.studies.names(NAME) == set()


def test_results_go_to_the_archive_or_wait_for_it(tmp_path: Path, settings: PacsSettings, listener: Listener) -> None:
    result = tmp_path / "result.dcm"
    image(9).save_as(result, enforce_file_format=True)
    with pytest.raises(NotTakenError):
        listener.store("study", [result])
    stored: list[Any] = []
    archive = pynetdicom.AE("PACS")
    archive.add_supported_context(CTImageStorage)
    answers = [0xA700, 0x0000]

    def take(event: Any) -> int:
        stored.append(event.dataset.SOPInstanceUID)
        return answers.pop(0)

    server = archive.start_server(
        ("127.0.0.1", settings.back_port), False, evt_handlers=[(pynetdicom.evt.EVT_C_STORE, take)]
    )
    with pytest.raises(NotTakenError):  # it has no room
        listener.store("study", [result])
    listener.store("study", [result])
    server.shutdown()
    assert stored == ["2.25.100.9"] * 2


def test_images_are_kept_until_all_is_done_and_what_came_meanwhile_stays(
    tmp_path: Path, settings: PacsSettings, listener: Listener
) -> None:
    send(settings, image(1))
    (study,) = listener.studies.of(State.WAITING)
    listener.finished(study.name)
    assert listener.state(study.name) == "1"
    listener.studies.settle(study, State.DONE)
    again = Listener(tmp_path / "sent", replace(settings, listen_port=0), listener.studies)
    assert again.state(study.name) is None
    # An image that was written down nowhere, by a process that was killed.
    (tmp_path / "sent" / ("a" * 32)).mkdir()
    again.look(listener.studies)
    assert {one.name for one in listener.studies.of(State.WAITING)} == {"a" * 32}
