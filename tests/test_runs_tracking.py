"""MLflow holds what the run's folder holds, and a cut run stays one run."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest

from detection import train as train_module
from detection.train import train
from detection.training.engine import DetectorTraining
from detection.training.settings import TrainSettings
from runs.entry import UsageError
from runs.training.run_folder import MLFLOW_RUN
from runs.training.tracking import LoggerSettings, further_loggers, publish
from tests.patches import patches
from tests.training_settings import detection, short

INSTALLED = importlib.util.find_spec("mlflow") is not None
needs_mlflow = pytest.mark.skipif(not INSTALLED, reason="mlflow is not installed: pip install 'lungscreen[track]'")


def settings(out: Path, monkeypatch: pytest.MonkeyPatch, uri: str | None = None) -> TrainSettings:
    monkeypatch.setattr(train_module, "load_hosts", lambda *_: patches().hosts)
    monkeypatch.setattr(train_module, "load_crops", lambda *_: patches().crops)
    tiny = replace(detection().model, widths=(4, 8, 8, 8), head_width=8)
    return replace(
        detection(), experiment="tiny", out=out, model=tiny, trainer=short(), logger=LoggerSettings("mlflow", uri)
    )


def test_without_a_tracker_nobody_is_told(tmp_path: Path) -> None:
    assert further_loggers(LoggerSettings(), "tiny", {}, tmp_path) == []
    publish(LoggerSettings(), "tiny", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_tracker_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"logger\.tracker must be none or mlflow, got 'wandb'"):
        LoggerSettings("wandb")


@pytest.mark.skipif(INSTALLED, reason="mlflow is installed")
def test_missing_mlflow_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"lungscreen\[track\]"):
        further_loggers(LoggerSettings("mlflow"), "tiny", {}, tmp_path)


@needs_mlflow
@pytest.mark.slow
def test_mlflow_holds_settings_curves_weights_and_a_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    # Cut at step 3 and gone on with: still one run.
    step = DetectorTraining.training_step

    def dying(self: DetectorTraining, *rest: object) -> object:
        if self.global_step == 3:
            raise RuntimeError("the power went")
        return step(self, *rest)

    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(DetectorTraining, "training_step", dying)
        cut = settings(out, monkeypatch)
        with pytest.raises(RuntimeError, match="power"):
            train(cut)
    weights = train(settings(out, monkeypatch))
    assert train(settings(out, monkeypatch)) == weights
    client = MlflowClient(f"sqlite:///{out / 'mlflow.db'}")
    (group,) = [e for e in client.search_experiments() if e.name == "lungscreen"]
    (run,) = client.search_runs([group.experiment_id])
    assert run.info.run_id == (out / MLFLOW_RUN).read_text().strip()
    assert (run.info.run_name, run.info.status) == ("tiny", "FINISHED")
    assert (run.data.params["optimizer.lr"], run.data.params["sampling.patch"]) == ("0.002", "64")
    assert str(tmp_path) not in json.dumps(run.data.params)
    curve = [line.split(",") for line in (out / "curves.csv").read_text().splitlines()]
    for column, term in list(enumerate(curve[0]))[1:]:
        told = {point.step: point.value for point in client.get_metric_history(run.info.run_id, term)}
        assert told == {int(row[0]): pytest.approx(float(row[column])) for row in curve[1:]}, term
    (version,) = client.search_model_versions("name='tiny'")
    assert (int(version.version), version.run_id) == (1, run.info.run_id)
    back = Path(client.download_artifacts(run.info.run_id, "weights", str(tmp_path)))
    assert (back / weights.name).read_bytes() == weights.read_bytes()
    assert json.loads((back / "weights.json").read_text())["name"] == "tiny"
    # Another run in a store that is named: a second version there only of what was registered there.
    uri = f"sqlite:///{tmp_path / 'store' / 'all.db'}"
    for seed in (1, 2):
        train(replace(settings(tmp_path / str(seed), monkeypatch, uri), seed=seed))
    assert len(MlflowClient(uri).search_model_versions("name='tiny'")) == 2
    assert not (tmp_path / "1" / "mlflow.db").exists()
