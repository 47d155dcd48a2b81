"""Maps by hand and by scikit-learn's own calibration; what was bent is straightened; bad files end in a line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from classification.calibration.fitting import METHODS, cross_fitted, fit_map
from classification.calibration.maps import Calibration, LogitLine, Steps, log_odds_between
from classification.calibration.operating import operating_points
from classification.calibration.stored import FORMAT, load_calibration, map_as_json
from classification.metrics.estimates import MetricSettings
from runs.bootstrap import Array, Floats
from runs.entry import UsageError
from tests.sites import site


def test_maps_by_hand() -> None:
    # Odds 4 to the power of a half are 2; times e^log(3) 6.
    assert LogitLine(0.5)(np.array([0.8]))[0] == pytest.approx(2 / 3)
    assert LogitLine(0.5, math.log(3))(np.array([0.8]))[0] == pytest.approx(6 / 7)
    assert LogitLine()(np.array([0.0, 0.3, 1.0])).tolist() == [0.0, 0.3, 1.0]
    steps = Steps((0.2, 0.4, 0.8), (0.1, 0.3, 0.3))
    assert steps(np.array([0.0, 0.3, 0.6, 0.9])) == pytest.approx([0.1, 0.2, 0.3, 0.3])
    assert np.isfinite(LogitLine(2.0)(np.array([0.0, 1.0]))).all()


def test_a_prior_shift_gives_the_stated_prevalence_by_bayes() -> None:
    # Prevalence .2: of a test with likelihood ratio 9, odds 9/4, p = 9/13. At .01: odds 9/99 = 1/11, p = 1/12.
    shift = Calibration(LogitLine(), log_odds_between(0.2, 0.01))
    assert shift.of(9 / 13) == pytest.approx(1 / 12)
    assert Calibration(LogitLine(), log_odds_between(0.3, 0.3)).of(0.123) == 0.123


def test_platt_and_temperature_find_what_bent_the_probabilities() -> None:
    p, label = site()
    line = METHODS["platt"](p, label)
    assert isinstance(line, LogitLine)
    assert (line.slope, line.intercept) == (pytest.approx(0.5, abs=0.05), pytest.approx(-1.0, abs=0.1))
    p, label = site(intercept=0.0)
    line = METHODS["temperature"](p, label)
    assert isinstance(line, LogitLine)
    assert (line.slope, line.intercept) == (pytest.approx(0.5, abs=0.05), 0.0)


@pytest.mark.parametrize(("method", "own"), [("temperature", "temperature"), ("isotonic", "isotonic")])
def test_scikit_learn_calibrates_alike(method: str, own: str) -> None:
    p, label = site(400)
    # A classifier whose decision is its argument: the logit.
    plain = LogisticRegression().fit(logit(p)[:, None], label)
    plain.coef_[:], plain.intercept_[:] = 1.0, 0.0
    theirs = CalibratedClassifierCV(FrozenEstimator(plain), method=method).fit(logit(p)[:, None], label)
    said, ours = theirs.predict_proba(logit(p)[:, None])[:, 1], fit_map(own, p, label)(p)
    # It leaves isotonic answers at 0 and 1, where ours stop at 1 / (n + 2).
    assert ours == pytest.approx(np.clip(said, 1 / 402, 401 / 402), abs=2e-3)


def test_platt_is_the_logistic_regression_of_the_labels() -> None:
    p, label = site(400)
    # At the maximum of the likelihood residuals vanish, alone and with the logit.
    residual = fit_map("platt", p, label)(p) - label
    assert residual.sum() == pytest.approx(0, abs=1e-3)
    assert (residual * logit(p)).sum() == pytest.approx(0, abs=1e-3)


def test_isotonic_by_hand_is_never_certain() -> None:
    p, label = np.array([0.1, 0.2, 0.3, 0.4, 0.5]), np.array([False, True, False, True, True])
    # The second and third change places: both are .5; 1 / 7 and 6 / 7 bound the ends.
    said = fit_map("isotonic", p, label)(np.array([0.0, 0.1, 0.2, 0.3, 0.5, 1.0]))
    assert said == pytest.approx([1 / 7, 1 / 7, 0.5, 0.5, 6 / 7, 6 / 7])


def test_nobody_is_calibrated_by_their_own_group(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    groups = np.repeat([f"p{i}" for i in range(20)], 3)
    p, label = site(60)
    label[:] = np.repeat(np.arange(20) % 2 == 0, 3)
    names = dict(zip(p.tolist(), groups.tolist(), strict=True))

    def method(probability: Floats, _: Array) -> LogitLine:
        seen.append({names[v] for v in probability.tolist()})

        def answer(asked: Floats) -> Floats:
            assert not seen[-1] & {names[v] for v in asked.tolist()}
            return asked

        return answer  # type: ignore[return-value]

    monkeypatch.setitem(METHODS, "platt", method)
    assert cross_fitted("platt", p, label, groups, 5, 0).tolist() == p.tolist()
    assert len(seen) == 5
    assert all(len(names) == 16 for names in seen)


def test_too_few_patients_and_probabilities_of_the_other_class() -> None:
    p, label = site(200)
    few = np.arange(200) < 3
    with pytest.raises(
        UsageError, match=r"folds=10 needs as many patients of each class; there are 3 with cancer and"
    ):
        cross_fitted("platt", p, few, None, 10, 0)
    for method in ("platt", "temperature"):
        with pytest.raises(UsageError, match=rf"method={method} needs probabilities that rise with the labels"):
            fit_map(method, 1 - p, label)


def test_operating_points_by_hand() -> None:
    label = np.array([0, 0, 0, 0, 1, 1, 1, 1], dtype=bool)
    p = np.array([0.1, 0.2, 0.3, 0.6, 0.2, 0.5, 0.7, 0.9])
    settings = MetricSettings(specificities=(0.75, 1.0), sensitivities=(0.75,), bootstrap=50)
    some, all_, found = operating_points(label, p, settings)
    # From .5 on: 3 of 4 found, 1 of 4 called wrongly. Clopper-Pearson of 3 in 4: .1941 to .9937.
    assert (some.threshold, some.sensitivity.value, some.specificity.value) == (0.5, 0.75, 0.75)
    assert (some.sensitivity.low, some.sensitivity.high) == (
        pytest.approx(0.1941, abs=1e-4),
        pytest.approx(0.9937, abs=1e-4),
    )
    assert (all_.threshold, all_.sensitivity.value, all_.specificity.value) == (0.7, 0.5, 1.0)
    assert (found.rule, found.threshold) == ("sensitivity at least 0.75", 0.5)
    by_group, *_ = operating_points(label, p, settings, np.array(list("abcdefgh")))
    assert by_group.sensitivity.method.startswith("bootstrap")
    assert by_group.sensitivity.low < 0.75 < by_group.sensitivity.high + 1e-9


@pytest.mark.parametrize("curve", [LogitLine(0.5, -1.0), Steps((0.1, 0.2), (0.0, 0.5))])
def test_a_file_holds_a_calibration(tmp_path: Path, curve: LogitLine | Steps) -> None:
    path = tmp_path / "calibration.json"
    stored = {"format": FORMAT, "map": map_as_json(curve), "log_odds": -0.5, "words": "w", "classifier": "c"}
    path.write_text(json.dumps(stored))
    found = load_calibration(path)
    assert (found.curve, found.log_odds, found.words, found.classifier, len(found.sha256)) == (
        curve,
        -0.5,
        "w",
        "c",
        16,
    )


LINE = {"kind": "logit_line", "slope": 1.0, "intercept": 0.0}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "it is no JSON"),
        ("[1]", "with format"),
        ('{"format": "other"}', "with format"),
        ({"map": LINE}, "does not hold a calibration: 'log_odds'"),
        ({"map": {**LINE, "slope": -1.0}}, "slope above 0"),
        ({"map": {**LINE, "kind": "tree"}}, "kind logit_line or steps, got tree"),
        ({"map": {"kind": "steps", "x": [0.2, 0.1], "y": [0.1, 0.2]}}, "as many x, rising"),
        ({"map": {"kind": "steps", "x": [0.1, 0.2], "y": [0.1, 1.2]}}, "all in"),
        ({"map": LINE, "log_odds": math.inf, "words": "", "classifier": ""}, "log_odds must be finite"),
    ],
)
def test_what_is_no_calibration_ends_in_a_line(tmp_path: Path, content: object, said: str) -> None:
    path = tmp_path / "calibration.json"
    if isinstance(content, dict):
        content = json.dumps({"format": FORMAT, **content})
    path.write_text(str(content))
    with pytest.raises(UsageError, match=said):
        load_calibration(path)
