"""Uploads, the queue and the refusals, without a worker: what waits keeps waiting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")
from starlette.testclient import TestClient

from lungscreen.server.desk import Desk
from lungscreen.server.jobs.cases import State
from lungscreen.server.web.app import create_app
from tests.serving import NIFTI, files, server_settings, zipped

CASES = "/api/v1/cases"


@contextmanager
def served(tmp_path: Path, **changes: Any) -> Iterator[tuple[TestClient, Desk]]:
    desk = Desk(server_settings(tmp_path, **changes), workers=0)
    with TestClient(create_app(desk), base_url="http://localhost") as client:
        yield client, desk


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with served(tmp_path) as (client, _):
        yield client


def test_uploads_wait_in_the_order_in_which_they_came(client: TestClient) -> None:
    first = client.post(CASES, files=files(NIFTI))
    assert first.status_code == 202
    assert first.headers["location"] == f"{CASES}/{first.json()['id']}"
    second = client.post(CASES, files=files(NIFTI + b"2"))
    assert (first.json()["place"], second.json()["place"]) == (1, 2)
    assert client.delete(f"{CASES}/{first.json()['id']}").status_code == 204
    assert client.get(f"{CASES}/{second.json()['id']}").json()["place"] == 1
    assert client.get(f"{CASES}/{first.json()['id']}").json()["reason"] == "no_such_case"


def test_the_same_content_is_the_same_case_whatever_it_is_called_and_in_any_order(client: TestClient) -> None:
    one = client.post(CASES, files=files(NIFTI + b"a", NIFTI + b"b"))
    two = client.post(CASES, files=files(NIFTI + b"b", NIFTI + b"a"))
    assert (one.status_code, two.status_code) == (202, 200)
    assert one.json()["id"] == two.json()["id"]
    other = client.post(CASES, files=files(NIFTI + b"a"))
    assert other.json()["id"] != one.json()["id"]
    assert client.get(CASES).json()["total"] == 2


def test_a_cancelled_case_begins_anew_when_it_comes_again(client: TestClient) -> None:
    case = client.post(CASES, files=files(NIFTI)).json()["id"]
    assert client.post(f"{CASES}/{case}/cancel").json()["state"] == "cancelled"
    again = client.post(f"{CASES}/{case}/cancel")
    assert (again.status_code, again.json()["reason"]) == (409, "over")
    assert client.get(f"{CASES}/{case}/result").json() == {"reason": "cancelled", "detail": "the case was cancelled"}
    back = client.post(CASES, files=files(NIFTI))
    assert (back.status_code, back.json()["id"], back.json()["state"]) == (202, case, "queued")


def test_the_list_comes_in_pages_the_newest_first(client: TestClient) -> None:
    ids = [client.post(CASES, files=files(NIFTI + bytes([k]))).json()["id"] for k in range(5)]
    client.post(f"{CASES}/{ids[0]}/cancel")
    page = client.get(CASES, params={"limit": 2, "offset": 1}).json()
    assert page["total"] == 5
    assert [item["id"] for item in page["items"]] == [ids[3], ids[2]]
    waiting = client.get(CASES, params={"state": "cancelled"}).json()
    assert [item["id"] for item in waiting["items"]] == [ids[0]]
    assert client.get(CASES, params={"limit": 0}).json()["reason"] == "bad_request"


def test_no_name_of_the_user_s_is_kept(client: TestClient, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    case = client.post(CASES, files=files(NIFTI, zipped(**{"Doe^Jane.txt": b"x"}), b"neither")).json()
    names = [path.name for path in (tmp_path / "server").rglob("*")]
    assert not [name for name in names if "Doe" in name]
    assert "Doe" not in caplog.text
    assert case["files"] == 3
    endings = sorted("".join(path.suffixes) for path in (tmp_path / "server/cases" / case["id"] / "input").iterdir())
    assert endings == ["", ".nii", ".zip"]


@pytest.mark.parametrize(
    ("changes", "contents", "status", "reason"),
    [
        ({}, [b"plain words"], 415, "not_dicom"),
        ({}, [b""], 422, "empty_upload"),
        ({}, [], 415, "not_multipart"),
        ({"upload_files": 1}, [NIFTI, NIFTI + b"2"], 413, "too_many_files"),
        ({"upload_mb": 1}, [NIFTI + bytes(1024**2)], 413, "too_large"),
        ({"upload_mb": 1}, [NIFTI + bytes(3 * 1024**2)], 413, "too_large"),
        ({"free_mb": 10**8}, [NIFTI], 507, "no_room"),
    ],
)
def test_what_is_refused_leaves_nothing(
    tmp_path: Path, changes: dict[str, Any], contents: list[bytes], status: int, reason: str
) -> None:
    with served(tmp_path, **changes) as (client, desk):
        answer = client.post(CASES, files=files(*contents))
        assert (answer.status_code, answer.json()["reason"]) == (status, reason)
        assert list((tmp_path / "server/incoming").iterdir()) == []
        assert desk.cases.ids() == set()
        assert f'lungscreen_uploads_total{{outcome="{reason}"}} 1' in client.get("/metrics").text


def test_bodies_that_are_no_multipart(client: TestClient) -> None:
    assert client.post(CASES, content=b"{}", headers={"content-type": "application/json"}).status_code == 415
    cut = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n' + NIFTI
    kind = {"content-type": "multipart/form-data; boundary=x"}
    for body in (cut, b"nonsense", b""):
        answer = client.post(CASES, content=body, headers=kind)
        assert (answer.status_code, answer.json()["reason"]) == (400, "bad_multipart"), body[:10]
    long = {"content-type": f"multipart/form-data; boundary={'x' * 300}"}
    assert client.post(CASES, content=cut, headers=long).json()["reason"] == "bad_multipart"
    text = b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\n' + bytes(70000) + b"\r\n--x--\r\n"
    assert client.post(CASES, content=text, headers=kind).json()["reason"] == "too_large"


def test_a_field_that_comes_twice_says_nothing(client: TestClient) -> None:
    answer = client.post(CASES, files=files(NIFTI), data={"age": ["50", "60"]})
    assert (answer.status_code, answer.json()["reason"]) == (422, "bad_option")


def test_a_full_queue_says_come_again(tmp_path: Path) -> None:
    with served(tmp_path, queue=1) as (client, _):
        assert client.post(CASES, files=files(NIFTI)).status_code == 202
        answer = client.post(CASES, files=files(NIFTI + b"2"))
        assert (answer.status_code, answer.json()["reason"]) == (429, "queue_full")
        assert int(answer.headers["retry-after"]) > 0


def test_no_path_leads_out(client: TestClient) -> None:
    case = "0" * 32
    for path in (
        "../../../../etc/passwd",
        f"{case}/files/../../cases.sqlite",
        f"{case}/files/%2e%2e%2f%2e%2e%2fcases.sqlite",
        f"{case}/volumes/..%2f..%2f/0",
        f"{'0' * 31}g",
    ):
        assert client.get(f"{CASES}/{path}").status_code in (404, 422), path


def test_finished_cases_leave_after_their_time(tmp_path: Path) -> None:
    with served(tmp_path, retention_days=1e-9) as (client, desk):
        over, waits = (client.post(CASES, files=files(NIFTI + c)).json()["id"] for c in (b"1", b"2"))
        client.post(f"{CASES}/{over}/cancel")
        desk.tidy()
        assert desk.cases.ids() == {waits}
        assert [path.name for path in (tmp_path / "server/cases").iterdir()] == [waits]


def test_a_restart_keeps_what_waits_and_clears_what_was_half_done(tmp_path: Path) -> None:
    with served(tmp_path) as (client, desk):
        waits, ran = (client.post(CASES, files=files(NIFTI + c)).json()["id"] for c in (b"1", b"2"))
        desk.cases.cancel(waits)
        claimed = desk.cases.claim()
        assert claimed is not None
        assert (claimed.id, claimed.state, claimed.attempts) == (ran, State.RUNNING, 1)
    orphan = tmp_path / "server/cases" / ("a" * 32)
    orphan.mkdir()
    half = tmp_path / "server/incoming/half"
    half.mkdir()
    with served(tmp_path) as (client, desk):
        back = desk.case(ran)
        assert (back.state, back.attempts) == (State.QUEUED, 0)
        assert not orphan.exists()
        assert not half.exists()
