"""The server as it is shipped, a real scan and a person at the page; what is saved, read by others."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright")
pytest.importorskip("highdicom")
from playwright import sync_api

from preprocessing.annotations import read_annotations
from tests.browsing import CHROMIUM, browsing, drawn, open_page
from tests.serving import Running, until
from tests.test_lungscreen_dicom_out_tools import SAID

DATA = Path("../shared/data")
SCAN = DATA / "lidc_scans/LIDC-IDRI-0001"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SCAN.is_dir(), reason="shared/data is not there"),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("server"), tiny=False)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def page(server: Running) -> Iterator[Any]:
    with browsing() as browser, open_page(browser, server.port) as page:
        yield page


def saved(page: Any, name: str, folder: Path) -> Path:
    """What a link of the viewer saves."""
    with page.expect_download() as download:
        page.get_by_role("link", name=name).click()
    download.value.save_as(folder / "saved.dcm")
    return folder / "saved.dcm"


def test_upload_wait_scroll_click_and_save(page: Any, server: Running, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as packed:
        for path in sorted(SCAN.rglob("*.dcm")):
            packed.write(path, path.name)
    page.goto("/")
    page.set_input_files("#files", str(tmp_path / "scan.zip"))
    page.locator("#rows .state.done").wait_for()
    page.get_by_role("link", name="Open", exact=True).click()
    page.wait_for_selector('body[data-loaded="1.000"]')
    case = page.url.partition("case=")[2]
    (scan,) = server.client.get(f"/api/v1/cases/{case}/result").json()["scans"]
    # LUNA16's nodule of this scan is the first in the table, and a click leads to it.
    (truth,) = [n for n in read_annotations(DATA / "luna16/annotations.csv") if n.series_uid == scan["series_uid"]]
    first = scan["nodules"][0]
    assert np.linalg.norm(np.subtract(first["center_mm"], truth.center_mm)) < truth.diameter_mm / 2
    axial = page.locator("canvas[data-plane=axial]")
    page.get_by_role("button", name="Go to nodule 1", exact=True).click()
    at = round(first["voxel_zyx"][0])
    sync_api.expect(axial).to_have_attribute("aria-label", re.compile(f"slice {at + 1} "))
    page.screenshot(path=os.environ.get("LUNGSCREEN_SCREENSHOT", tmp_path / "viewer.png"))
    there = drawn(axial)
    axial.hover()
    page.mouse.wheel(0, -100)
    sync_api.expect(axial).to_have_attribute("aria-label", re.compile(f"slice {at + 2} "))
    until(lambda: drawn(axial) != there)
    for name in ("DICOM segmentation (SEG)", "DICOM structured report (SR)"):
        # What it says of the scan's own headers, which are a study's, it may say of ours.
        assert complaints_of_dciodvfy(saved(page, name, tmp_path)) <= complaints_of_dciodvfy(next(SCAN.rglob("*.dcm")))
    places = centers_by_dcmtk(tmp_path / "saved.dcm")
    np.testing.assert_allclose(places, [nodule["center_mm"] for nodule in scan["nodules"]], atol=0.01)


def complaints_of_dciodvfy(path: Path) -> set[str]:
    validator = shutil.which("dciodvfy")
    if validator is None:
        pytest.skip("needs Debian's dicom3tools")
    done = subprocess.run([validator, "-new", str(path)], capture_output=True, text=True, check=False)
    return {line for line in (done.stdout + done.stderr).splitlines() if not SAID.fullmatch(line)}


def centers_by_dcmtk(report: Path) -> np.ndarray:
    """(N, 3) of the nodules of a report, world LPS mm, as dcmtk reads them."""
    reader = shutil.which("dsrdump")
    if reader is None:
        pytest.skip("needs Debian's dcmtk")
    done = subprocess.run([reader, "+Pl", str(report)], capture_output=True, text=True, check=True)
    points = re.findall(r'"Center"\)=\(POINT,,([-\d.]+)/([-\d.]+)/([-\d.]+)\)', done.stdout)
    return np.array(points, float)
