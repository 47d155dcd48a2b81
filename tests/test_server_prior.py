"""An upload with two studies of one patient: the later scan is shown with what it was before."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright")
from playwright import sync_api

from preprocessing.geometry import Geometry
from tests.browsing import CHROMIUM, axe_core, browsing, complaints, drawn, open_page, settled, slices
from tests.serving import Running
from tests.two_studies import BEFORE, DAYS, NOW, earlier_mm, two_studies

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("server"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, server: Running) -> str:
    slices = sorted(two_studies(tmp_path_factory.mktemp("two")).iterdir())
    name = str(server.upload(*(path.read_bytes() for path in slices))["id"])
    assert server.wait(name)["state"] == "done"
    return name


@pytest.fixture
def page(server: Running, case: str) -> Iterator[Any]:
    with browsing() as browser, open_page(browser, server.port) as page:
        page.goto(f"/viewer?case={case}")
        page.wait_for_selector('body[data-prior-loaded="1.000"]')
        settled(page)
        yield page


def scans_of(server: Running, case: str) -> dict[str, dict[str, Any]]:
    scans = server.client.get(f"/api/v1/cases/{case}/result").json()["scans"]
    return {scan["study_date"]: scan for scan in scans}


def grid_of(server: Running, case: str, page: str) -> Geometry:
    return Geometry.from_dict(server.client.get(f"/api/v1/cases/{case}/volumes/{page}").json())


def index(page: Any, plane: str) -> int:
    """Of the slice that is shown, from 0."""
    label = page.locator(f"canvas[data-plane={plane}]").get_attribute("aria-label")
    return int(label.split(" slice ")[1].split()[0]) - 1


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_nodules_of_the_later_study_know_how_they_changed(server: Running, case: str) -> None:
    scans = scans_of(server, case)
    now, before = scans[NOW], scans[BEFORE]
    assert now["provenance"]["prior"] == before["series_uid"]
    assert now["provenance"]["prior_days"] == str(DAYS)
    changes = {nodule["measurements"].get("change") for nodule in now["nodules"]}
    assert changes <= {"new", "stable", "grown", "shrunk", "slowly grown", None}
    assert changes - {"new", None}
    assert all("change" not in nodule["measurements"] for nodule in before["nodules"])


def test_the_viewer_opens_the_later_study_with_the_changes_in_its_table(page: Any, server: Running, case: str) -> None:
    now = scans_of(server, case)[NOW]
    assert page.locator("select option:checked").inner_text().split()[-2] == NOW
    heads = page.locator("#findings thead th").all_inner_texts()
    assert heads[-2:] == ["Change", "Doubles in"]
    told = [cell.inner_text() for cell in page.locator("#findings tbody td:nth-child(5)").all()]
    assert told == [nodule["measurements"].get("change", "") for nodule in now["nodules"]]
    known = next(n for n in now["nodules"] if "prior_volume_mm3" in n["measurements"])
    page.get_by_role("button", name=f"Go to nodule {known['rank']}", exact=True).click()
    sync_api.expect(page.locator("#findings dl")).to_contain_text(
        f"{known['measurements']['prior_volume_mm3']:.0f} mm³"
    )


def test_the_places_are_those_of_the_known_deformation(server: Running, case: str) -> None:
    now = scans_of(server, case)[NOW]
    path = f"/api/v1/cases/{case}/prior/{now['page']}"
    told, answer = server.client.get(path).json(), server.client.get(f"{path}/places")
    places = np.frombuffer(answer.content, "<f4").reshape(*told["shape_zyx"], 3)
    grid = grid_of(server, case, now["page"])
    voxels = np.moveaxis(np.indices(told["shape_zyx"]), 0, -1) * told["step_zyx"]
    assert (voxels[-1, -1, -1] >= np.asarray(grid.shape_zyx) - 1).all()
    # Around the nodules, that is in the lungs, where the registration looks.
    near = [round_to(nodule["voxel_zyx"], told["step_zyx"]) for nodule in now["nodules"]]
    away = [np.linalg.norm(places[at] - earlier_mm(grid.to_world(voxels[at]))) for at in near]
    assert np.median(away) < 2.5
    stored = server.folder / "server/cases" / case / "result/volumes" / now["page"] / "prior.gz"
    assert gzip.decompress(stored.read_bytes()) == answer.content
    assert server.client.get(f"/api/v1/cases/{case}/prior/{'0' * 16}").status_code == 404


def round_to(voxel: list[float], step: list[int]) -> tuple[int, ...]:
    return tuple(round(value / by) for value, by in zip(voxel, step, strict=True))


def test_the_earlier_scan_is_shown_at_the_place_of_the_current_one(
    page: Any, server: Running, case: str, tmp_path: Path
) -> None:
    scans = scans_of(server, case)
    now, before = (grid_of(server, case, scans[date]["page"]) for date in (NOW, BEFORE))
    axial, prior = (page.locator(f"canvas[data-plane={name}]") for name in ("axial", "prior"))
    assert slices(prior) == before.shape_zyx[0]
    for nodule in scans[NOW]["nodules"]:
        page.get_by_role("button", name=f"Go to nodule {nodule['rank']}", exact=True).click()
        sync_api.expect(axial).to_have_attribute(
            "aria-label", re.compile(f"slice {round(nodule['voxel_zyx'][0]) + 1} ")
        )
        assert abs(index(page, "prior") - before.to_voxel(earlier_mm(nodule["center_mm"]))[0]) < 1.5
    # The last nodule's place across and down, twenty slices below the top.
    axial.focus()
    press(page, "End", "PageDown", "PageDown")
    at = now.shape_zyx[0] - 21
    sync_api.expect(axial).to_have_attribute("aria-label", re.compile(f"slice {at + 1} "))
    wanted = before.to_voxel(earlier_mm(now.to_world([at, *nodule["voxel_zyx"][1:]])))[0]
    assert abs(index(page, "prior") - wanted) < 1.5
    # The earlier scan leads, too.
    was = index(page, "prior")
    prior.focus()
    press(page, "PageUp")
    sync_api.expect(prior).to_have_attribute("aria-label", re.compile(f"slice {was + 11} "))
    assert abs(index(page, "axial") - at - 10) <= 1
    page.screenshot(path=os.environ.get("LUNGSCREEN_SCREENSHOT", tmp_path / "prior.png"))


def test_the_earlier_scan_comes_and_goes_and_zooms_with_the_current_one(page: Any) -> None:
    prior, button = page.locator("canvas[data-plane=prior]"), page.get_by_role("button", name="Earlier scan")
    sync_api.expect(button).to_have_attribute("aria-pressed", "true")
    before = drawn(prior)
    page.keyboard.press("+")
    settled(page)
    assert drawn(prior) != before
    page.keyboard.press("r")
    settled(page)
    assert drawn(prior) == before
    page.keyboard.press("e")
    sync_api.expect(prior).to_be_hidden()
    button.click()
    settled(page)
    assert drawn(prior) == before


def test_axe_finds_nothing_to_complain_of_on_a_tablet(server: Running, case: str, tmp_path: Path) -> None:
    axe = axe_core(tmp_path)
    with browsing() as browser, open_page(browser, server.port, 820, 1180, bypass_csp=True) as page:
        page.goto(f"/viewer?case={case}")
        page.wait_for_selector('body[data-prior-loaded="1.000"]')
        assert complaints(page, axe) == []
        # Nothing leaves the window sideways.
        assert page.evaluate("document.documentElement.scrollWidth") <= 820
        for plane in ("axial", "prior", "coronal", "sagittal"):
            box = page.locator(f"canvas[data-plane={plane}]").bounding_box()
            assert box["width"] > 300
            assert box["height"] > 200
