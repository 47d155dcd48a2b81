import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from classification.bags.leaky_noisy_or import LeakyNoisyOr
from classification.calibration.maps import Calibration, LogitLine
from classification.classifier import DEFAULT_WEIGHTS, SHIPPED, NoduleClassifier, load_classifier
from classification.measurements import measurements
from classification.network import NoduleNetwork
from detection.candidate import Candidate
from preprocessing.geometry import Geometry
from preprocessing.prepare import PreparedScan
from preprocessing.volume import Volume
from runs.training.weights import save_weights
from tests.nodules import MODEL

shipped = pytest.mark.skipif(
    not (SHIPPED / f"{DEFAULT_WEIGHTS}.safetensors").exists(), reason="the shipped weights are missing"
)


def scan() -> PreparedScan:
    """Two lungs of 1 mm voxels; a 16 mm ball at world (25, 0, 30), a speck at (-25, 0, -30)."""
    geometry = Geometry((100, 80, 120), (1, 1, 1), (-59.5, -39.5, -49.5), np.eye(3))
    hu = np.random.default_rng(0).normal(-850, 20, geometry.shape_zyx)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in geometry.shape_zyx], indexing="ij"), -1)
    hu[np.linalg.norm(grid - geometry.to_voxel((25, 0, 30)), axis=-1) < 8] = 40
    hu[np.linalg.norm(grid - geometry.to_voxel((-25, 0, -30)), axis=-1) < 2] = -300
    mask = np.zeros(geometry.shape_zyx, bool)
    mask[5:95, 5:75, 5:115] = True
    return PreparedScan(Volume(hu.astype(np.int16), geometry, "1.2"), mask, geometry)


BIG = Candidate("1.2", (25.0, 0.0, 30.0), 16.0, 0.95)
SPECK = Candidate("1.2", (-25.0, 0.0, -30.0), 4.0, 0.4)


@shipped
def test_report_adds_up_and_does_not_depend_on_order():
    classifier = load_classifier()
    report = classifier.assess(scan(), [SPECK, BIG], patient_id="someone", warnings=("a: b",))
    total = report.leak + sum(n.contribution for n in report.nodules)
    assert total == pytest.approx(-math.log(1 - report.cancer_probability), abs=1e-6)
    assert report.nodules[0].candidate == BIG
    assert report.nodules[0].malignancy > report.nodules[1].malignancy
    assert (report.patient_id, report.series_uid, report.warnings) == ("someone", "1.2", ("a: b",))
    again = classifier.assess(scan(), [BIG, SPECK], patient_id="someone", warnings=("a: b",))
    assert again == report


@shipped
def test_readers_say_the_suspicion_and_the_ratings_and_the_bag_the_chance() -> None:
    classifier = load_classifier()
    assert classifier.readers is not None
    report = classifier.assess(scan(), [SPECK, BIG])
    assert report.provenance["readers"] == "nodule-readers-v1"
    survival = math.exp(-report.leak)
    for nodule in report.nodules:
        # The outline that the model of readers was fitted to.
        (opinion,) = classifier.readers.opinions([measurements(nodule.candidate, scan())])
        assert nodule.malignancy == opinion.suspicion
        assert {name: nodule.attributes[name] for name in opinion.ratings} == opinion.ratings
        survival *= 1 - nodule.chance
    assert report.cancer_probability == pytest.approx(1 - survival, abs=1e-9)
    # Without a model of readers the bag's chance is all there is.
    alone = NoduleClassifier(classifier.network, classifier.bag, classifier.model, classifier.settings)
    for nodule in alone.assess(scan(), [SPECK, BIG]).nodules:
        assert nodule.malignancy == nodule.chance


@shipped
@pytest.mark.parametrize("center", [(-59.5, -39.5, -49.5), (59.9, 39.9, 49.9), (61.0, 0.0, 0.0), (500.0, -500.0, 900)])
def test_centres_at_the_border_of_the_box_and_beyond_are_assessed(center):
    """The grid's faces lie at -60, -40, -50 and 60, 40, 50."""
    report = load_classifier().assess(scan(), [Candidate("1.2", center, 12.0, 0.9), BIG])
    assert len(report.nodules) == 2
    assert all(math.isfinite(n.contribution) and 0 <= n.malignancy <= 1 for n in report.nodules)
    assert 0 < report.cancer_probability < 1


@shipped
def test_a_calibration_changes_the_patient_and_every_risk_without() -> None:
    plain = load_classifier().assess(scan(), [SPECK, BIG])
    # Odds halved; the parts stay those of what the bag said.
    halved = Calibration(LogitLine(), math.log(0.5), "halved", "another", "0123")
    report = load_classifier(calibration=halved).assess(scan(), [SPECK, BIG], warnings=("a: b",))
    for before, after in (
        (plain.cancer_probability, report.cancer_probability),
        *((a.risk_without, b.risk_without) for a, b in zip(plain.nodules, report.nodules, strict=True)),
    ):
        assert after / (1 - after) == pytest.approx(before / (1 - before) / 2, rel=1e-9)
    assert (report.uncalibrated, report.calibration) == (plain.cancer_probability, "halved")
    assert (plain.uncalibrated, plain.calibration) == (None, "")
    assert [n.contribution for n in report.nodules] == [n.contribution for n in plain.nodules]
    assert report.provenance["calibration_sha256"] == "0123"
    assert report.warnings[0] == "a: b"
    assert (
        "calibration_classifier: the calibration was fitted to answers of another, these are of" in report.warnings[1]
    )


@shipped
def test_the_risk_without_a_nodule_is_that_of_the_scan_without_it() -> None:
    classifier = load_classifier()
    report = classifier.assess(scan(), [SPECK, BIG])
    assert [n.candidate for n in report.nodules] == [BIG, SPECK]
    for nodule, other in zip(report.nodules, (SPECK, BIG), strict=True):
        assert nodule.risk_without == pytest.approx(classifier.assess(scan(), [other]).cancer_probability, abs=1e-6)


@shipped
def test_no_candidates_means_the_leak():
    report = load_classifier().assess(scan(), [])
    assert report.nodules == ()
    assert report.cancer_probability == pytest.approx(1 - math.exp(-report.leak), abs=1e-12)
    assert 0 < report.cancer_probability < 0.05


@shipped
def test_only_the_best_five_enter_and_low_scores_add_less():
    many = [Candidate("1.2", (25.0, 0.0, float(z)), 8.0, 0.1 + z / 100) for z in range(8)]
    classifier = load_classifier()
    report = classifier.assess(scan(), many)
    assert len(report.nodules) == 5
    assert min(n.candidate.score for n in report.nodules) == pytest.approx(0.13)
    sure = classifier.assess(scan(), [BIG])
    doubted = classifier.assess(scan(), [Candidate("1.2", BIG.center_mm, 16.0, 0.05)])
    assert doubted.cancer_probability < sure.cancer_probability


@shipped
def test_unknown_diameter_is_warned_about_and_borders_are_no_problem():
    report = load_classifier().assess(scan(), [Candidate("1.2", (58.0, 38.0, 48.0), math.nan, 0.5)])
    assert report.nodules[0].candidate.diameter_mm == 6.6
    assert report.warnings[0].startswith("diameter_unknown")
    assert math.isfinite(report.cancer_probability)


@shipped
def test_foreign_candidates_and_wrong_scores_are_refused():
    classifier = load_classifier()
    with pytest.raises(ValueError, match="another series"):
        classifier.assess(scan(), [Candidate("9.9", (0.0, 0.0, 0.0), 5.0, 0.5)])
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        classifier.assess(scan(), [Candidate("1.2", (0.0, 0.0, 0.0), 5.0, -3.0)])


def test_measurements_by_hand():
    found = measurements(BIG, scan())
    assert found["volume_mm3"] == pytest.approx(4 / 3 * math.pi * 8**3, rel=0.15)
    assert found["mean_diameter_mm"] == pytest.approx(16, abs=1)
    assert (found["type"], found["calcification_pattern"]) == ("solid", "none")
    # The ball's top is at z = 38, that of the mask at 45.5, the pleura the margin of 4 mm below it.
    assert found["pleura_mm"] == pytest.approx(45.5 - 38 - 4, abs=1)
    assert (found["side"], found["zone"]) == ("left", "upper")
    other = measurements(SPECK, scan())
    assert (other["side"], other["zone"]) == ("right", "lower")


def test_measurements_follow_the_world_not_the_array():
    prepared = scan()
    # The same voxels with x and z running the other way: what was left and upper is now right and lower.
    turned = Geometry(prepared.volume.hu.shape, (1, 1, 1), (59.5, -39.5, 49.5), np.diag([-1.0, 1.0, -1.0]))
    volume = Volume(prepared.volume.hu, turned, "1.2")
    found = measurements(
        Candidate("1.2", (-25.0, 0.0, -30.0), 16.0, 0.9), PreparedScan(volume, prepared.lung_mask, turned)
    )
    assert (found["side"], found["zone"]) == ("right", "lower")


def test_missing_or_foreign_weights_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no-such"):
        load_classifier("no-such")
    with pytest.raises(FileNotFoundError, match="gone"):
        load_classifier(tmp_path / "gone.safetensors")


def stored(path: Path, **more: object) -> Path:
    network, bag = NoduleNetwork(MODEL.widths, MODEL.hidden), LeakyNoisyOr()
    state = torch.nn.ModuleDict({"network": network, "bag": bag}).state_dict()
    model = {"widths": MODEL.widths, "hidden": MODEL.hidden, "crop": MODEL.crop, "margins_mm": MODEL.margins_mm}
    save_weights(path, state, {"name": "mine", "model": model, "inference": {"top_k": 5}, **more})
    return path


def test_weights_for_another_preparation_are_refused(tmp_path: Path) -> None:
    good = stored(tmp_path / "good.safetensors", preparation={"spacing_mm": 1.0, "window_hu": [-1000.0, 400.0]})
    bad = stored(tmp_path / "bad.safetensors", preparation={"spacing_mm": 0.7, "window_hu": [-1000.0, 400.0]})
    load_classifier(good)
    with pytest.raises(ValueError, match=r"trained with spacing_mm=0\.7"):
        load_classifier(bad)


def test_the_detector_of_the_gate_is_exposed_and_older_cards_still_load(tmp_path: Path) -> None:
    assert load_classifier(stored(tmp_path / "old.safetensors")).provenance["gate_detector"] == ""
    named = stored(tmp_path / "new.safetensors", gate_detector="compact-v1")
    assert load_classifier(named).provenance["gate_detector"] == "compact-v1"


@shipped
def test_networks_that_learnt_from_others_spread_the_answer() -> None:
    whole = load_classifier()

    def moved(by: float) -> NoduleNetwork:
        network = copy.deepcopy(whole.network)
        with torch.no_grad():
            network.malignancy.bias += by
        return network

    members = [moved(-1.0), moved(0.5)]
    report = NoduleClassifier(whole.network, whole.bag, whole.model, members=members).assess(scan(), [BIG])
    alone = [NoduleClassifier(m, whole.bag, whole.model).assess(scan(), [BIG]) for m in members]
    assert (report.least, report.most) == tuple(r.cancer_probability for r in alone)
    assert report.least is not None
    assert report.most is not None
    assert report.least < report.cancer_probability < report.most
    # Without members, and without nodules, there is nothing to say.
    assert (alone[0].least, alone[0].most) == (None, None)
    assert NoduleClassifier(whole.network, whole.bag, whole.model, members=members).assess(scan(), []).least is None
