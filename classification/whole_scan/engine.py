"""The whole-scan network learns. Nothing here knows about files or configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from classification.whole_scan.network import WholeScanNetwork
from classification.whole_scan.settings import WholeScanLearning, WholeScanModelSettings, WholeScanSettings
from runs.seeds import seed_of, stream
from runs.training.loop import Learner, fit, one_cycle

Grids = npt.NDArray[np.float32]
Labels = npt.NDArray[np.bool_]


class NumberedGrids:
    """Training examples without end: number k is of a class and a patient drawn for k, disturbed, the same each time.

    Both classes are shown equally often, so that answers are chances at a prevalence of one half.

    Args:
        grids: (N, S, S, S).
        labels: (N,), both classes among them.
        learning: how far grids are disturbed.
        seed: of the draws.
    """

    def __init__(self, grids: Grids, labels: Labels, learning: WholeScanLearning, seed: int) -> None:
        self.grids, self.learning, self.seed = grids, learning, seed
        self._of_class = [np.flatnonzero(labels == label) for label in (False, True)]

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        rng = stream("classification.whole_scan", self.seed, number)
        label = int(rng.integers(2))
        index = int(rng.choice(self._of_class[label]))
        grid = disturbed(self.grids[index], self.learning, rng)
        return {"grid": torch.from_numpy(grid)[None], "label": torch.tensor(float(label))}


def disturbed(grid: Grids, learning: WholeScanLearning, rng: np.random.Generator) -> Grids:
    """(S, S, S) mirrored left to right or not, moved by whole voxels with its edge repeated, and with noise."""
    if rng.random() < 0.5:
        grid = grid[:, :, ::-1]
    width = learning.shift
    start = rng.integers(0, 2 * width + 1, 3)
    moved = np.pad(grid, width, mode="edge")[tuple(slice(a, a + grid.shape[0]) for a in start)]
    noise = rng.normal(0, rng.uniform(0, learning.noise), moved.shape)
    return np.ascontiguousarray(np.clip(moved + noise, 0, 1), np.float32)


class WholeScanTraining(Learner):
    """Network, loss and optimiser; the loop is Lightning's."""

    def __init__(self, network: WholeScanNetwork, learning: WholeScanLearning, steps: int) -> None:
        super().__init__()
        self.network, self.learning, self.steps = network, learning, steps

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """One batch; stops loudly when the loss is not finite."""
        logits = self.network(batch["grid"].to(memory_format=torch.channels_last_3d)).float()
        return self.summed({"cancer_loss": functional.binary_cross_entropy_with_logits(logits, batch["label"])})

    def configure_optimizers(self) -> Any:
        """AdamW, one cycle over all steps."""
        return one_cycle(self.network, self.learning.lr, self.learning.weight_decay, self.steps)


def build(model: WholeScanModelSettings) -> WholeScanNetwork:
    """With fresh weights."""
    return WholeScanNetwork(model.widths, model.dropout)


def fit_network(grids: Grids, labels: Labels, settings: WholeScanSettings, part: int, out: Path) -> WholeScanNetwork:
    """A network trained on these scans; `part` numbers it among those of a run."""
    seed = seed_of("classification.whole_scan", settings.seed, part)
    torch.manual_seed(seed)
    module = WholeScanTraining(build(settings.network), settings.learning, settings.trainer.steps)
    examples = NumberedGrids(grids, labels, settings.learning, seed)
    fit(module, examples, None, settings.trainer, seed, out)
    return module.network.eval()


@torch.inference_mode()
def probabilities(network: WholeScanNetwork, grids: Grids) -> npt.NDArray[np.float64]:
    """(N,) chances of a cancer, the mean over each grid and its mirror image."""
    network.eval()
    found = []
    for grid in grids:
        one = torch.from_numpy(grid)[None, None]
        found.append(network(torch.cat([one, one.flip(4)])).sigmoid().mean())
    return torch.stack(found).double().numpy() if found else np.zeros(0)
