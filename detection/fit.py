"""Hosts and chips in, averaged weights out: the loop around `engine`, resumable at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from detection.engine import DetectorTraining
from detection.network import CompactRetinaNet
from detection.sampling import Host, HybridPatches, collate
from detection.settings import TrainSettings
from phantom.hybrid import Chip


def fit(hosts: Sequence[Host], chips: Sequence[Chip], settings: TrainSettings, out: Path) -> CompactRetinaNet:
    """Train and return the network with averaged weights.

    A run in `out` that was cut goes on from its last checkpoint when `settings.resume` is set.
    """
    L.seed_everything(settings.seed, workers=True, verbose=False)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    done = _progress(out)
    data = HybridPatches(hosts, chips, settings.sampling, settings.seed + 1000 * done)
    loader: DataLoader[Any] = DataLoader(
        data,
        settings.batch,
        num_workers=settings.workers,
        collate_fn=collate,
        persistent_workers=False,
        prefetch_factor=4 if settings.workers else None,
    )
    module = DetectorTraining(settings.model, settings.optimizer, settings.steps)
    checkpoints = ModelCheckpoint(out / "checkpoints", save_last=True, every_n_train_steps=settings.checkpoint_steps)
    trainer = L.Trainer(
        default_root_dir=out,
        max_steps=settings.steps,
        max_time=timedelta(minutes=settings.minutes) if settings.minutes else None,
        accelerator="auto",
        devices=1,
        precision=settings.precision,  # type: ignore[arg-type]
        gradient_clip_val=settings.optimizer.clip,
        callbacks=[
            EMAWeightAveraging(decay=settings.optimizer.ema_decay),
            checkpoints,
            TQDMProgressBar(refresh_rate=20),
        ],
        logger=CSVLogger(out, name="curves", version=""),
        log_every_n_steps=20,
        enable_model_summary=False,
    )
    last = out / "checkpoints" / "last.ckpt"
    trainer.fit(module, loader, ckpt_path=last if settings.resume and last.exists() else None, weights_only=False)
    network: CompactRetinaNet = module.network
    return network


def _progress(out: Path) -> int:
    """How many times this run was started: a resumed stream must not repeat the first patches."""
    out.mkdir(parents=True, exist_ok=True)
    counter = out / "starts"
    starts = int(counter.read_text()) if counter.exists() else 0
    counter.write_text(str(starts + 1))
    return starts
