"""The guidelines against what their publications state."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from classification.assessment import NoduleAssessment, PatientReport
from classification.guidelines.applied import with_guidelines
from classification.guidelines.brock import BrockNodule, brock_1b, brock_2b
from classification.guidelines.lung_rads import RatedNodule, lung_rads
from classification.guidelines.person import Person, read_persons
from detection.candidate import Candidate
from runs.entry import UsageError

# Who and what McWilliams' models are centred at: the intercept alone remains.
MAN = Person(age=62, sex="male", family_history=False, emphysema=False)
SMALL = BrockNodule(4.0, "solid", upper=False, spiculated=False, count=4)


def odds(p: float) -> float:
    return p / (1 - p)


def test_brock_of_the_reference_patient_is_the_intercept() -> None:
    assert math.log(odds(brock_2b(SMALL, MAN))) == pytest.approx(-6.7892)
    assert math.log(odds(brock_1b(SMALL, MAN))) == pytest.approx(-6.6144)


@pytest.mark.parametrize(
    ("nodule", "person", "ratio"),
    [
        # Odds ratios of model 2b in table 2 of McWilliams et al., N Engl J Med 2013;369:910.
        (SMALL, replace(MAN, age=63), 1.03),
        (SMALL, replace(MAN, sex="female"), 1.82),
        (SMALL, replace(MAN, family_history=True), 1.34),
        (SMALL, replace(MAN, emphysema=True), 1.34),
        (replace(SMALL, kind="ground-glass"), MAN, 0.88),
        (replace(SMALL, kind="part-solid"), MAN, 1.46),
        (replace(SMALL, upper=True), MAN, 1.93),
        (replace(SMALL, count=5), MAN, 0.92),
        (replace(SMALL, spiculated=True), MAN, 2.17),
    ],
)
def test_brock_2b_has_the_published_odds_ratios(nodule: BrockNodule, person: Person, ratio: float) -> None:
    assert odds(brock_2b(nodule, person)) / odds(brock_2b(SMALL, MAN)) == pytest.approx(ratio, abs=0.006)


@pytest.mark.parametrize(
    ("nodule", "person", "ratio"),
    [
        # Model 1b of the same table.
        (SMALL, replace(MAN, sex="female"), 1.91),
        (replace(SMALL, upper=True), MAN, 1.82),
        (replace(SMALL, spiculated=True), MAN, 2.54),
        (replace(SMALL, kind="part-solid", count=9), replace(MAN, age=80, emphysema=True), 1.0),
    ],
)
def test_brock_1b_has_the_published_odds_ratios(nodule: BrockNodule, person: Person, ratio: float) -> None:
    assert odds(brock_1b(nodule, person)) / odds(brock_1b(SMALL, MAN)) == pytest.approx(ratio, abs=0.006)


def test_brock_2b_equals_its_uncentred_form() -> None:
    """Table 2 of Eur Radiol 2019;29:5367 (PMC6717521): intercept 0.2761 with age, size and count as they are.

    A woman of 70 with emphysema, 15 mm part-solid and spiculated in an upper lobe, one nodule:
    .2761 + 70 * .0287 + .6011 + .2953 - 5.3854 / sqrt(1.5) + .377 + .6581 + .7729 - .0824 = .5099, 62.5 %.
    """
    nodule = BrockNodule(15.0, "part-solid", upper=True, spiculated=True, count=1)
    assert brock_2b(nodule, Person(70, "female", False, True)) == pytest.approx(1 / (1 + math.exp(-0.5099)), abs=1e-4)


def test_what_is_not_told_is_assumed_and_said() -> None:
    nodule = BrockNodule(12.0, "solid", upper=True, spiculated=False, count=2)
    woman, man = (brock_2b(nodule, Person(62, sex, False, False)) for sex in ("female", "male"))
    assert odds(brock_2b(nodule, Person())) == pytest.approx(math.sqrt(odds(woman) * odds(man)))
    assert Person().assumed == "age 62, between a woman and a man, no family history, no emphysema"
    assert MAN.assumed == ""


@pytest.mark.parametrize(
    ("kind", "size", "solid", "category"),
    [
        # ACR Lung-RADS v2022, baseline column; the bounds belong to the higher category.
        ("solid", 5.9, 0, "2"),
        ("solid", 6.0, 0, "3"),
        ("solid", 7.9, 0, "3"),
        ("solid", 8.0, 0, "4A"),
        ("solid", 14.9, 0, "4A"),
        ("solid", 15.0, 0, "4B"),
        ("part-solid", 5.9, 5.0, "2"),
        ("part-solid", 6.0, 5.9, "3"),
        ("part-solid", 20.0, 0.0, "3"),
        ("part-solid", 9.0, 6.0, "4A"),
        ("part-solid", 9.0, 7.9, "4A"),
        ("part-solid", 9.0, 8.0, "4B"),
        ("ground-glass", 5.0, 0, "2"),
        ("ground-glass", 29.9, 0, "2"),
        ("ground-glass", 30.0, 0, "3"),
    ],
)
def test_lung_rads_by_its_table(kind: str, size: float, solid: float, category: str) -> None:
    nodule = RatedNodule(kind, size, solid)  # type: ignore[arg-type]
    assert lung_rads(nodule) == category
    assert lung_rads(replace(nodule, spiculated=True)) == ("2" if category == "2" else "4X")
    assert lung_rads(replace(nodule, benign_calcification=True, spiculated=True)) == "1"


def assessed(chance: float, **more: float | str) -> NoduleAssessment:
    measured = {"type": "solid", "calcification_pattern": "none", "zone": "upper", "mean_diameter_mm": 9.0}
    attributes = {"spiculation": 2.0, "nodule_probability": chance}
    return NoduleAssessment(
        Candidate("1.2", (0, 0, 0), 9.0, 0.9), 0.3, attributes, {**measured, "long_axis_mm": 10.0, **more}
    )


def test_a_report_is_judged_nodule_by_nodule() -> None:
    """Two of three are rather nodules than not: the count is 2."""
    nodules = (assessed(0.9), assessed(0.6, calcification_pattern="central"), assessed(0.2, zone="lower"))
    report = with_guidelines(PatientReport("p", "1.2", 0.4, nodules, 0.01, {"a": "b"}), replace(MAN, age=None))
    first, calcified, third = (n.measurements for n in report.nodules)
    assert (first["lung_rads"], calcified["lung_rads"]) == ("4A", "1")
    assert first["brock_2b"] == pytest.approx(brock_2b(BrockNodule(10.0, "solid", True, False, 2), MAN))
    assert third["brock_1b"] == pytest.approx(brock_1b(BrockNodule(10.0, "solid", False, False, 2), MAN))
    assert "brock_2b" not in calcified
    assert report.provenance == {"a": "b", "brock_assumed": "age 62"}


def test_persons_are_read_by_id_with_empty_cells_unknown(tmp_path: Path) -> None:
    path = tmp_path / "persons.csv"
    path.write_text("id,age,sex,emphysema\n007,70,F,yes\nb,,male,\n")
    assert read_persons(path) == {"007": Person(70.0, "female", None, True), "b": Person(None, "male")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("age\n1\n", "id"),
        ("id,sex\na,x\n", "line 2: sex must be one of female, male; got x"),
        ("id,age\na,7\n", "age must be between 18 and 110"),
        ("id,age\na,old\n", "age must be a number of years, got old"),
        ("id,family_history\na,perhaps\n", "family_history must be yes or no, got perhaps"),
        ("id\na\na\n", "line 3: every patient once"),
    ],
)
def test_persons_that_cannot_be_read_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "persons.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        read_persons(path)
