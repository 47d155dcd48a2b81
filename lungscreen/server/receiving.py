"""An upload, streamed to disk as it comes, within limits; nothing of it is held in memory."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from lungscreen.server.problems import ProblemError
from lungscreen.server.settings import ServerSettings
from lungscreen.server.sniffing import SCANS, Kinds

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MB = 1024**2
NAME_LENGTH = 16
# Of all fields that are no files together.
MOST_TEXT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    """An upload that is whole.

    Attributes:
        name: 32 hex digits of the checksum of all contents, in no order.
        files: how many there were.
        bytes: their sizes, added up.
        fields: text of the parts that are no files, by their names.
    """

    name: str
    files: int
    bytes: int
    fields: Mapping[str, str]


async def receive(
    stream: AsyncIterator[bytes], content_type: str, folder: Path, settings: ServerSettings, kinds: Kinds = SCANS
) -> Received:
    """Write every file of a multipart body into `folder`, called by its checksum and kind.

    Args:
        stream: the body.
        content_type: of the body.
        folder: there already.
        settings: the limits.
        kinds: of which at least one file must be.

    Raises:
        ProblemError: 400 no multipart or cut, 408 nothing came for too long, 413 too much, 415 nothing of these
            kinds in it, 422 no files or a field twice, 507 no room.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise ProblemError(415, "not_multipart", "a body of the type multipart/form-data with a boundary is expected")
    upload = _Upload(folder, settings, kinds)
    try:
        parser = MultipartParser(boundary, upload.callbacks())
        async for chunk in _in_time(stream, settings.upload_idle_seconds, 60 * settings.upload_minutes):
            await run_in_threadpool(upload.take, parser, chunk)
        return await run_in_threadpool(upload.finish, parser)
    except ClientDisconnect:
        raise ProblemError(400, "broken_off", "the upload broke off") from None
    except FormParserError:  # a boundary that is too long, too
        raise ProblemError(400, "bad_multipart", "the body is no whole multipart/form-data") from None
    except OSError as error:
        raise ProblemError(507, "no_room", f"the upload cannot be kept: {error.strerror}") from None
    finally:
        upload.close()


async def _in_time(stream: AsyncIterator[bytes], idle: float, most: float) -> AsyncIterator[bytes]:
    """The chunks, none of them later than `idle` seconds after the last one or `most` seconds after the first."""
    end = time.monotonic() + most
    while True:
        try:
            yield await asyncio.wait_for(anext(stream), min(idle, end - time.monotonic()))
        except StopAsyncIteration:
            return
        except TimeoutError:
            detail = f"nothing came for {idle:g} s, or not all in {most / 60:g} minutes"
            raise ProblemError(408, "too_slow", detail, {"Connection": "close"}) from None


class _Upload:
    """The state of one multipart body."""

    def __init__(self, folder: Path, settings: ServerSettings, kinds: Kinds) -> None:
        self.folder, self.settings, self.kinds = folder, settings, kinds
        self.size, self.text, self.digests = 0, 0, list[str]()
        self.known = False
        self.fields, self.field = dict[str, bytes](), ""
        self.header, self.value, self.is_file = b"", b"", False
        self.handle: BinaryIO | None = None
        self.digest = hashlib.sha256()
        self.ended = False

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._field,
            "on_header_value": self._value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._all,
        }

    def take(self, parser: MultipartParser, chunk: bytes) -> None:
        if shutil.disk_usage(self.folder).free < self.settings.free_mb * MB + len(chunk):
            raise ProblemError(507, "no_room", "the disk of the server is full")
        parser.write(chunk)

    def finish(self, parser: MultipartParser) -> Received:
        parser.finalize()
        if not self.ended:
            raise ProblemError(400, "bad_multipart", "the body breaks off")
        if not self.digests:
            raise ProblemError(422, "empty_upload", "the upload holds no files, or only empty ones")
        if not self.known:
            raise ProblemError(415, "not_dicom", f"none of the files is a {self.kinds.words}")
        name = hashlib.sha256("\n".join(sorted(self.digests)).encode()).hexdigest()[:32]
        fields = {key: text.decode(errors="replace") for key, text in self.fields.items()}
        return Received(name, len(self.digests), self.size, fields)

    def close(self) -> None:
        if self.handle is not None:
            self.handle.close()

    def _begin(self) -> None:
        self.header, self.value, self.is_file = b"", b"", False

    def _field(self, data: bytes, start: int, end: int) -> None:
        self.header += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]

    def _header_end(self) -> None:
        if self.header.lower() == b"content-disposition":
            told = parse_options_header(self.value)[1]
            self.is_file, self.field = b"filename" in told, told.get(b"name", b"").decode(errors="replace")
        self.header, self.value = b"", b""

    def _headers_finished(self) -> None:
        if not self.is_file:
            self._count(len(self.field))
            if self.field in self.fields:
                raise ProblemError(422, "bad_option", "a field that is no file may come once only")
            self.fields[self.field] = b""
            return
        if len(self.digests) >= self.settings.upload_files:
            raise ProblemError(413, "too_many_files", f"at most {self.settings.upload_files} files in one upload")
        self.handle = (self.folder / "part").open("wb")
        self.digest = hashlib.sha256()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self.handle is None:
            self._count(end - start)
            self.fields[self.field] += data[start:end]
            return
        self.size += end - start
        if self.size > self.settings.upload_mb * MB:
            raise ProblemError(413, "too_large", f"at most {self.settings.upload_mb} MB in one upload")
        part = memoryview(data)[start:end]
        self.digest.update(part)
        self.handle.write(part)

    def _count(self, more: int) -> None:
        self.text += more
        if self.text > MOST_TEXT:
            raise ProblemError(413, "too_large", f"fields that are no files hold at most {MOST_TEXT // 1024} kB")

    def _end(self) -> None:
        if self.handle is None:
            return
        size = self.handle.tell()
        self.handle.close()
        self.handle = None
        path = self.folder / "part"
        if not size:
            path.unlink()
            return
        digest, ending = self.digest.hexdigest(), self.kinds.ending_of(path)
        self.known |= ending is not None
        # What is no kind of ours has no ending, which the intake looks into and passes over.
        path.replace(self.folder / f"{digest[:NAME_LENGTH]}{ending or ''}")
        self.digests.append(digest)

    def _all(self) -> None:
        self.ended = True
