"""The slice network learns. Nothing here knows about files or configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from classification.slices.files import CLASSES
from classification.slices.network import SliceNetwork
from classification.slices.settings import LearningSettings, SliceModelSettings, SliceTrainSettings
from runs.seeds import seed_of, stream
from runs.training.loop import Learner, fit, one_cycle

Views = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

# How far a view is disturbed: turned in radians, scaled in logs, moved in half views, contrast, brightness, noise.
TURN, SCALE, SHIFT, CONTRAST, BRIGHTNESS, NOISE = 0.15, 0.1, 0.06, 0.15, 0.05, 0.04


class NumberedViews:
    """Training examples without end: number k is drawn by weights and disturbed, the same each time it is asked for.

    Args:
        views: (N, H, W).
        labels: (N,).
        chances: (N,) how often each is shown, of sum 1.
        seed: of the draws.
    """

    def __init__(self, views: Views, labels: Labels, chances: npt.NDArray[np.float64], seed: int) -> None:
        self.views, self.labels, self.seed = views, labels, seed
        self._reached = np.cumsum(chances)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        rng = stream("classification.slice", self.seed, number)
        index = min(int(np.searchsorted(self._reached, rng.random())), len(self.labels) - 1)
        view = torch.from_numpy(self.views[index])[None]
        return {"view": disturbed(view, rng), "label": torch.tensor(int(self.labels[index]))}


def disturbed(view: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A view (1, H, W) mirrored, turned, scaled, moved, of another contrast and with noise."""
    turn, scale = rng.uniform(-TURN, TURN), float(np.exp(rng.uniform(-SCALE, SCALE)))
    cos, sin, aspect = np.cos(turn) * scale, np.sin(turn) * scale, view.shape[1] / view.shape[2]
    mirror = rng.choice((-1.0, 1.0))
    matrix = [
        [cos * mirror, -sin * aspect, rng.uniform(-SHIFT, SHIFT)],
        [sin * mirror / aspect, cos, rng.uniform(-SHIFT, SHIFT)],
    ]
    grid = functional.affine_grid(torch.tensor([matrix], dtype=torch.float32), [1, *view.shape], align_corners=False)
    moved = functional.grid_sample(view[None], grid, align_corners=False)[0]
    moved = moved * rng.uniform(1 - CONTRAST, 1 + CONTRAST) + rng.uniform(-BRIGHTNESS, BRIGHTNESS)
    noise = rng.normal(0, rng.uniform(0, NOISE), moved.shape).astype(np.float32)
    return (moved + torch.from_numpy(noise)).clamp(0, 1.2).float()


def chances(labels: Labels, groups: Labels, learning: LearningSettings) -> npt.NDArray[np.float64]:
    """(N,) how often each slice is shown: fewer times the more there are of its group, rare classes more often."""
    sizes = np.bincount(groups)[groups].astype(float)
    found = sizes**-learning.group_power
    for label in np.unique(labels):
        mine = labels == label
        found[mine] *= mine.sum() ** learning.class_power / found[mine].sum()
    return np.asarray(found / found.sum(), np.float64)


class SliceTraining(Learner):
    """Network, loss and optimiser; the loop is Lightning's."""

    def __init__(self, network: SliceNetwork, learning: LearningSettings, steps: int) -> None:
        super().__init__()
        self.network, self.learning, self.steps = network, learning, steps

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """One batch; stops loudly when the loss is not finite."""
        smoothing = self.learning.label_smoothing
        logits = self.network(batch["view"].to(memory_format=torch.channels_last)).float()
        return self.summed({"class_loss": functional.cross_entropy(logits, batch["label"], label_smoothing=smoothing)})

    def configure_optimizers(self) -> Any:
        """AdamW, one cycle over all steps."""
        s = self.learning
        return one_cycle(self.network, s.lr, s.weight_decay, self.steps)


def build(model: SliceModelSettings) -> SliceNetwork:
    """With fresh weights."""
    network = SliceNetwork(model.widths, len(CLASSES), model.dropout)
    # A third of the time on a CPU, in bf16.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def fit_network(
    views: Views, labels: Labels, groups: Labels, settings: SliceTrainSettings, part: int, out: Path
) -> SliceNetwork:
    """A network trained on these slices; `part` numbers it among those of a run."""
    seed = seed_of("classification.slices", settings.seed, part)
    torch.manual_seed(seed)
    module = SliceTraining(build(settings.network), settings.learning, settings.trainer.steps)
    examples = NumberedViews(views, labels, chances(labels, groups, settings.learning), seed)
    fit(module, examples, None, settings.trainer, seed, out)
    return module.network.eval()


@torch.inference_mode()
def probabilities(network: SliceNetwork, views: Views, batch: int = 64) -> npt.NDArray[np.float64]:
    """(N, classes), the mean of each view and its mirror image."""
    network.eval()
    found = []
    for start in range(0, len(views), batch):
        some = torch.from_numpy(views[start : start + batch])[:, None]
        found.append((network(some).softmax(1) + network(some.flip(3)).softmax(1)) / 2)
    return torch.cat(found).double().numpy()
