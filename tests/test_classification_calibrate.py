"""The command: a site's outcomes in, a calibration out that the pipeline takes; mistakes end in a line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from classification.calibrate import CALIBRATION, CalibrateSettings, calibrate
from classification.calibration.stored import load_calibration
from runs.entry import UsageError, compose_settings
from runs.guards import GuardError
from tests.sites import site

DSB = Path("../shared/data/dsb2017")
real = pytest.mark.skipif(not DSB.exists(), reason="../shared/data/dsb2017 is missing")


def settings(out: Path, *overrides: str, **more: Any) -> CalibrateSettings:
    quick = ["plots=false", "bootstrap=100", *overrides]
    return replace(compose_settings(CalibrateSettings, "classification_calibrate", quick), out=out, **more)


def files(folder: Path, p: Any, label: Any, **columns: Any) -> dict[str, Path]:
    ids = [f"id{i:04}" for i in range(len(p))]
    pd.DataFrame({"id": ids, "cancer": p, **columns}).to_csv(folder / "said.csv", index=False)
    pd.DataFrame({"id": ids, "cancer": np.asarray(label).astype(int)}).to_csv(folder / "labels.csv", index=False)
    return {"predictions": folder / "said.csv", "labels": folder / "labels.csv"}


def written(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / CALIBRATION).read_text())
    return found


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_bent_probabilities_are_straightened_on_the_unseen(
    tmp_path: Path, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    p, label = site(3000)
    calibrate(settings(tmp_path / "out", f"method={method}", **files(tmp_path, p, label)))
    found = written(tmp_path / "out")
    figures = found["figures"]
    assert figures["before"]["expected_calibration_error"]["value"] > 0.15
    assert figures["after"]["expected_calibration_error"]["value"] < 0.04
    for name in ("brier", "log_loss", "expected_calibration_error"):
        assert figures["difference"][name]["high"] < 0, name
    assert (found["n"], found["positive"], found["folds"]) == (3000, int(label.sum()), 10)
    truth = expit(0.5 * logit(0.7) - 1.0)
    assert load_calibration(tmp_path / "out" / CALIBRATION).of(0.7) == pytest.approx(truth, abs=0.08)
    assert {point["rule"] for point in found["operating_points"]} >= {"sensitivity at least 0.9"}
    said = capsys.readouterr().out
    assert "log loss" in said
    assert "specificity at least 0.95" in said
    assert str(tmp_path) not in (tmp_path / "out" / CALIBRATION).read_text()


def test_a_stated_prevalence(tmp_path: Path) -> None:
    p = np.tile([0.2, 0.6], 200)
    label = np.concatenate([np.tile([True, False], 40), np.tile([False, False], 160)])
    calibrate(settings(tmp_path, "method=none", "prevalence=0.01", **files(tmp_path, p, label)))
    # 40 of 400 have cancer: odds of 1/9 become 1/99; odds of 1/4 become 1/4 * 9/99 = 1/44.
    found = load_calibration(tmp_path / CALIBRATION)
    assert found.of(0.2) == pytest.approx(1 / 45)
    assert (
        found.words == "none, fitted to 400 patients, 40 of them with cancer, for a prevalence of 0.01 instead of 0.1"
    )


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    chosen = settings(tmp_path, **files(tmp_path, *site(300)))
    calibrate(chosen)
    before = (tmp_path / CALIBRATION).read_bytes()
    calibrate(chosen)
    assert (tmp_path / CALIBRATION).read_bytes() == before


def test_what_is_calibrated_already_is_calibrated_by_what_it_was(tmp_path: Path) -> None:
    p, label = site(300)
    calibrate(settings(tmp_path / "a", **files(tmp_path, p, label)))
    columns = {"uncalibrated": p, "classifier": "abc", "calibration": "platt"}
    calibrate(settings(tmp_path / "b", **files(tmp_path, np.full(300, 0.5), label, **columns)))
    assert written(tmp_path / "a")["map"] == written(tmp_path / "b")["map"]
    assert written(tmp_path / "b")["classifier"] == "abc"
    mixed = settings(tmp_path, **files(tmp_path, p, label, **{**columns, "classifier": ["abc", "def"] * 150}))
    with pytest.raises(UsageError, match=r"of one classifier; said\.csv has those of abc, def"):
        calibrate(mixed)


def test_several_scans_of_a_patient_stay_together(tmp_path: Path) -> None:
    p, label = site(400)
    patient = [f"p{i // 2}" for i in range(400)]
    calibrate(settings(tmp_path, "group=patient", **files(tmp_path, p, np.repeat(label[::2], 2), patient=patient)))
    found = written(tmp_path)
    assert "clustered" in found["figures"]["after"]["roc_auc"]["method"]
    assert found["operating_points"][0]["sensitivity"]["method"].startswith("bootstrap")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["method=magic"], "method must be one of temperature, platt, isotonic, none; got magic"),
        (["prevalence=1.5"], r"prevalence must lie between 0 and 1, got 1\.5"),
        (["method=none"], r"give one, prevalence=\.\.\."),
        (["folds=1"], "folds must be at least 2, got 1"),
    ],
)
def test_settings_without_meaning(overrides: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        compose_settings(CalibrateSettings, "classification_calibrate", overrides)


def test_files_without_meaning(tmp_path: Path) -> None:
    p, label = site(100)
    with pytest.raises(UsageError, match=r"predictions=\.\.\. and labels=\.\.\. must each name"):
        calibrate(settings(tmp_path))
    with pytest.raises(UsageError, match="rise with the labels"):
        calibrate(settings(tmp_path, **files(tmp_path, 1 - p, label)))
    with pytest.raises(GuardError, match="one_class"):
        calibrate(settings(tmp_path, **files(tmp_path, p, np.ones(100))))
    with pytest.raises(GuardError, match="looks_like_logits"):
        calibrate(settings(tmp_path, **files(tmp_path, logit(p), label)))
    with pytest.raises(UsageError, match="folds=10 needs as many patients"):
        calibrate(settings(tmp_path, **files(tmp_path, p, p > np.sort(p)[95])))
    assert not (tmp_path / CALIBRATION).exists()


@real
def test_published_predictions_bent_on_purpose_come_back(tmp_path: Path) -> None:
    published = pd.read_csv(DSB / "submission_ens2_stage1.csv")
    published["cancer"] = expit(2 * logit(published["cancer"].clip(1e-6, 1 - 1e-6)) + 1)
    published.to_csv(tmp_path / "bent.csv", index=False)
    paths = {"predictions": tmp_path / "bent.csv", "labels": DSB / "stage1_labels.csv"}
    calibrate(settings(tmp_path, "truth=dsb2017", **paths))
    found = written(tmp_path)
    # As published: log loss .3930, and a platt line of slope 1.02.
    assert found["figures"]["before"]["log_loss"]["value"] > 0.45
    assert found["figures"]["after"]["log_loss"]["value"] == pytest.approx(0.393, abs=0.003)
    assert found["map"]["slope"] == pytest.approx(1.0238 / 2, abs=0.005)
    assert (found["n"], found["positive"]) == (1595, 419)
