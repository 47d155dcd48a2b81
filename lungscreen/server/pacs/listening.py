"""Images that are sent here (C-STORE), kept until their results are sent back."""

from __future__ import annotations

import hashlib
import io
import logging
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom import Dataset, dcmread
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from lungscreen.server.pacs.choosing import Series
from lungscreen.server.pacs.following import NotTakenError
from lungscreen.server.pacs.settings import PacsSettings
from lungscreen.server.pacs.studies import Studies
from preprocessing.intake.headers import quiet_pydicom, text_of
from runs.writing import whole

NAME = "sent"
SUCCESS, NO_ROOM, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xC000
# Neither names nor values of what is sent may reach a log.
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)


class Listener:
    """A source of studies: a folder that others send to.

    Args:
        folder: of the images, made if missing.
        settings: AE titles, ports.
        studies: the table.
    """

    name = NAME

    def __init__(self, folder: Path, settings: PacsSettings, studies: Studies) -> None:
        self.folder, self.settings, self.studies = folder, settings, studies
        # An image and its line in the table come together, and go together.
        self._pairing = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for half in folder.glob("*/.*.tmp"):
            half.unlink()
        for known in studies.names(NAME):
            self.finished(known)
        self.entity = AE(settings.aet)

    def start(self) -> None:
        """Listen from now on."""
        self.entity.add_supported_context(Verification)
        for context in AllStoragePresentationContexts:
            self.entity.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES)
        self.entity.require_called_aet = True
        self.entity.require_calling_aet = list(self.settings.callers)
        place = (self.settings.listen_host, self.settings.listen_port or 0)
        self.entity.start_server(place, block=False, evt_handlers=[(evt.EVT_C_STORE, self._received)])

    def stop(self) -> None:
        """Listen no more."""
        self.entity.shutdown()

    def look(self, studies: Studies) -> None:
        """Studies that came while nobody could write it down."""
        studies.came(NAME, {path.name for path in self.folder.iterdir()} - studies.names(NAME))

    def state(self, name: str) -> str | None:
        """How many images there are; None: there are none."""
        count = len(list((self.folder / name).glob("*.dcm")))
        return str(count) if count else None

    def series(self, name: str) -> list[Series]:
        """Of a study, each with the header of one image."""
        found: dict[str, list[str]] = {}
        headers: dict[str, Dataset] = {}
        with quiet_pydicom():
            for path in sorted((self.folder / name).glob("*.dcm")):
                header = dcmread(path, stop_before_pixels=True, force=True)
                uid = text_of(header, "SeriesInstanceUID")
                found.setdefault(uid, []).append(path.name)
                headers.setdefault(uid, header)
        return [Series(uid, tuple(images), headers[uid]) for uid, images in sorted(found.items())]

    def files(self, name: str, images: Sequence[str]) -> Iterator[bytes]:
        """The images as files, in their order."""
        for image in images:
            yield (self.folder / name / image).read_bytes()

    def store(self, name: str, results: Sequence[Path]) -> None:
        """Send results to who gets them.

        Raises:
            NotTakenError: there is no association, or one was not stored.
        """
        assert self.settings.back_aet is not None
        assert self.settings.back_port is not None
        datasets = [dcmread(path) for path in results]
        entity = AE(self.settings.aet)
        for dataset in datasets:
            entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        place = (self.settings.back_host, self.settings.back_port)
        association = entity.associate(*place, ae_title=self.settings.back_aet)
        if not association.is_established:
            raise NotTakenError("no association")
        try:
            for dataset in datasets:
                status = association.send_c_store(dataset).get("Status", None)
                if status != SUCCESS:
                    raise NotTakenError("not stored")
        except ValueError:  # it accepts no such object
            raise NotTakenError("no presentation context") from None
        finally:
            association.release()

    def finished(self, name: str) -> None:
        """The images are needed no more."""
        with self._pairing:
            if not self.studies.open(name):
                shutil.rmtree(self.folder / name, ignore_errors=True)

    def _received(self, event: Event) -> int:
        """Answered when the image is on the disk and the study in the table: none is lost that was accepted."""
        content = event.encoded_dataset()
        try:
            with quiet_pydicom():
                header = dcmread(io.BytesIO(content), stop_before_pixels=True)
                study, image = text_of(header, "StudyInstanceUID"), text_of(header, "SOPInstanceUID")
        except Exception:  # on damaged bytes pydicom raises what it likes
            return NOT_UNDERSTOOD
        if not study or not image:
            return NOT_UNDERSTOOD
        folder = self.folder / _checksum(study)
        with self._pairing:
            try:
                folder.mkdir(mode=0o700, exist_ok=True)
                with whole(folder / f"{_checksum(image)}.dcm") as part:
                    part.write_bytes(content)
            except OSError:
                return NO_ROOM
            self.studies.came(NAME, {folder.name})
        return SUCCESS


def _checksum(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:32]
