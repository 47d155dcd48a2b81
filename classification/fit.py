"""Both stages of the training: the nodule network, then the bag's few parameters."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from classification.bags import Bags
from classification.engine import CropDataset, NoduleTraining
from classification.network import NoduleNetwork
from classification.noisy_or import NoisyOrBag
from classification.samples import Samples
from classification.settings import TrainSettings


def fit_network(samples: Samples, settings: TrainSettings, out: Path) -> NoduleNetwork:
    """Stage a. Goes on from `out/checkpoints/last.ckpt` when a killed run left one."""
    L.seed_everything(settings.seed, verbose=False)
    data = CropDataset(samples, settings.model, training=True, seed=settings.seed)
    loader = DataLoader(data, batch_size=settings.batch, shuffle=True, drop_last=len(data) > settings.batch)
    steps = settings.epochs * len(loader)
    training = NoduleTraining(settings.model, settings.optimizer, steps)
    keeper = ModelCheckpoint(dirpath=out / "checkpoints", save_last=True, save_top_k=0)
    trainer = L.Trainer(
        max_epochs=settings.epochs,
        callbacks=[keeper],
        logger=CSVLogger(out, name="curves", version=""),
        enable_model_summary=False,
        gradient_clip_val=5.0,
        log_every_n_steps=10,
        num_sanity_val_steps=0,
    )
    last = out / "checkpoints" / "last.ckpt"
    trainer.fit(training, loader, ckpt_path=str(last) if last.exists() else None)
    return training.network.cpu().eval()


def fit_bag(bags: Bags, settings: TrainSettings) -> tuple[NoisyOrBag, float]:
    """Stage b: leak, scale, bias and gate by LBFGS on the patients' labels; also the final mean loss.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    bag = NoisyOrBag()
    optimizer = torch.optim.LBFGS(bag.parameters(), max_iter=settings.bag.steps, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = bag_loss(bag(bags.nodule, bags.malignancy, bags.score, bags.present), bags.label)
        loss = loss + 1e-4 * sum((p.square() for p in bag.parameters()), torch.zeros(()))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        final = float(bag_loss(bag(bags.nodule, bags.malignancy, bags.score, bags.present), bags.label))
    if not np.isfinite(final):
        values = {name: float(value.detach()) for name, value in bag.named_parameters()}
        raise FloatingPointError(f"the bag's loss is not finite: {values}")
    return bag.eval(), final


def bag_loss(log_survival: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of P = 1 - exp(log_survival) against labels in [0, 1]."""
    log_survival = log_survival.clamp_max(-1e-7)
    log_p = torch.log(-torch.expm1(log_survival))
    return -(label * log_p + (1 - label) * log_survival).mean()
