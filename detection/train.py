"""`python -m detection.train experiment=...`: chests and nodules in, weights and their model card out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from detection.detector import SHIPPED
from detection.models.interface import build_model
from detection.training.chests import (
    load_context,
    load_crops,
    load_hosts,
    open_archive,
    split_by,
    stored_hosts,
    validation_phantoms,
    without_nodules,
)
from detection.training.engine import DetectorTraining
from detection.training.hosts import Host
from detection.training.sampling import HybridPatches, collate, halved
from detection.training.settings import ONLY_WHERE, TrainSettings
from detection.training.validation import ValidationFroc
from preprocessing.archives.archive import Archive
from runs.entry import UsageError, run
from runs.lock import held
from runs.seeds import seed_of
from runs.training.card import origin, stated
from runs.training.figures import figures_of
from runs.training.loop import ONLY_SPEED, fit
from runs.training.run_folder import WEIGHTS, claim, claim_series, finished
from runs.training.tracking import further_loggers, publish
from runs.training.validation import Selection
from runs.training.weights import load_weights, save_weights

log = logging.getLogger(__name__)


def train(settings: TrainSettings, archive: Archive | None = None) -> Path:
    """Train, write `weights.safetensors` and its card under `settings.out`, and return their path.

    A run that was cut goes on; one that had ended is left as it is.

    Args:
        settings: of the run.
        archive: of its data, where it is open already.

    Raises:
        UsageError: `out` holds another run or is another process's, or there is nothing to train on.
    """
    with held(settings.out):
        return _train(settings, archive)


def _train(settings: TrainSettings, archive: Archive | None) -> Path:
    out = settings.out
    claim(out, identity(settings), settings.resume)
    done = finished(out)
    if done is not None:
        publish(settings.logger, settings.experiment, out)
        log.info("this training had ended: its weights are %s", done)
        return done
    torch.manual_seed(seed_of("detection.weights", settings.seed))
    model = build_model(settings.model)
    archive = archive or open_archive(settings.data)
    patches, counts = load_patches(settings, model.levels, archive)
    if archive is not None:
        claim_series(out, [host.series_uid for host in patches.hosts if host.series_uid])
    selection = load_selection(settings, patches, archive)
    log.info("training on %s", ", ".join(f"{name}={n}" for name, n in counts.items()))
    if settings.start is not None:
        model.take(load_weights(settings.start, SHIPPED)[0])
    module = DetectorTraining(model, settings.optimizer, settings.trainer.steps)
    told = further_loggers(settings.logger, settings.experiment, stated(settings, ("out", "resume", "logger")), out)
    fit(module, patches, collate, settings.trainer, settings.seed, out, told, selection)
    path = out / WEIGHTS
    save_weights(path, model.weights(), card_of(settings, counts))
    publish(settings.logger, settings.experiment, out)
    log.info("weights written to %s", path)
    return path


def load_patches(
    settings: TrainSettings, levels: Sequence[int], archive: Archive | None = None
) -> tuple[HybridPatches, dict[str, int]]:
    """The stream of patches at the levels of a model, and how many chests, nodules and cubes it is made of.

    Args:
        settings: of the training.
        levels: of the model.
        archive: `open_archive` of its data.

    Raises:
        UsageError: there is no chest, or no such part of the archive.
    """
    data = split_by(settings.data, archive)
    crops, cubes = load_crops(data), load_context(data)
    hosts = load_hosts(data, settings.seed, archive)
    counts = {"n_chests": len(hosts), "n_nodules": len(crops), "n_cubes": len(cubes)}
    hosts = at_levels(hosts, levels, settings.sampling.masses)
    shown = settings.model.preparation
    return HybridPatches(hosts, crops, cubes, settings.sampling, settings.seed, shown), counts


def at_levels(hosts: Sequence[Host], levels: Sequence[int], share: float) -> list[Host]:
    """Chests at all levels of a model; its coarser ones get so great a share of the patches together, evenly."""
    out = coarser = list(hosts)
    for _ in levels[1:]:
        coarser = [halved(host, host.weight) for host in coarser]
        each = share / (1 - share) / (len(levels) - 1)
        out = [*out, *(replace(host, weight=host.weight * each) for host in coarser)]
    return out


def load_selection(
    settings: TrainSettings, patches: HybridPatches, archive: Archive | None = None
) -> Selection | None:
    """What the best weights are chosen by: nodules of the validation fold, in their own chests where these are an
    archive's, or else blended into the chests of the training.

    Raises:
        UsageError: nothing is left to choose by.
    """
    if not settings.validation.every_steps:
        return None
    data = split_by(settings.data, archive)
    hosts = [without_nodules(host) for host in patches.hosts]
    crops, cubes = load_crops(data, validation=True), load_context(data, validation=True)
    if archive is not None:
        hosts = stored_hosts(data, archive, validation=True)
        if not hosts:
            raise UsageError("validation needs patients to choose by: data.split.validation_fold=0, 1, 2 or 3")
    elif patches.crops or patches.cubes:
        if not crops and not cubes:
            raise UsageError("validation needs patients to choose by: data.split.validation_fold=0, 1, 2 or 3")
    elif settings.data.phantoms:
        hosts = validation_phantoms(settings.data, settings.seed)
    else:
        raise UsageError("validation needs nodules to blend in or phantoms: data.nodules=FOLDER, data.phantoms=N")
    fixed = HybridPatches(hosts, crops, cubes, settings.sampling, settings.seed, patches.preparation)
    return Selection(ValidationFroc(fixed, settings.validation.patches, settings.seed), settings.validation)


def identity(settings: TrainSettings) -> dict[str, Any]:
    """What decides the weights: all settings but where they go and how fast."""
    values = {k: v for k, v in asdict(settings).items() if k not in ("experiment", "out", "resume", "logger")}
    values["trainer"] = {k: v for k, v in values["trainer"].items() if k not in ONLY_SPEED}
    values["data"] = {k: v for k, v in values["data"].items() if k not in ONLY_WHERE}
    return values


def card_of(settings: TrainSettings, counts: dict[str, int]) -> dict[str, Any]:
    """What is known at the end of training; measured figures join it with their commands. No paths."""
    return {
        "name": settings.experiment,
        "model": asdict(settings.model),
        "preparation": settings.model.preparation.stated(),
        "training": stated(settings, ("model", "data", "out", "resume", "logger")),
        "data": {**stated(settings.data, ONLY_WHERE), **counts},
        "split": settings.data.split.describe(),
        **origin(f"python -m detection.train experiment={settings.experiment}", ("lungscreen", "torch", "lightning")),
    }


def main() -> None:
    """Entry point."""
    run(train_command, TrainSettings, "detection_train")


def train_command(settings: TrainSettings) -> dict[str, float]:
    """`train`, for the command line; the figures that a sweep may judge it by."""
    train(settings)
    return figures_of(settings.out)


if __name__ == "__main__":
    main()
