"""Stage a: the network learns from nodules and tissue. Nothing here knows about files or configuration."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from classification.crops import framed
from classification.network import NoduleNetwork, NoduleOutputs
from classification.settings import ModelSettings
from classification.training.samples import STORED, Samples
from classification.training.settings import OptimizerSettings
from preprocessing.patches import normalise
from runs.seeds import stream
from runs.training.loop import Learner, one_cycle

# Readers' rating 1-5 as the chance of a cancer, and how much an example of it counts: 3 is "indeterminate".
SOFT_TARGET = (0.05, 0.2, 0.5, 0.8, 0.95)
TARGET_WEIGHT = (1.0, 0.7, 0.3, 0.7, 1.0)

Batch = dict[str, torch.Tensor]


class NumberedCrops:
    """Training examples without end: number k is example k % n of pass k // n, each pass in an order of its own.

    Args:
        samples: n of them.
        model: size and margins of the crops.
        seed: of the orders and of how examples are disturbed.
    """

    def __init__(self, samples: Samples, model: ModelSettings, seed: int) -> None:
        self.samples, self.model, self.seed = samples, model, seed
        self._turn, self._order = -1, np.zeros(0, dtype=np.int64)

    def __getitem__(self, number: int) -> Batch:
        turn, place = divmod(number, len(self.samples))
        if turn != self._turn:
            order = stream("classification.order", self.seed, turn)
            self._turn, self._order = turn, order.permutation(len(self.samples))
        rng = stream("classification.example", self.seed, number)
        return example(self.samples, int(self._order[place]), self.model, rng)


def example(samples: Samples, index: int, model: ModelSettings, rng: np.random.Generator | None = None) -> Batch:
    """One example as the network takes it, and what it should answer.

    Args:
        samples: to take it from.
        index: which.
        model: size and margins of the crop.
        rng: shifts, mirrors and disturbs it; None leaves it as it is.
    """
    crop, diameter = samples.crops[index], float(samples.diameter_mm[index])
    offset = np.full(3, (STORED - model.crop) // 2)
    along_z, in_plane = model.margins_mm
    if rng is not None:
        # About as far off as a detector is in place and in size.
        offset = offset + rng.integers(-2, 3, 3)
        diameter *= float(np.exp(rng.normal(0, 0.15)))
        along_z *= float(rng.uniform(0, 1))
    z, y, x = offset
    n = model.crop
    image = normalise(framed(crop[z : z + n, y : y + n, x : x + n], diameter, (along_z, in_plane)))
    if rng is not None:
        image = _disturbed(image, rng)
    ratings = samples.ratings[index]
    known = not np.isnan(ratings).any()
    level = round(float(np.nan_to_num(samples.malignancy[index], nan=1.0))) - 1
    return {
        "crop": torch.from_numpy(np.ascontiguousarray(image))[None],
        "diameter_mm": torch.tensor(diameter, dtype=torch.float32),
        "is_nodule": torch.tensor(float(samples.is_nodule[index])),
        "malignancy": torch.tensor(SOFT_TARGET[level]),
        "weight": torch.tensor(TARGET_WEIGHT[level] if known else 0.0),
        "ratings": torch.from_numpy(np.nan_to_num(ratings)),
        "known": torch.tensor(float(known)),
    }


def _disturbed(image: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    for axis in range(3):
        if rng.random() < 0.5:
            image = np.flip(image, axis)
    if rng.random() < 0.5:
        image = image.transpose(0, 2, 1)
    noise = rng.normal(0, rng.uniform(0, 0.03), image.shape)
    return np.clip(image + noise + rng.normal(0, 0.02), 0, 1).astype(np.float32)


class NoduleTraining(Learner):
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
        return self.summed(terms)

    def configure_optimizers(self) -> Any:
        """AdamW, one cycle over all steps."""
        s = self.optimizer_settings
        return one_cycle(self.network, s.lr, s.weight_decay, self.steps)


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
    parts = []
    for start in range(0, len(samples), batch):
        items = [example(samples, i, model) for i in range(start, min(start + batch, len(samples)))]
        crops = torch.stack([i["crop"] for i in items])
        parts.append(network(crops, torch.stack([i["diameter_mm"] for i in items])))
    return NoduleOutputs(*(torch.cat(column) for column in zip(*parts, strict=True)))
