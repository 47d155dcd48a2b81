"""The model of readers: votes and measurements in, suspicion and ratings out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from classification.network import RATING_SCALES
from classification.readers.examples import Rated, nearest_votes, readings_of
from classification.readers.figures import agreement, rating_figures, sides
from classification.readers.fit import answers, fit, out_of_fold
from classification.readers.model import INPUTS, ReaderModel, inputs_of, load_readers
from classification.readers.settings import FitSettings, ReadersSettings
from classification.readers.train import train_on
from preprocessing.splits import fold_of
from runs.entry import UsageError, compose_settings
from runs.training.weights import load_weights, save_weights

LOOSE = FitSettings(limit=3.0, suspicion_l2=0.1, rating_l2=1e-6)
MEASURED = {
    "mean_diameter_mm": np.e, "volume_mm3": np.e**3, "long_axis_mm": 2.0, "short_axis_mm": 2.0, "hu_mean": -100.0,
    "hu_sd": 50.0, "hu_p95": 60.0, "solid_share": 0.9, "calcification_pattern": "central", "calcium_share": 0.1,
    "compactness": 0.8, "convexity": 0.7, "flatness": 0.6, "edge_hu_mm": 200.0, "spicules": 0.05, "side": "left",
}  # fmt: skip
HEADERS = Path("../shared/data/luna16/mhd_headers.csv")


def rated(n: int = 300, seed: int = 0) -> Rated:
    """Votes go with the second input alone: above 0 suspicious, below unlikely; the ratings lie on a line of it."""
    rng = np.random.default_rng(seed)
    inputs = rng.uniform(-1, 1, (n, len(INPUTS)))
    voted = np.where(inputs[:, 1] > 0, 5.0, 1.0)
    votes = tuple(
        {name: [3 + 2 * x, 3 + 2 * x, 3 + 2 * x] for name in RATING_SCALES}
        | {"malignancy": [int(v), int(v), 3], "calcification": [int(v)] * 3}
        for x, v in zip(inputs[:, 1], voted, strict=True)
    )
    return Rated(inputs, votes, voted, np.exp(inputs[:, 0]), np.array([f"p{i}" for i in range(n)]))


def votes(*malignancy: int) -> dict[str, Any]:
    return {name: list(malignancy) for name in RATING_SCALES}


def of_votes(*each: dict[str, Any], voted: tuple[float, ...]) -> Rated:
    n = len(each)
    return Rated(np.zeros((n, len(INPUTS))), each, np.array(voted), np.ones(n), np.array([f"p{i}" for i in range(n)]))


def test_inputs_are_taken_by_name() -> None:
    found = dict(zip(INPUTS, inputs_of(MEASURED), strict=True))
    assert found["log_mean_diameter"] == pytest.approx(1)
    assert found["log_volume"] == pytest.approx(3)
    assert (found["log_long_by_short"], found["calcified"], found["spicules"]) == (0, 1, 0.05)
    assert inputs_of({**MEASURED, "calcification_pattern": "none"})[list(INPUTS).index("calcified")] == 0


def test_a_fit_finds_the_law_behind_the_votes() -> None:
    known, unseen = rated(), rated(seed=1)
    model = fit(known, LOOSE)
    logits, ratings = answers(model, unseen)
    clear = np.abs(unseen.inputs[:, 1]) > 0.2
    assert ((logits > 0) == (unseen.voted > 3))[clear].mean() > 0.97
    names = list(RATING_SCALES)
    # 3 + 2 x on a scale of 1 to 5 is (1 + x) / 2 of it.
    assert ratings[:, names.index("margin")] == pytest.approx((1 + unseen.inputs[:, 1]) / 2, abs=1e-4)


def test_a_fit_does_not_depend_on_the_order_and_knows_no_seed() -> None:
    known = rated()
    turned = Rated(
        known.inputs[::-1], known.votes[::-1], known.voted[::-1], known.diameter_mm[::-1], known.patients[::-1]
    )
    one, other = (fit(r, LOOSE).suspicion.weight.detach().numpy() for r in (known, turned))
    assert one == pytest.approx(other, rel=1e-3, abs=1e-4)


def test_answers_out_of_fold_come_from_models_that_saw_no_nodule_of_the_fold() -> None:
    """Fold 1's votes are reversed: only a model that learnt from them would follow them."""
    known = rated()
    folds = np.arange(len(known)) % 2
    mirrored = tuple(
        {**v, "malignancy": [6 - m for m in v["malignancy"]]} if f else v
        for v, f in zip(known.votes, folds, strict=True)
    )
    both = Rated(known.inputs, mirrored, known.voted, known.diameter_mm, known.patients)
    logits, _ = out_of_fold(both, folds, LOOSE)
    clear = np.abs(known.inputs[:, 1]) > 0.2
    assert ((logits > 0) == (known.voted > 3))[clear & (folds == 1)].mean() > 0.97
    assert ((logits < 0) == (known.voted > 3))[clear & (folds == 0)].mean() > 0.97


def test_votes_of_one_side_alone_are_refused() -> None:
    with pytest.raises(UsageError, match="both sides"):
        fit(of_votes(votes(5, 5, 4), votes(4, 4, 3), voted=(5.0, 4.0)), LOOSE)


def test_three_answers_of_the_readers() -> None:
    nodules = of_votes(votes(1, 1, 5, 5), votes(2, 3, 3, 5), votes(4, 4, 5), votes(1, 2, 4), voted=(1, 3, 4, 1))
    found = {name: (counts.tolist(), label.tolist()) for name, (counts, label) in sides(nodules).items()}
    assert found["voted"] == ([True, False, True, True], [False, False, True, False])
    # Medians 3, 3, 4 and 2; means 3, 3.25, 4.33 and 2.33.
    assert found["median"] == ([False, False, True, True], [False, False, True, False])
    assert found["mean"] == ([False, False, True, True], [False, False, True, False])
    suspicious, unlikely = nodules.shares()
    assert suspicious.tolist() == [0.5, 0.25, 1, pytest.approx(1 / 3)]
    assert unlikely.tolist() == [0.5, 0.25, 0, pytest.approx(2 / 3)]


def test_readers_agree_by_rank() -> None:
    same = of_votes(votes(1, 1, 1), votes(2, 2, 2), votes(5, 5, 5), voted=(1, 2, 5))
    assert agreement(same, "margin") == pytest.approx(1)
    ratings = np.tile(np.array([[0.1], [0.2], [0.9]]), len(RATING_SCALES))
    assert rating_figures(same, ratings)["margin"] == {"model": 1.0, "reader": 1.0}


def test_the_nearest_nodule_of_three_readers_has_the_votes() -> None:
    def nodule(readers: int, said: int) -> Any:
        return SimpleNamespace(n_readers=readers, ratings=lambda name: [said] * readers)

    nodules = [(np.zeros(3), nodule(2, 5)), (np.array([3.0, 0, 0]), nodule(3, 4)), (np.full(3, 9.0), nodule(4, 1))]
    found = nearest_votes(nodules, (0.0, 0.0, 0.0), 4.0)
    assert found is not None
    assert found["malignancy"] == [4, 4, 4]
    assert nearest_votes(nodules, (0.0, 0.0, 0.0), 2.9) is None
    assert nearest_votes([], (0.0, 0.0, 0.0), 4.0) is None


def settings(out: Path) -> ReadersSettings:
    return compose_settings(ReadersSettings, "classification_readers", [f"out={out}", "bootstrap=20", "name=mine"])


def test_what_is_trained_is_what_is_loaded(tmp_path: Path) -> None:
    known = rated()
    path = train_on(known, settings(tmp_path))
    model, card = load_readers(path)
    held = np.array([fold_of(p) == 0 for p in known.patients.tolist()])
    expected = fit(known.at(~held), settings(tmp_path).fit)
    assert answers(model, known)[0] == pytest.approx(answers(expected, known)[0], abs=1e-6)
    assert (card["name"], card["data"]["n_nodules"]) == ("mine", int((~held).sum()))
    assert card["figures"]["held_out"]["malignancy"]["voted"]["n"] == int(held.sum())
    assert card["figures"]["out_of_fold"]["malignancy"]["voted"]["model"]["auc"] > 0.95
    again = train_on(known, settings(tmp_path / "again"))
    assert again.read_bytes() == path.read_bytes()


def test_patients_of_a_single_fold_are_refused(tmp_path: Path) -> None:
    known = rated()
    one = np.array([fold_of(p) == 1 for p in known.patients.tolist()])
    with pytest.raises(UsageError, match="two folds"):
        train_on(known.at(one), settings(tmp_path))


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    model, card = load_readers()
    path = tmp_path / "other.safetensors"
    save_weights(path, model.float().state_dict(), {**card, "inputs": ["age"]}, half=False)
    with pytest.raises(UsageError, match="must be a model of readers"):
        load_readers(path)
    save_weights(path, {"center": model.center}, card, half=False)
    with pytest.raises(UsageError, match="does not hold"):
        load_readers(path)


def test_opinions_move_as_readers_do() -> None:
    """The shipped model: a larger nodule is more suspicious, a calcified one less; ratings stay on their scales."""
    model, _ = load_readers()
    large = {**MEASURED, "mean_diameter_mm": 20.0, "volume_mm3": 4000.0, "calcification_pattern": "none"}
    small = {**large, "mean_diameter_mm": 4.0, "volume_mm3": 35.0}
    calcified = {**large, "calcification_pattern": "diffuse", "calcium_share": 0.7, "hu_p95": 900.0}
    said = model.opinions([large, small, calcified])
    assert said[0].suspicion > 0.5 > said[1].suspicion
    assert said[0].suspicion > said[2].suspicion
    assert said[2].ratings["calcification"] < said[0].ratings["calcification"]
    for opinion in said:
        assert list(opinion.ratings) == list(RATING_SCALES)
        assert all(low <= opinion.ratings[n] <= high for n, (low, high) in RATING_SCALES.items())
    assert model.opinions([large]) == said[:1]
    assert ReaderModel(3.0).opinions([]) == []


def test_the_shipped_weights_held_out_what_every_stage_holds_out() -> None:
    _, card = load_weights("nodule-readers-v1", Path("classification/weights"))
    assert "fold 0 of 4" in card["split"]
    assert "LIDC-IDRI-0001, LIDC-IDRI-0003" in card["split"]


@pytest.mark.slow
@pytest.mark.skipif(not HEADERS.exists(), reason="LUNA16's headers are not there: ../shared/data/luna16")
def test_four_readers_of_lidc_idri_0001() -> None:
    """The voxels, the place and the ratings are those of the XML of the collection: 5, 5, 5 and 4."""
    uid = "1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192"
    found = nearest_votes(readings_of({uid}, HEADERS)[uid], (56.208, 86.343, -115.868), 4.0)
    assert found is not None
    assert sorted(found["malignancy"]) == [4, 5, 5, 5]
