import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classification.assessment import NoduleAssessment, PatientReport
from detection.candidate import Candidate
from lungscreen.report.page import page_link, write_index, write_patient_page
from lungscreen.report.wording import fixed, in_hundred, percent, slice_words, warning
from preprocessing.geometry import Geometry
from preprocessing.intake.scan import Reason, Scan
from preprocessing.prepare import PreparedScan
from preprocessing.volume import Volume

UID = "1.2.840.99"
# 40 slices of 2.5 mm from z = -100 mm.
SOURCE = Geometry((40, 64, 64), (1.0, 1.0, 2.5), (-32.0, -32.0, -100.0), np.eye(3))


def prepared() -> PreparedScan:
    grid = Geometry((60, 60, 60), (1.0, 1.0, 1.0), (-30.0, -30.0, -90.0), np.eye(3))
    hu = np.full((60, 60, 60), -850, np.int16)
    return PreparedScan(Volume(hu, grid, UID), np.ones(hu.shape, bool), SOURCE)


def nodule(p: float, without: float) -> NoduleAssessment:
    measured: dict[str, float | str] = {"diameter_mm": 8.0, "volume_mm3": 268.1, "side": "left", "zone": "upper"}
    attributes = {"spiculation": 4.0, "texture": 5.0, "nodule_probability": 0.93}
    return NoduleAssessment(
        Candidate(UID, (10.0, 0.0, -50.0), 8.0, 0.87), 0.77, attributes, measured, -math.log(1 - p), without, p
    )


def report(*chances: float, patient_id: str = "P-1", warnings: tuple[str, ...] = ()) -> PatientReport:
    """Leak 0.1; with 0.5 and 0.2: P = 1 - 0.9 * 0.5 * 0.8 = 0.64."""
    survival = 0.9 * math.prod(1 - p for p in chances)
    nodules = tuple(nodule(p, 1 - survival / (1 - p)) for p in chances)
    provenance = {"version": "0.1.0", "detector_sha256": "abcdef0123456789"}
    return PatientReport(patient_id, UID, 1 - survival, nodules, -math.log(0.9), provenance, warnings)


def page(folder: Path, what: PatientReport, **options: int) -> str:
    link = write_patient_page(folder, what, prepared(), **options)
    return (folder / link.file).read_text(encoding="utf-8")


def test_the_numbers_are_on_the_page(tmp_path: Path) -> None:
    html = page(tmp_path, report(0.5, 0.2))
    assert '<p class="big">64%</p>' in html
    assert "about 64" in html
    for words in ("8.0 mm", "268 mm³", "left lung, upper zone", "10.0, 0.0, −50.0", "0.87", "93%", "abcdef0123456789"):
        assert words in html
    # z = -50 mm is 20 slices of 2.5 mm above the first: image 21.
    assert "image 21 of 40 from the foot end" in html
    # Without the first: 1 - 0.9 * 0.8 = 0.28; without the second: 1 - 0.9 * 0.5 = 0.55.
    assert '<td class="r">28%</td>' in html
    assert '<td class="r">55%</td>' in html
    assert "Research use only" in html


def test_the_contributions_add_up(tmp_path: Path) -> None:
    html = page(tmp_path, report(0.5, 0.2))
    table = html[html.index("Remainder (leak)") :]
    # -log of 0.9, 0.5, 0.8 and of their product 0.36.
    for number in ("0.1054", "0.6931", "0.2231", "1.0217"):
        assert f">{number}<" in table
    # 0.1054, 0.6931 and 0.2231 of 1.0217.
    shares = re.findall(r"</i><span>([\d.]+)%</span>", table)
    assert shares == ["10", "68", "22"]
    assert "= <strong>0.6400</strong>" in html


def test_parts_of_a_logit_are_signed(tmp_path: Path) -> None:
    # -2 + 3 - .5 = .5: P = 1 / (1 + exp(-.5)) = .6225; without nodules sigmoid(-2) = .12.
    made = report(0.5, 0.2)
    parts = [replace(n, contribution=c, risk_without=0.33) for n, c in zip(made.nodules, (3.0, -0.5), strict=True)]
    html = page(
        tmp_path, replace(made, cancer_probability=0.6225, nodules=tuple(parts), leak=-2.0, adds_up_to="logit")
    )
    assert "1 / (1 + exp(−(−2.0000 <span>+ 3.0000</span> <span>− 0.5000</span>)))" in html
    assert "= <strong>0.6225</strong>" in html
    table = html[html.index("Without nodules") :]
    assert re.findall(r"</i><span>([^<]+)</span>", table) == ["−2.00", "+3.00", "−0.50"]
    assert '<td class="r">12%</td><td class="r">−2.0000</td>' in table
    assert "+3.00 to the patient's logit" in html
    assert "∏" not in html
    assert table.count('<td class="r">33%</td>') == 2


def test_a_calibrated_number_stands_beside_what_it_was(tmp_path: Path) -> None:
    html = page(
        tmp_path, replace(report(0.5, 0.2), cancer_probability=0.31, uncalibrated=0.64, calibration="platt, fitted")
    )
    assert '<p class="big">31%</p>' in html
    assert "Calibrated (platt, fitted); before that the model said 64%." in html
    assert "= <strong>0.6400</strong>" in html
    assert "makes 0.3100 of 0.6400" in html
    assert "Not calibrated" not in html
    assert "Not calibrated" in page(tmp_path, report(0.5))


def test_images_only_for_the_top_nodules(tmp_path: Path) -> None:
    html = page(tmp_path, report(0.5, 0.2, 0.1), top=2)
    # Three views each, and the locator.
    assert html.count("data:image/png;base64,") == 2 * 3 + 1
    assert html.count("<img ") == len(re.findall(r'<img [^>]*alt="[^"]+"', html))
    assert 'id="nodule-2"' in html
    assert 'id="nodule-3"' not in html


def test_a_page_without_nodules_says_so(tmp_path: Path) -> None:
    html = page(tmp_path, report())
    assert "No nodule was found" in html
    assert '<p class="big">10%</p>' in html
    assert "Key images" not in html


def test_what_comes_from_the_file_is_escaped(tmp_path: Path) -> None:
    odd = '<script>alert("x")</script>&<!--refused-scans-->'
    what = report(0.5, patient_id=odd, warnings=("odd_tag: a <b>bold</b> claim",))
    link = write_patient_page(tmp_path, what, prepared())
    refused = [Scan(odd, "2", (), Reason.NOT_CT, "<i>MR</i>")]
    for links in ([link], [link, link]):
        html = write_index(tmp_path, links, refused).read_text(encoding="utf-8")
        assert "<script" not in html
        assert "<b>bold" not in html
        assert "<i>MR" not in html
        assert "A &lt;b&gt;bold&lt;/b&gt; claim." in html


def test_pages_need_nothing_from_outside(tmp_path: Path) -> None:
    link = write_patient_page(tmp_path, report(0.5, 0.2), prepared())
    index = write_index(tmp_path, [link, replace(link, probability=0.1)])
    for path in (tmp_path / link.file, index):
        html = path.read_text(encoding="utf-8")
        for target in re.findall(r'(?:href|src|action|data|poster)="([^"]*)"', html):
            assert target.startswith(("#", "data:image/png;base64,")) or (tmp_path / target).is_file(), target
        assert not re.search(r"https?://|@import|url\(|<script|<link|<iframe|<object", html)


def test_same_input_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_index(tmp_path / folder, [write_patient_page(tmp_path / folder, report(0.5), prepared())])
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert names == sorted(p.name for p in (tmp_path / "b").iterdir())
    assert len(names) == 2
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_index_of_one_is_the_page_with_the_refused(tmp_path: Path) -> None:
    link = write_patient_page(tmp_path, report(0.5), prepared())
    refused = [Scan("P-2", "9.9", (), Reason.MISSING_SLICES, "3 of 40 slices are missing")]
    html = write_index(tmp_path, [link], refused).read_text(encoding="utf-8")
    assert '<p class="big">55%</p>' in html
    assert "missing slices" in html
    assert "3 of 40 slices are missing" in html
    assert "All scans of this run" not in html


def test_the_index_lists_the_highest_first(tmp_path: Path) -> None:
    low, high = page_link(report(0.05, patient_id="low")), page_link(report(0.9, patient_id="high"))
    html = write_index(tmp_path, [low, high]).read_text(encoding="utf-8")
    assert html.index(">high</a>") < html.index(">low</a>")
    assert "91%" in html
    # Nothing read at all: the page still says what was refused.
    html = write_index(tmp_path, [], [Scan("", "", (), Reason.EMPTY_FOLDER)]).read_text(encoding="utf-8")
    assert "No scan was assessed" in html
    assert "empty folder" in html


def test_page_names_do_not_collide_and_hide_the_patient() -> None:
    made = [replace(report(patient_id="Ärztin"), series_uid=uid) for uid in ("1.2", "1.3", "A", "a", "../x", "a b")]
    names = [page_link(r).file for r in made]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[0-9a-f]{16}\.html", n) for n in names)
    assert page_link(report(patient_id="A")).file == page_link(report(patient_id="B")).file


def test_a_report_of_another_series_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="another series"):
        write_patient_page(tmp_path, replace(report(0.5), series_uid="other"), prepared())


@pytest.mark.parametrize(
    ("value", "words", "people"),
    [
        (0.0, "0%", "fewer than 1"),
        (0.0002, "<0.1%", "fewer than 1"),
        (0.034, "3.4%", "about 3"),
        (0.0996, "10%", "about 10"),
        (0.37, "37%", "about 37"),
        (0.991, "99.1%", "about 99"),
        (0.99999, ">99.9%", "more than 99"),
    ],
)
def test_percentages_are_neither_bare_nor_certain(value: float, words: str, people: str) -> None:
    assert percent(value) == words
    assert in_hundred(value) == people


def test_words() -> None:
    assert warning("slice_gap: two slices are missing") == ("slice_gap", "Two slices are missing.")
    assert warning("no code here: at all") == ("", "No code here: at all.")
    assert fixed(-0.04, 1) == "0.0"
    assert fixed(-1.25, 2) == "−1.25"
    flipped = Geometry((40, 64, 64), (1.0, 1.0, 2.5), (0.0, 0.0, 0.0), np.diag([1.0, 1.0, -1.0]))
    assert slice_words(flipped, (0.0, 0.0, -25.0)) == "image 11 of 40 from the head end"
