"""MLflow beside the curve: settings and curves while a training runs, weights, card and a model version at its end.

The folder of the run stays what counts: MLflow holds copies, and no path of any machine but its own artefact store's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, MLFlowLogger

from runs.entry import UsageError
from runs.training.run_folder import CURVES, CURVES_PICTURE, MLFLOW_RUN, WEIGHTS, flat

NONE, MLFLOW = "none", "mlflow"
SQLITE = "sqlite:///"


@dataclass(frozen=True)
class LoggerSettings:
    """Who is told of a training, beside `curves.csv`.

    Attributes:
        tracker: none or mlflow.
        uri: of MLflow's server or store; None: `mlflow.db` under the run's `out`.
        group: the MLflow experiment that the run belongs to.
    """

    tracker: str = NONE
    uri: str | None = None
    group: str = "lungscreen"

    def __post_init__(self) -> None:
        if self.tracker not in (NONE, MLFLOW):
            raise UsageError(f"logger.tracker must be {NONE} or {MLFLOW}, got {self.tracker!r}")


def further_loggers(settings: LoggerSettings, name: str, parameters: Mapping[str, Any], out: Path) -> list[Logger]:
    """What `runs.training.loop.fit` logs to beside the curve; a run that was cut goes on as the same MLflow run.

    The steps between its last checkpoint and the cut are then there twice.

    Args:
        settings: whether, and where.
        name: of the run.
        parameters: settings as a card holds them (`runs.training.card.stated`).
        out: of the run.

    Raises:
        UsageError: mlflow is not installed.
    """
    if settings.tracker == NONE:
        return []
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    known = out / MLFLOW_RUN
    run_id = known.read_text(encoding="utf-8").strip() if known.is_file() else None
    uri, artifacts = _store(settings, out)
    try:
        logger = MLFlowLogger(settings.group, name, uri, artifact_location=artifacts, run_id=run_id)
    except ModuleNotFoundError:
        raise UsageError("logger=mlflow needs mlflow: pip install 'lungscreen[track]'") from None
    if run_id is None:
        logger.log_hyperparams(dict(flat(parameters)))
        assert logger.run_id is not None
        known.write_text(logger.run_id + "\n", encoding="utf-8")
    return [logger]


def publish(settings: LoggerSettings, name: str, out: Path) -> None:
    """Hand over weights, card and curve of a finished run, and register the weights as a version of model `name`.

    Once: a run that has a version, or that MLflow was not told of while it ran, is left alone.
    """
    known = out / MLFLOW_RUN
    if settings.tracker == NONE or not known.is_file():
        return
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    client = MlflowClient(_store(settings, out)[0])
    run = client.get_run(known.read_text(encoding="utf-8").strip())
    if client.search_model_versions(f"run_id='{run.info.run_id}'"):
        return
    for path in (out / WEIGHTS, (out / WEIGHTS).with_suffix(".json")):
        client.log_artifact(run.info.run_id, str(path), "weights")
    for path in (out / CURVES, out / CURVES_PICTURE):
        client.log_artifact(run.info.run_id, str(path))
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    client.create_model_version(name, source=f"{run.info.artifact_uri}/weights", run_id=run.info.run_id)


def _store(settings: LoggerSettings, out: Path) -> tuple[str, str | None]:
    """Tracking URI, and the folder of artefacts: beside a SQLite file, left to the server otherwise."""
    uri = settings.uri or f"{SQLITE}{out.resolve() / 'mlflow.db'}"
    if not uri.startswith(SQLITE):
        return uri, None
    folder = Path(uri.removeprefix(SQLITE)).resolve().parent
    folder.mkdir(parents=True, exist_ok=True)
    return uri, (folder / "mlflow_artifacts").as_uri()
