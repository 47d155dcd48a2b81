"""Uploads that are slow, break off or come at once, over real sockets."""

from __future__ import annotations

import socket
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")
import httpx

from lungscreen.server.jobs.worker import analyse_case, load_pipeline
from tests.serving import NIFTI, files, server_settings, until, waiting_server
from tests.test_server_worker import options

HEAD = b"POST /api/v1/cases HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
PART = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n' + NIFTI


def begun(address: str) -> socket.socket:
    """An upload of which a part has come, and no more for now."""
    place = urlsplit(address)
    line = socket.create_connection((place.hostname, place.port), timeout=60)
    line.sendall(HEAD + b"Content-Length: 100000\r\n\r\n" + PART)
    return line


def answer_of(line: socket.socket) -> str:
    received = b""
    while b"}" not in received:
        part = line.recv(4096)
        if not part:
            break
        received += part
    return received.decode()


@pytest.mark.parametrize("limits", [{"upload_idle_seconds": 0.3}, {"upload_minutes": 0.005}])
def test_an_upload_that_stands_still_is_given_up(tmp_path: Path, limits: dict[str, float]) -> None:
    with waiting_server(server_settings(tmp_path, **limits)) as address, closing(begun(address)) as line:
        said = answer_of(line)
        assert said.startswith("HTTP/1.1 408 ")
        assert "too_slow" in said
        until(lambda: list((tmp_path / "server/incoming").iterdir()) == [])
        assert httpx.get(f"{address}/api/v1/cases").json()["total"] == 0


def test_too_many_at_once_are_told_to_come_again_and_those_that_break_off_make_room(tmp_path: Path) -> None:
    with waiting_server(server_settings(tmp_path, uploads_at_once=1)) as address:
        line = begun(address)
        until(lambda: list((tmp_path / "server/incoming").iterdir()) != [])
        refused = httpx.post(f"{address}/api/v1/cases", files=files(NIFTI))
        assert (refused.status_code, refused.json()["reason"]) == (429, "busy")
        assert refused.headers["retry-after"] == "5"
        assert httpx.get(f"{address}/health").status_code == 200
        line.close()
        until(lambda: list((tmp_path / "server/incoming").iterdir()) == [])
        assert httpx.post(f"{address}/api/v1/cases", files=files(NIFTI)).status_code == 202
        assert 'lungscreen_uploads_total{outcome="broken_off"} 1' in httpx.get(f"{address}/metrics").text


def test_of_fifty_uploads_at_once_each_is_taken_or_told_to_come_again(tmp_path: Path) -> None:
    limits = server_settings(tmp_path, uploads_at_once=4, queue=20)
    contents = [NIFTI + bytes([k]) * 50_000 for k in range(50)]
    with waiting_server(limits) as address:

        def upload(content: bytes) -> tuple[int, str]:
            answer = httpx.post(f"{address}/api/v1/cases", files=files(content), timeout=60)
            return answer.status_code, answer.json().get("id", "")

        with ThreadPoolExecutor(50) as senders:
            answers = list(senders.map(upload, contents))
        taken = {name for status, name in answers if status == 202}
        assert {status for status, _ in answers} <= {202, 429}
        # Those that were on their way when the queue became full are not turned back.
        assert 1 <= len(taken) <= 20 + 4 - 1
        listed = httpx.get(f"{address}/api/v1/cases", params={"limit": 200}).json()["items"]
        assert {item["id"] for item in listed} == taken
        assert sorted(item["place"] for item in listed) == list(range(1, len(taken) + 1))


@pytest.mark.slow
def test_a_zip_that_unpacks_to_a_thousand_times_its_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "case/input").mkdir(parents=True)
    bomb = tmp_path / "case/input/1.zip"
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed,
        packed.open("a.dcm", "w", force_zip64=True) as member,
    ):
        for _ in range(400):
            member.write(bytes(1024**2))
    answer = analyse_case(tmp_path / "case", load_pipeline(options(tmp_path)), 1, lambda said: None)
    assert (answer["state"], answer["reason"]) == ("refused", "unreadable")
    assert "unpacks to far more than its size" in answer["detail"]
