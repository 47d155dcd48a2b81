"""A single slice: answered, refused, and never kept."""

from __future__ import annotations

import base64
import io
import json
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")
from PIL import Image
from pydicom import dcmread
from starlette.testclient import TestClient

from classification.slices.predict import SHIPPED, answer, load_slice_network
from lungscreen.server.desk import Desk
from lungscreen.server.web.app import create_app
from phantom.chest import ChestSettings
from phantom.make import make_cohort
from tests.serving import files, server_settings

SLICES = "/api/v1/slices"


@pytest.fixture(scope="module")
def dicom_slice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chest = ChestSettings(matrix=96, targets_per_lung=20, thickness_mm=10.0)
    cohort = make_cohort(tmp_path_factory.mktemp("phantom"), 1, 3, chest, workers=1)
    slices = sorted((cohort / "dicom").rglob("*.dcm"))
    return slices[len(slices) // 2]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    desk = Desk(server_settings(tmp_path_factory.mktemp("slices"), slice_mb=1, slice_megapixels=1), workers=0)
    with TestClient(create_app(desk), base_url="http://localhost") as client:
        yield client
        assert list((desk.settings.folder / "incoming").iterdir()) == []


def picture(kind: str, size: tuple[int, int] = (96, 80), mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, 40 if mode == "L" else None).save(buffer, kind)
    return buffer.getvalue()


def test_the_figures_are_the_card_s(client: TestClient) -> None:
    said = client.get(SLICES).json()
    card = json.loads((SHIPPED / "slices-v1.json").read_text())
    for name, field in (("network", "accuracy"), ("nearest_neighbour", "nearest_neighbour")):
        figures = dict(zip(("value", "low", "high"), card["figures"]["grouped"][name]["accuracy"], strict=True))
        assert said[field] == figures
    assert (said["n_slices"], said["n_groups"], said["weights"]) == (822, 88, "slices-v1")
    assert "Research use only" in said["worth"]


@pytest.mark.parametrize(
    ("contents", "status", "reason"),
    [
        ([b"GIF89a and so on"], 415, "not_dicom"),
        ([b"PK\x03\x04 a zip"], 415, "not_dicom"),
        ([b""], 422, "empty_upload"),
        ([picture("png"), picture("jpeg")], 413, "too_many_files"),
        ([picture("png") + bytes(1024**2)], 413, "too_large"),
    ],
)
def test_what_is_no_slice_is_refused_before_anything_reads_it(
    client: TestClient, contents: list[bytes], status: int, reason: str
) -> None:
    refused = client.post(SLICES, files=files(*contents))
    assert (refused.status_code, refused.json()["reason"]) == (status, reason)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "jpeg", "dicom"])
def test_the_answer_is_the_classifier_s(client: TestClient, dicom_slice: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / {"png": "slice.png", "jpeg": "slice.jpg", "dicom": "slice.dcm"}[kind]
    if kind == "dicom":
        shutil.copy(dicom_slice, path)
    else:
        hu = dcmread(dicom_slice)
        grey = np.clip((hu.pixel_array * hu.RescaleSlope + hu.RescaleIntercept + 1350) / 1500, 0, 1)
        Image.fromarray((255 * grey).astype(np.uint8)).save(path)
    given = client.post(SLICES, files=files(path.read_bytes()))
    assert given.status_code == 200, given.text
    said: dict[str, Any] = given.json()
    assert said["probabilities"] == pytest.approx(answer(load_slice_network(), path), abs=1e-5)
    assert sum(said["probabilities"].values()) == pytest.approx(1)
    assert said["predicted"] == max(said["probabilities"], key=said["probabilities"].__getitem__)
    view, heat = (Image.open(io.BytesIO(base64.b64decode(said[name]))) for name in ("view", "heat"))
    assert view.size == heat.size == (160, 128)
    assert said["model"] == client.get(SLICES).json()


@pytest.mark.slow
def test_slices_that_cannot_be_read_are_refused_and_the_next_one_is_answered(
    client: TestClient, dicom_slice: Path, tmp_path: Path
) -> None:
    many = dcmread(dicom_slice)
    many.NumberOfFrames = 10**6
    many.save_as(tmp_path / "many.dcm")
    cases = {
        "pixels, at most": [picture("png", (2000, 1000)), (tmp_path / "many.dcm").read_bytes()],
        "at least 64 x 64": [picture("png", (80, 20))],
        "cannot be read": [picture("png")[:60], b"\xff\xd8\xff and no more", bytes(128) + b"DICM and no more"],
    }
    for words, contents in cases.items():
        for content in contents:
            refused = client.post(SLICES, files=files(content))
            assert (refused.status_code, refused.json()["reason"]) == (422, "no_slice")
            assert words in refused.json()["detail"]
            assert "Doe" not in refused.text
    assert client.post(SLICES, files=files(picture("png"))).status_code == 200


@pytest.mark.slow
def test_a_process_that_is_gone_or_too_slow_is_started_anew(tmp_path: Path) -> None:
    desk = Desk(server_settings(tmp_path, slice_seconds=300), workers=0)
    with TestClient(create_app(desk), base_url="http://localhost") as client:
        assert client.post(SLICES, files=files(picture("png"))).status_code == 200
        process = desk.slices._process
        assert process is not None
        patient = desk.slices.settings
        process.send_signal(signal.SIGSTOP)
        desk.slices.settings = replace(patient, slice_seconds=0.1)
        late = client.post(SLICES, files=files(picture("png")))
        assert (late.status_code, late.json()["reason"]) == (503, "no_answer")
        assert process.poll() is not None
        desk.slices.settings = patient
        assert client.post(SLICES, files=files(picture("png"))).status_code == 200
