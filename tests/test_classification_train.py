import json
import math

import numpy as np
import pytest
from torch import tensor

from classification.bags import draw_bags, nodule_risks, pancan_risk
from classification.classifier import load_classifier
from classification.engine import CropDataset, answers
from classification.figures import auc_figure
from classification.network import RATING_SCALES, NoduleNetwork
from classification.samples import STORED, Samples, held_out
from classification.settings import BagSettings, DataSettings, ModelSettings, TrainSettings
from classification.train import load_samples, train_on
from runs.entry import compose_settings

MODEL = ModelSettings(widths=(4, 4, 4, 4), hidden=8)


def balls(n: int) -> Samples:
    """Half of them balls in air (nodules, malignancy 1 or 5 by size), half of them noise."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(STORED) - STORED // 2] * 3, indexing="ij"))
    is_nodule = np.arange(n) % 2 == 0
    diameter = np.where(np.arange(n) % 4 == 0, 20.0, 5.0).astype(np.float32)
    crops = np.stack(
        [np.where((grid**2).sum(0) < (d / 2) ** 2 * k, 40, -850) for d, k in zip(diameter, is_nodule, strict=True)]
    )
    crops = (crops + rng.normal(0, 20, crops.shape)).astype(np.int16)
    ratings = np.full((n, len(RATING_SCALES)), np.nan, np.float32)
    ratings[is_nodule] = 0.5
    ratings[is_nodule, 0] = diameter[is_nodule] > 10
    return Samples(crops, diameter, is_nodule, ratings, np.array([f"p{i // 4}" for i in range(n)]))


def test_two_steps_of_training_leave_weights_that_load(tmp_path):
    settings = TrainSettings(
        out=str(tmp_path), epochs=1, batch=8, model=MODEL, bag=BagSettings(patients=50, steps=5), bootstrap=20
    )
    path = train_on(balls(16), balls(8), settings)
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["figures"]["malignancy_4_5_against_1_2_lidc_held_out"]["n"] == 4
    assert str(tmp_path) not in path.with_suffix(".json").read_text()
    assert load_classifier(path).provenance["classifier_sha256"] == card["sha256"][:16]


def test_split_is_by_patient_and_fixed():
    assert held_out("LIDC-IDRI-0001", 0.0, ("LIDC-IDRI-0001",))
    assert not held_out("LIDC-IDRI-0002", 0.0, ())
    assert held_out("LIDC-IDRI-0002", 1.0, ())
    share = np.mean([held_out(f"LIDC-IDRI-{i:04d}", 0.25, ()) for i in range(2000)])
    assert share == pytest.approx(0.25, abs=0.03)


def test_held_out_figures_of_perfect_and_useless_scores():
    label, groups = np.array([0, 0, 1, 1], bool), np.array(["a", "b", "c", "d"])
    figure = auc_figure(label, {"good": np.array([1, 2, 3, 4]), "none": np.zeros(4)}, groups, 50)
    assert figure["good"]["auc"] == 1.0
    assert figure["none"] == {"auc": 0.5, "low": 0.5, "high": 0.5}
    assert "good" not in auc_figure(np.ones(4, bool), {"good": np.arange(4)}, groups, 5)


def test_pancan_risk_by_hand():
    # 10 mm, smooth, solid, no calcification, 4 nodules: the size term and the count term vanish.
    typical = 0.5 * 0.6011 + 0.2 * 0.2961 + 0.33 * 0.2953 + 0.5 * 0.6581
    size = -5.3854 * (1 - 1.58113883)
    assert pancan_risk(10, 1, 5, 6, 4) == pytest.approx(1 / (1 + math.exp(6.7892 - typical - size)))
    assert pancan_risk(20, 1, 5, 6, 1) > pancan_risk(10, 1, 5, 6, 1) > pancan_risk(10, 1, 5, 3, 1)
    assert pancan_risk(10, 4, 5, 6, 1) > pancan_risk(10, 1, 5, 6, 1)


def test_bags_hold_the_best_scores_and_the_law():
    samples = balls(16)
    settings = BagSettings(patients=40)
    bags = draw_bags(samples, answers(NoduleNetwork(MODEL.widths, MODEL.hidden), samples, MODEL), settings, 3, 0)
    assert bags.score.shape == (40, 3)
    assert float(bags.label.min()) == pytest.approx(0.005)
    assert bool((bags.score[:, :-1] >= bags.score[:, 1:])[bags.present[:, 1:]].all())
    assert nodule_risks(samples)[~samples.is_nodule].max() == 0


def test_undisturbed_crops_are_the_same_twice():
    data = CropDataset(balls(4), MODEL, training=False)
    assert bool((data[0]["crop"] == data[0]["crop"]).all())
    assert data[0]["crop"].shape == (1, 32, 32, 32)
    assert data[1]["weight"] == tensor(0.0)


def test_shipped_experiment_composes():
    settings = compose_settings(TrainSettings, "classification_train", ["experiment=nodule_mil"])
    assert settings.experiment == "nodule_mil"


def test_no_nodules_is_a_clear_error():
    with pytest.raises(ValueError, match=r"data\.nodules"):
        load_samples(TrainSettings(data=DataSettings()))
