"""Requests made up from the server's own document: nothing breaks it, and it answers as it says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")
import httpx

from tests.serving import NIFTI, files, server_settings, waiting_server

EXAMPLES = 15


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server that holds a case, which stays in the queue."""
    with waiting_server(
        server_settings(tmp_path_factory.mktemp("contract"), upload_mb=1, slice_seconds=300)
    ) as address:
        httpx.post(f"{address}/api/v1/cases", files=files(NIFTI))
        yield address


@pytest.mark.slow
def test_every_answer_is_one_that_the_document_states(address: str, tmp_path: Path) -> None:
    """No 5xx, no status, body or content type that the document does not know, wrong requests refused."""
    pytest.importorskip("schemathesis")
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/api/v1/openapi.json"]
    options = [f"--max-examples={EXAMPLES}", "--seed=0", "--phases=examples,coverage,fuzzing", "--no-color"]
    # No schema can say what a file must hold; and that nothing is ready without a worker is meant.
    # The first slice waits for its process to start.
    options += ["--request-timeout=300"]
    options += ["--exclude-checks=positive_data_acceptance", "--exclude-path=/ready"]
    done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "Tested: 20" in done.stdout, done.stdout


def test_the_document_says_what_the_range_is_and_what_it_is_not(address: str) -> None:
    scan = httpx.get(f"{address}/api/v1/openapi.json").json()["components"]["schemas"]["ScanOut"]["properties"]
    for end in ("cancer_least", "cancer_most"):
        assert "network and of its fold networks" in scan[end]["description"]
        assert "Not a confidence interval" in scan[end]["description"]


def test_every_route_of_the_interface_documents_its_refusals(address: str) -> None:
    paths = httpx.get(f"{address}/api/v1/openapi.json").json()["paths"]
    assert len([path for path in paths if path.startswith("/api/v1/")]) == 14
    for path, methods in paths.items():
        for operation in methods.values():
            assert operation["description"], path
            stated = set(operation["responses"])
            if path.startswith("/api/v1/"):
                assert {"400", "401", "403"} <= stated, path
            if "{case}" in path:
                assert {"404", "422"} <= stated, path
