"""A person at the page: upload, wait, look, in Debian's Chromium."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright")
from playwright import sync_api

from classification.slices.shipped import shipped_worth
from phantom.chest import ChestSettings
from phantom.make import make_cohort
from tests.browsing import CHROMIUM, LONG, axe_core, browsing, complaints, drawn, open_page, settled, slices
from tests.serving import Running

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")]
HTML = "<img src=x onerror=document.title='owned'>"


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of a phantom whose PatientID would like to be HTML."""
    folder = tmp_path_factory.mktemp("phantom")
    chest = ChestSettings(matrix=96, targets_per_lung=60, thickness_mm=5.0, mean_nodules=4.0)
    slices = sorted((make_cohort(folder / "cohort", 1, 3, chest, workers=1) / "dicom").rglob("*.dcm"))
    assert slices
    with zipfile.ZipFile(folder / "phantom.zip", "w") as packed:
        for number, path in enumerate(slices):
            dataset = pydicom.dcmread(path)
            dataset.PatientID = HTML
            dataset.save_as(folder / "slice.dcm")
            packed.write(folder / "slice.dcm", f"Doe^Jane/{number}.dcm")
    return folder / "phantom.zip"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("server"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as chromium:
        yield chromium


@pytest.fixture
def page(browser: Any, server: Running) -> Iterator[Any]:
    """A window of 1280 px in which nothing goes wrong and nobody else is called."""
    with open_page(browser, server.port) as page:
        yield page


def open_viewer(page: Any, phantom: Path) -> None:
    page.goto("/")
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Sex").select_option("female")
    page.set_input_files("#files", str(phantom))
    page.locator("#rows .state.done").wait_for()
    page.get_by_role("link", name="Open", exact=True).click()
    page.wait_for_selector('body[data-loaded="1.000"]')


def test_upload_wait_look_and_click_a_nodule(page: Any, phantom: Path, server: Running) -> None:
    open_viewer(page, phantom)
    assert page.locator("#patient").inner_text() == HTML
    assert page.title() == "Viewer - lungscreen"
    case = server.folder / "server/cases" / page.url.partition("case=")[2]
    assert '"sex": "female"' in (case / "options.json").read_text()
    assert "Doe" not in page.url + server.log.read_text()
    result = server.client.get(f"/api/v1/cases/{page.url.partition('case=')[2]}/result").json()["scans"][0]
    sync_api.expect(page.locator("#range")).to_contain_text("Not a confidence interval")
    axial = page.locator("canvas[data-plane=axial]")
    for nodule in result["nodules"][:2]:
        page.get_by_role("button", name=f"Go to nodule {nodule['rank']}").click()
        z = round(nodule["voxel_zyx"][0])
        sync_api.expect(axial).to_have_attribute("aria-label", f"Axial plane, slice {z + 1} of {slices(axial)}")
        assert page.locator("tr.chosen").get_attribute("data-rank") == str(nodule["rank"])
    with page.expect_download() as saved:
        page.get_by_role("link", name="DICOM segmentation (SEG)").click()
    outlines = pydicom.dcmread(saved.value.path())
    assert (outlines.Modality, outlines.PatientID) == ("SEG", HTML)
    assert len(outlines.SegmentSequence) == len(result["nodules"])
    axial.focus()
    step = 1 if z + 2 <= slices(axial) else -1
    page.keyboard.press("ArrowUp" if step > 0 else "ArrowDown")
    sync_api.expect(axial).to_have_attribute("aria-label", f"Axial plane, slice {z + 1 + step} of {slices(axial)}")
    before = axial.screenshot()
    page.keyboard.press("2")
    sync_api.expect(page.get_by_role("radio", name="Soft tissue")).to_have_attribute("aria-checked", "true")
    settled(page)
    assert axial.screenshot() != before


def test_the_heat_maps_come_when_they_are_wanted_and_say_what_they_are(
    page: Any, phantom: Path, server: Running
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/heat/" in request.url else None)
    open_viewer(page, phantom)
    axial, button = page.locator("canvas[data-plane=axial]"), page.get_by_role("button", name="Heat map")
    axial.focus()
    page.keyboard.press("b")
    page.keyboard.press("x")
    settled(page)
    plain = drawn(axial)
    assert asked == []
    page.keyboard.press("h")
    sync_api.expect(button).to_have_attribute("aria-pressed", "true")
    sync_api.expect(page.locator("#heat-legend")).to_contain_text("not where a cancer is. Of nodule 1.")
    settled(page)
    hot = drawn(axial)
    assert hot != plain
    assert len(asked) == 2  # the list, and the one map that key_images=1 asks for
    button.click()
    sync_api.expect(page.locator("#heat-legend")).to_be_hidden()
    settled(page)
    assert drawn(axial) == plain
    page.keyboard.press("h")
    settled(page)
    assert (drawn(axial), len(asked)) == (hot, 2)


def test_what_is_read_and_measured_is_where_the_scan_has_it(page: Any, phantom: Path, server: Running) -> None:
    """The readout under the pointer against the grid of the interface, and a ruler of a known length."""
    open_viewer(page, phantom)
    case = page.url.partition("case=")[2]
    scan = server.client.get(f"/api/v1/cases/{case}/result").json()["scans"][0]
    grid = server.client.get(f"/api/v1/cases/{case}/volumes/{scan['page']}").json()
    box = page.locator("canvas[data-plane=axial]").bounding_box()
    _, height, width = grid["shape_zyx"]
    sx, sy, _ = grid["spacing_mm"]
    scale = min(box["width"] / (width * sx), box["height"] / (height * sy))
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    x, y = (float(word) for word in page.locator("#readout").inner_text().partition(" at ")[2].split(", ")[:2])
    origin, d = grid["origin_mm"], grid["direction"]
    center = [(width - 1) / 2 * sx, (height - 1) / 2 * sy]
    # Whole pixels of the canvas, and tenths of a millimetre.
    assert x == pytest.approx(origin[0] + d[0] * center[0], abs=1.5 / scale)
    assert y == pytest.approx(origin[1] + d[4] * center[1], abs=1.5 / scale)
    page.keyboard.press("m")
    page.mouse.down()
    page.mouse.move(middle[0] + 30 * scale, middle[1] + 40 * scale, steps=3)
    page.mouse.up()
    rulers = page.locator("#rulers li")
    assert float(rulers.first.inner_text().split(" mm")[0].split()[-1]) == pytest.approx(50, abs=1.5)
    page.keyboard.press("Escape")
    assert rulers.count() == 0


def test_axe_finds_nothing_to_complain_of(
    browser: Any, server: Running, phantom: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    axe = axe_core(tmp_path_factory.mktemp("axe"))
    context = browser.new_context(bypass_csp=True, base_url=f"http://127.0.0.1:{server.port}")
    page = context.new_page()
    page.set_default_timeout(LONG)
    open_viewer(page, phantom)
    for path in (page.url, "/", "/slice", "/login"):
        page.goto(path)
        page.wait_for_selector('body[data-loaded="1.000"], #rows tr, #slice-title, #login')
        assert complaints(page, axe) == [], path
    context.close()


def test_a_single_slice_is_answered_beside_what_that_is_worth(page: Any, phantom: Path, tmp_path: Path) -> None:
    page.goto("/slice")
    card = shipped_worth()
    for figure in (card.accuracy.value, card.nearest_neighbour.value):
        sync_api.expect(page.locator("#worth")).to_contain_text(f"{100 * figure:.0f} %")
    with zipfile.ZipFile(phantom) as packed:
        names = sorted(packed.namelist())
        (tmp_path / "slice").write_bytes(packed.read(names[len(names) // 2]))
    page.set_input_files("#file", str(tmp_path / "slice"))
    page.locator("#answer").wait_for()
    shares = [float(cell.rstrip(" %<")) for cell in page.locator("#shares td.r").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=2)
    view = page.locator("#view")
    hot = view.screenshot()
    page.get_by_role("button", name="Grad-CAM").click()
    assert view.screenshot() != hot
    assert HTML not in page.content()


def test_what_is_no_slice_is_refused_in_words(browser: Any, server: Running, tmp_path: Path) -> None:
    page = browser.new_page(base_url=f"http://127.0.0.1:{server.port}")
    page.goto("/slice")
    (tmp_path / "words").write_text("plain words")
    page.set_input_files("#file", str(tmp_path / "words"))
    sync_api.expect(page.locator("#said")).to_have_text("Not taken: none of the files is a PNG, JPEG or DICOM slice")
    page.close()


def test_an_address_that_names_no_case_asks_for_nothing(browser: Any, server: Running) -> None:
    with open_page(browser, server.port) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if "/api/" in request.url else None)
        for query in ("", "?case=", "?case=../../x"):
            page.goto(f"/viewer{query}")
            sync_api.expect(page.locator("#findings")).to_contain_text("The address names no case")
        assert asked == []
