"""An upload with two studies of one patient: the later scan is shown with what it was before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright")
from playwright import sync_api

from tests.browsing import CHROMIUM, browsing, open_page
from tests.serving import Running
from tests.two_studies import BEFORE, DAYS, NOW, two_studies

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
        page.wait_for_selector('body[data-loaded="1.000"]')
        yield page


def scans_of(server: Running, case: str) -> dict[str, dict[str, Any]]:
    scans = server.client.get(f"/api/v1/cases/{case}/result").json()["scans"]
    return {scan["study_date"]: scan for scan in scans}


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
