"""Stage a: the network learns from nodules and tissue. Nothing here knows about files or configuration."""

from __future__ import annotations

from typing import Any

import lightning as L
import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import Dataset

from classification.crops import framed
from classification.network import NoduleNetwork, NoduleOutputs
from classification.samples import STORED, Samples
from classification.settings import ModelSettings, OptimizerSettings
from preprocessing.patches import normalise

# Readers' rating 1-5 as the chance of a cancer, and how much an example of it counts: 3 is "indeterminate".
SOFT_TARGET = (0.05, 0.2, 0.5, 0.8, 0.95)
TARGET_WEIGHT = (1.0, 0.7, 0.3, 0.7, 1.0)

Batch = dict[str, torch.Tensor]


class CropDataset(Dataset[Batch]):
    """Examples as network inputs, shifted, mirrored and disturbed when training; each epoch anew, by seed."""

    def __init__(self, samples: Samples, model: ModelSettings, training: bool, seed: int = 0) -> None:
        self.samples, self.model, self.training = samples, model, training
        self.rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Batch:
        crop, diameter = self.samples.crops[index], float(self.samples.diameter_mm[index])
        offset = np.full(3, (STORED - self.model.crop) // 2)
        along_z, in_plane = self.model.margins_mm
        if self.training:
            # About as far off as a detector is in place and in size.
            offset = offset + self.rng.integers(-2, 3, 3)
            diameter *= float(np.exp(self.rng.normal(0, 0.15)))
            along_z *= float(self.rng.uniform(0, 1))
        z, y, x = offset
        n = self.model.crop
        image = normalise(framed(crop[z : z + n, y : y + n, x : x + n], diameter, (along_z, in_plane)))
        if self.training:
            image = self._disturbed(image)
        ratings = self.samples.ratings[index]
        known = not np.isnan(ratings).any()
        level = round(float(np.nan_to_num(self.samples.malignancy[index], nan=1.0))) - 1
        return {
            "crop": torch.from_numpy(np.ascontiguousarray(image))[None],
            "diameter_mm": torch.tensor(diameter, dtype=torch.float32),
            "is_nodule": torch.tensor(float(self.samples.is_nodule[index])),
            "malignancy": torch.tensor(SOFT_TARGET[level]),
            "weight": torch.tensor(TARGET_WEIGHT[level] if known else 0.0),
            "ratings": torch.from_numpy(np.nan_to_num(ratings)),
            "known": torch.tensor(float(known)),
        }

    def _disturbed(self, image: Any) -> Any:
        for axis in range(3):
            if self.rng.random() < 0.5:
                image = np.flip(image, axis)
        if self.rng.random() < 0.5:
            image = image.transpose(0, 2, 1)
        noise = self.rng.normal(0, self.rng.uniform(0, 0.03), image.shape)
        return np.clip(image + noise + self.rng.normal(0, 0.02), 0, 1).astype(np.float32)


class NoduleTraining(L.LightningModule):
    """Network, losses and optimiser; the loop is Lightning's."""

    def __init__(self, model: ModelSettings, optimizer: OptimizerSettings, steps: int) -> None:
        super().__init__()
        self.network = NoduleNetwork(model.widths, model.hidden)
        self.optimizer_settings, self.steps = optimizer, steps

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        """One batch; stops loudly, with the terms, when the loss is not finite."""
        out = self.network(batch["crop"], batch["diameter_mm"])
        terms = {
            "nodule_loss": nodule_loss(out, batch),
            "malignancy_loss": malignancy_loss(out, batch),
            "rating_loss": self.optimizer_settings.rating_weight * rating_loss(out, batch),
        }
        loss = torch.stack(list(terms.values())).sum()
        if not bool(torch.isfinite(loss)):
            values = {name: float(value.detach()) for name, value in terms.items()}
            raise FloatingPointError(f"the loss is not finite at step {self.global_step}: {values}")
        self.log_dict({name: value.detach() for name, value in terms.items()}, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW, one cycle over all steps."""
        s = self.optimizer_settings
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=s.lr, weight_decay=s.weight_decay)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, s.lr, total_steps=max(self.steps, 2))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def nodule_loss(out: NoduleOutputs, batch: Batch) -> torch.Tensor:
    """Nodule or tissue; constant when a run has no tissue at all, which the bag's gate then leaves to the score."""
    return functional.binary_cross_entropy_with_logits(out.nodule, batch["is_nodule"])


def malignancy_loss(out: NoduleOutputs, batch: Batch) -> torch.Tensor:
    """Soft cross-entropy against the readers' suspicion, tissue left out."""
    each = functional.binary_cross_entropy_with_logits(out.malignancy, batch["malignancy"], reduction="none")
    return (each * batch["weight"]).sum() / batch["weight"].sum().clamp_min(1.0)


def rating_loss(out: NoduleOutputs, batch: Batch) -> torch.Tensor:
    """Squared error of the ratings on [0, 1], tissue left out."""
    each = (out.ratings - batch["ratings"]).square().mean(1)
    return (each * batch["known"]).sum() / batch["known"].sum().clamp_min(1.0)


@torch.no_grad()
def answers(network: NoduleNetwork, samples: Samples, model: ModelSettings, batch: int = 64) -> NoduleOutputs:
    """The network's answers for all examples, without disturbance."""
    network.eval()
    data = CropDataset(samples, model, training=False)
    parts = []
    for start in range(0, len(data), batch):
        items = [data[i] for i in range(start, min(start + batch, len(data)))]
        crops = torch.stack([i["crop"] for i in items])
        parts.append(network(crops, torch.stack([i["diameter_mm"] for i in items])))
    return NoduleOutputs(*(torch.cat(column) for column in zip(*parts, strict=True)))
