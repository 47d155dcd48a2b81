"""`python -m classification.outlines.train`: LIDC's nodules in, the network of outlines and its card out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from classification.outlines.examples import Batch, Drawn, NumberedPictures, read_boxes, read_cubes
from classification.outlines.figures import figures_of
from classification.outlines.model import OutlineModel
from classification.outlines.network import OutlineNetwork
from classification.outlines.settings import LossSettings, OutlineSettings
from runs.entry import UsageError, run
from runs.lock import held
from runs.training.card import origin, stated
from runs.training.loop import Learner, fit, one_cycle
from runs.training.run_folder import WEIGHTS, claim, finished
from runs.training.weights import save_weights

log = logging.getLogger(__name__)


class OutlineTraining(Learner):
    """Network, loss and optimiser; the loop is Lightning's."""

    def __init__(self, settings: OutlineSettings) -> None:
        super().__init__()
        self.network = OutlineNetwork(settings.widths)
        # Two thirds of the time on a CPU, in bf16.
        self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.wanted, self.steps = settings.loss, settings.trainer.steps

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        """One batch; stops loudly when the loss is not finite."""
        pictures = batch["picture"].to(memory_format=torch.channels_last_3d)
        return self.summed(losses(self.network(pictures).float(), batch, self.wanted))

    def configure_optimizers(self) -> Any:
        """AdamW, one cycle over all steps."""
        return one_cycle(self.network, self.wanted.lr, self.wanted.weight_decay, self.steps)


def losses(logits: torch.Tensor, batch: Batch, wanted: LossSettings) -> dict[str, torch.Tensor]:
    """Named terms whose sum is minimised.

    Args:
        logits: (N, 32, 32, 32).
        batch: `share` and `known` of that shape, `voxels` (N,), the volume in voxels of the picture.
        wanted: their weights.
    """
    share, known = batch["share"], batch["known"]
    each = functional.binary_cross_entropy_with_logits(logits, share, reduction="none")
    found = logits.sigmoid() * known
    both, all_of = (found * share).sum((1, 2, 3)), (found + share).sum((1, 2, 3))
    ratio = found.sum((1, 2, 3)).clamp_min(1.0) / batch["voxels"].clamp_min(1.0)
    return {
        "cross_entropy": wanted.cross_entropy * (each * known).sum() / known.sum(),
        "dice": 1 - ((2 * both + 1) / (all_of + 1)).mean(),
        "volume": wanted.volume * ratio.log().abs().mean(),
    }


def train(settings: OutlineSettings) -> Path:
    """Write `weights.safetensors` and its card under `settings.out` and return their path.

    A run that was cut goes on where it stopped; a finished one keeps its weights.

    Raises:
        FileNotFoundError, UsageError: see `read_boxes`; or nobody is left to learn from.
    """
    path = finished(settings.out)
    if path is not None and settings.resume:
        claim(settings.out, settings.deciding(), resume=True)
        log.info("this training is finished: %s stays as it is (resume=false begins again)", path)
        return path
    boxes = list(read_boxes(settings.nodules))
    cubes = list(read_cubes(settings.context)) if settings.context is not None else []
    if all(settings.split.holds_out(n.patient) for n in boxes):
        raise UsageError(f"{settings.nodules.name} must have nodules of patients that split does not hold out")
    with held(settings.out):
        claim(settings.out, settings.deciding(), settings.resume)
        return train_on(boxes, cubes, settings)


def train_on(boxes: list[Drawn], cubes: list[Drawn], settings: OutlineSettings) -> Path:
    """`train` on nodules at hand."""
    learnt, kept = ([n for n in boxes if settings.split.holds_out(n.patient) == out] for out in (False, True))
    around, around_kept = ([n for n in cubes if settings.split.holds_out(n.patient) == out] for out in (False, True))
    examples = NumberedPictures(learnt, around, settings.context_share, settings.seeds, settings.seed)
    torch.manual_seed(settings.seed)
    module = OutlineTraining(settings)
    fit(module, examples, None, settings.trainer, settings.seed, settings.out)
    module.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    model = OutlineModel(module.network)
    figures = {
        name: figures_of(model, nodules) for name, nodules in (("boxes", kept), ("cubes", around_kept)) if nodules
    }
    path = settings.out / WEIGHTS
    save_weights(path, module.network.state_dict(), card_of(settings, learnt, around, figures))
    log.info("weights written to %s: %s", path, figures)
    return path


def card_of(
    settings: OutlineSettings, learnt: list[Drawn], around: list[Drawn], figures: dict[str, Any]
) -> dict[str, Any]:
    """What is known of the network, without any path of a machine."""
    return {
        "name": settings.name,
        "outlines": {"widths": list(settings.widths)},
        "data": {
            "nodules": "LIDC-IDRI (Armato et al. 2011, 10.7937/K9/TCIA.2015.LO9QL9SX), CC BY 3.0",
            "n_nodules": len(learnt),
            "n_cubes": len(around),
            "n_patients": len(np.unique([n.patient for n in (*learnt, *around)])),
        },
        "training": stated(settings, leave_out=("name", "out", "resume", "split")),
        "split": settings.split.describe(),
        "figures": figures,
        "known_failures": [
            "it learnt from nodules of 3 to 30 mm of at least three readers; from 36 mm on no network is asked",
            "a box ends with its nodule along z: what lies above and below was hardly seen",
            "readers disagree about the margin of ground glass, and so does the network",
        ],
        **origin("python -m classification.outlines.train", ("lungscreen", "torch", "lightning")),
    }


def train_command(settings: OutlineSettings) -> None:
    """`train`, for the command line."""
    train(settings)


def main() -> None:
    """Entry point."""
    run(train_command, OutlineSettings, "classification_outlines")


if __name__ == "__main__":
    main()
