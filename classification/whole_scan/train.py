"""`python -m classification.whole_scan.train input=SCANS labels=CSV`: the whole-scan baseline, and its answers.

Four networks, one for each fold of patients (`preprocessing.splits.fold_of`, the rule of all trainings), answer the
patients that they have not seen; `predictions.csv` holds these answers. A fifth, which has seen all, is kept.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from classification.metrics.delong import auc_delong
from classification.metrics.guards import checked_labels
from classification.metrics.predictions import read_table
from classification.whole_scan.engine import Grids, Labels, fit_network, probabilities
from classification.whole_scan.network import resized
from classification.whole_scan.settings import WholeScanSettings
from preprocessing.cohort import every_scan
from preprocessing.prepare import default_cache
from preprocessing.splits import FOLDS, fold_of
from runs.csv_text import write_csv
from runs.entry import UsageError, run
from runs.lock import held
from runs.training.card import origin, stated
from runs.training.loop import ONLY_SPEED
from runs.training.run_folder import WEIGHTS, claim, claim_series, finished
from runs.training.weights import save_weights

log = logging.getLogger(__name__)

PREDICTIONS = "predictions.csv"


def train(settings: WholeScanSettings) -> Path:
    """Write weights, their card and `predictions.csv`; returns the path of the weights.

    A run that was cut goes on where it stopped; a finished one keeps its weights.

    Raises:
        FileNotFoundError: no scans or labels there.
        UsageError: a scan is refused, a patient has several scans or no label, or a fold leaves a class empty.
    """
    path = finished(settings.out)
    if path is not None and settings.resume:
        claim(settings.out, settings.deciding(), resume=True)
        log.info("this training is finished: %s stays as it is (resume=false begins again)", path)
        return path
    patients, uids, grids = read_grids(settings.input, settings.network.size)
    labels = labels_of(patients, settings.labels)
    folds = np.array([fold_of(p) for p in patients])
    check_folds(labels, folds)
    with held(settings.out):
        claim(settings.out, settings.deciding(), settings.resume)
        claim_series(settings.out, uids)
        return _train_on(patients, grids, labels, folds, settings)


def read_grids(folder: Path, size: int) -> tuple[list[str], list[str], Grids]:
    """Patients, series and the (N, size, size, size) grids of all scans under `folder`."""
    patients, uids, grids = [], [], []
    for scan, prepared in every_scan([folder], (), default_cache()):
        patients.append(scan.patient_id)
        uids.append(scan.series_uid)
        grids.append(resized(prepared, size))
    if len(set(patients)) < len(patients):
        raise UsageError(
            f"each patient must have one scan; got {len(patients)} scans of {len(set(patients))} patients"
        )
    return patients, uids, np.stack(grids)


def labels_of(patients: Sequence[str], path: Path) -> Labels:
    """(N,) whether a patient has cancer, of a csv `id,cancer`."""
    table = read_table(path)
    missing = [p for p in patients if p not in table.index]
    if missing:
        raise UsageError(f"{path.name} must have a row for every patient; {len(missing)} of {len(patients)} have none")
    values = pd.to_numeric(table.loc[list(patients), "cancer"], errors="coerce").to_numpy(float)
    return np.asarray(checked_labels(values, path.name), bool)


def check_folds(labels: Labels, folds: npt.NDArray[np.int64]) -> None:
    """Outside of every fold there must be patients of both classes."""
    for fold in np.unique(folds):
        if len(np.unique(labels[folds != fold])) < 2:
            raise UsageError(
                f"outside of fold {fold} there must be patients with cancer and without: more patients are needed, "
                f"got {len(labels)}, {int(labels.sum())} of them with cancer"
            )


def _train_on(
    patients: list[str], grids: Grids, labels: Labels, folds: npt.NDArray[np.int64], settings: WholeScanSettings
) -> Path:
    answers = np.zeros(len(labels))
    for fold in np.unique(folds).tolist():
        kept = folds == fold
        log.info("fold %d of %d: %d patients to answer, %d to learn from", fold + 1, FOLDS, kept.sum(), (~kept).sum())
        network = fit_network(grids[~kept], labels[~kept], settings, fold, settings.out / f"fold{fold}")
        answers[kept] = probabilities(network, grids[kept])
    network = fit_network(grids, labels, settings, FOLDS, settings.out)
    rows = pd.DataFrame({"id": patients, "cancer": answers, "fold": folds})
    write_csv(settings.out / PREDICTIONS, rows, float_format="%.6f")
    auc = auc_delong(labels, answers)
    figure = {"auc": [round(v, 4) for v in (auc.value, auc.low, auc.high)], "n": len(labels)}
    path = settings.out / WEIGHTS
    save_weights(path, network.state_dict(), card_of(settings, labels, figure))
    log.info("AUC out of fold %.3f (%.3f-%.3f), weights in %s", auc.value, auc.low, auc.high, path)
    return path


def card_of(settings: WholeScanSettings, labels: Labels, figure: dict[str, Any]) -> dict[str, Any]:
    """What is known of the network, without any path of a machine."""
    training = stated(settings, leave_out=("input", "labels", "out", "resume"))
    training["trainer"] = {k: v for k, v in training["trainer"].items() if k not in ONLY_SPEED}
    return {
        "name": settings.name,
        "model": {"kind": "whole_scan", **asdict(settings.network)},
        "training": training,
        "data": {"scans": settings.input.name, "n": len(labels), "cancer": int(labels.sum())},
        "split": f"{FOLDS} folds by patient (fold = int(sha256(patient_id)[:8], 16) * {FOLDS} // 2**32); "
        "the weights have seen all of them",
        "figures": {"patients_out_of_fold": figure},
        "known_failures": [
            "a nodule of a few millimetres is less than a voxel of the grid",
            "answers are chances where half of all patients have cancer: uncalibrated for any population",
        ],
        **origin("python -m classification.whole_scan.train", ("lungscreen", "torch", "lightning")),
    }


def train_command(settings: WholeScanSettings) -> dict[str, float]:
    """`train`, for the command line."""
    card = json.loads(train(settings).with_suffix(".json").read_text(encoding="utf-8"))
    return {"auc_out_of_fold": float(card["figures"]["patients_out_of_fold"]["auc"][0])}


def main() -> None:
    """Entry point."""
    run(train_command, WholeScanSettings, "classification_whole_scan_train")


if __name__ == "__main__":
    main()
