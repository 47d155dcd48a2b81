"""Who is let in, and what every answer carries."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")
from starlette.testclient import TestClient

from lungscreen.server.access import Access
from lungscreen.server.desk import Desk
from lungscreen.server.web.app import PAGES, create_app
from runs.entry import UsageError
from tests.serving import NIFTI, files, server_settings

CASES = "/api/v1/cases"
GOOD, OTHER = "a-token-of-some-length", "another-token-of-some-length"


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"{GOOD}\n\n{OTHER}\n")
    return path


@pytest.fixture
def client(tmp_path: Path, tokens: Path) -> Iterator[TestClient]:
    desk = Desk(server_settings(tmp_path, token_file=tokens), workers=0)
    with TestClient(create_app(desk), base_url="http://localhost", follow_redirects=False) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_without_a_token_nothing_but_health_and_the_login(client: TestClient) -> None:
    for path in (CASES, f"{CASES}/{'0' * 32}", "/metrics", "/api/v1/openapi.json", "/viewer"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["reason"]) == (401, "no_token"), path
    assert client.post(CASES, files=files(NIFTI), headers=bearer("wrong")).status_code == 401
    browser = client.get("/", headers={"accept": "text/html"})
    assert (browser.status_code, browser.headers["location"]) == (303, "/login")
    assert client.get("/login").status_code == client.get("/health").status_code == 200
    assert client.get(CASES, headers=bearer(GOOD)).status_code == 200


def test_a_session_ends_with_its_token(client: TestClient, tokens: Path) -> None:
    assert client.post("/api/v1/session", json={"token": "wrong"}).json()["reason"] == "wrong_token"
    logged_in = client.post("/api/v1/session", json={"token": GOOD})
    assert logged_in.status_code == 204
    cookie = logged_in.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert GOOD not in cookie
    assert client.get(CASES).status_code == 200
    tokens.write_text(OTHER)  # the first one was stolen
    assert client.get(CASES).status_code == 401
    assert client.get(CASES, headers=bearer(GOOD)).status_code == 401
    assert client.get(CASES, headers=bearer(OTHER)).status_code == 200
    tokens.unlink()
    assert client.get(CASES, headers=bearer(OTHER)).status_code == 401


@pytest.mark.parametrize("content", ["", "\n\n", "short\n"])
def test_a_token_file_without_a_good_token_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokens").write_text(content)
    with pytest.raises(UsageError, match="a token a line"):
        Access(tmp_path / "tokens")


def test_other_machines_are_let_in_with_tokens_only(tmp_path: Path, tokens: Path) -> None:
    for host in ("0.0.0.0", "192.168.1.2", "::", "ct.example"):
        with pytest.raises(UsageError, match="token_file="):
            server_settings(tmp_path, host=host)
        assert not server_settings(tmp_path, host=host, token_file=tokens).is_local
    for host in ("127.0.0.1", "::1", "localhost"):
        assert server_settings(tmp_path, host=host).is_local


def test_settings_that_cannot_work_are_refused_by_name(tmp_path: Path) -> None:
    for name, value in {"workers": 0, "queue": 0, "upload_mb": 0, "retention_days": 0, "port": -1}.items():
        with pytest.raises(UsageError, match=f"{name}="):
            server_settings(tmp_path, **{name: value})


def test_pages_of_others_neither_write_nor_read(client: TestClient) -> None:
    foreign = {**bearer(GOOD), "Origin": "http://evil.example"}
    assert client.post(CASES, files=files(NIFTI), headers=foreign).json()["reason"] == "wrong_origin"
    assert client.post(CASES, files=files(NIFTI), headers={**foreign, "Origin": "null"}).status_code == 403
    own = {**bearer(GOOD), "Origin": "http://localhost"}
    assert client.post(CASES, files=files(NIFTI), headers=own).status_code == 202


def test_without_tokens_the_server_goes_by_its_names_only(tmp_path: Path) -> None:
    """Else a page elsewhere whose name is made to point here (DNS rebinding) could read everything."""
    desk = Desk(server_settings(tmp_path, names=("ct.example",)), workers=0)
    with TestClient(create_app(desk), base_url="http://localhost") as client:
        for name in ("localhost", "127.0.0.1", "127.0.0.1:8000", "[::1]:8000", "ct.example"):
            assert client.get(CASES, headers={"Host": name}).status_code == 200, name
        for name in ("evil.example", "localhost.evil.example", ""):
            rebound = client.get(CASES, headers={"Host": name})
            assert (rebound.status_code, rebound.json()["reason"]) == (400, "wrong_host"), name


def test_every_answer_forbids_scripts_that_are_not_ours(client: TestClient) -> None:
    for path in (*PAGES, "/health", "/api/v1/cases", "/nowhere", "/static/nothing.js"):
        headers = client.get(path, headers=bearer(GOOD)).headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["connect-src"] == policy["style-src"] == policy["img-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_every_page_says_what_it_is_for(client: TestClient) -> None:
    for path in PAGES:
        assert "Research use only" in client.get(path, headers=bearer(GOOD)).text, path


def test_the_web_process_needs_no_network_of_neurons() -> None:
    """It stays small and quick to start: torch is for the workers."""
    said = "import sys, lungscreen.server.__main__; print([m for m in ('torch', 'pandas') if m in sys.modules])"
    command = [sys.executable, "-c", said]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == "[]"
