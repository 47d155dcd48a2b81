"""The training step, and nothing about files or configuration sources."""

from __future__ import annotations

import math
from typing import Any

import torch

from detection.models.interface import DetectorModel, Truth
from detection.training.settings import OptimizerSettings
from runs.training.loop import Learner

Batch = tuple[torch.Tensor, Truth]


class DetectorTraining(Learner):
    """Network, criterion and optimiser; the loop, EMA and checkpoints are Lightning's."""

    def __init__(self, model: DetectorModel, optimizer: OptimizerSettings, steps: int) -> None:
        super().__init__()
        self.model = model
        self.optimizer_settings = optimizer
        self.steps = steps

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        """One batch; stops loudly, with the terms, when the loss is not finite."""
        images, truth = batch
        return self.summed(self.model.loss(images, truth))

    def configure_optimizers(self) -> Any:
        """AdamW, linear warm-up, cosine decay to zero over `steps`."""
        settings = self.optimizer_settings
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _share(self, step: int) -> float:
        warmup = self.optimizer_settings.warmup_steps
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step - warmup) / max(1, self.steps - warmup))
        return 0.5 * (1 + math.cos(math.pi * done))
