"""One training loop for both stages: Lightning's, made resumable to the bit.

The data are numbered. Step k takes the examples k * batch ... (k + 1) * batch - 1, each a function of its number
alone, and torch's own randomness begins each step at a seed of its own. So a run that was cut at any moment goes on
as if it had not been, and the number of workers changes nothing.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import Logger
from torch.utils.data import DataLoader, Dataset, Sampler

from runs.checks import at_least, between
from runs.entry import UsageError
from runs.seeds import seed_of
from runs.training.curve_plot import plot_curve
from runs.training.curves import CurveLogger
from runs.training.run_folder import CHECKPOINTS, CURVES, CURVES_PICTURE, last_checkpoint
from runs.training.validation import KeepBest, Selection, left_by


@dataclass(frozen=True)
class TrainerSettings:
    """How long and how a network is trained.

    Attributes:
        steps: of the optimiser.
        batch: examples a step.
        clip: largest norm of the gradient.
        ema_decay: of the averaged weights that a run leaves.
        precision: as Lightning names it: 32-true, bf16-mixed, 16-mixed.
        accelerator: auto, cpu or gpu.
        devices: of that kind; -1 takes all there are. Each takes its share of every batch.
        strategy: of several devices, as Lightning names it: auto, ddp_spawn.
        workers: processes that make examples; 0 makes them in the training process.
        threads: of torch; 0 leaves the choice to torch.
        checkpoint_steps: a run that is cut loses at most so many.
        log_steps: between the rows of the curve.
    """

    steps: int
    batch: int
    clip: float
    ema_decay: float
    precision: str
    accelerator: str
    devices: int
    strategy: str
    workers: int
    threads: int
    checkpoint_steps: int
    log_steps: int

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "checkpoint_steps", "log_steps"):
            at_least(f"trainer.{name}", getattr(self, name), 1)
        for name in ("workers", "threads"):
            at_least(f"trainer.{name}", getattr(self, name), 0)
        between("trainer.ema_decay", self.ema_decay, 0, 1)
        if self.devices < 1 and self.devices != -1:
            raise UsageError(f"trainer.devices must be -1 (all) or at least 1, got {self.devices}")


# Hardware reports and advertisements at every start.
logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)

# What changes the time a run takes and not where it ends, but for what devices round differently.
ONLY_SPEED = ("accelerator", "devices", "strategy", "workers", "threads", "checkpoint_steps", "log_steps")


class Numbered(Protocol):
    """Training data: an example for every number, the same one each time it is asked for."""

    def __getitem__(self, number: int, /) -> Any:
        """Example `number`, from 0, without end."""


class Learner(L.LightningModule):
    """A network that is taught by named losses."""

    def summed(self, terms: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The sum of the terms, which are told to the loggers.

        Raises:
            FloatingPointError: it is not finite; the terms are in the message.
        """
        loss = torch.stack(list(terms.values())).sum()
        values = {name: value.detach() for name, value in terms.items()}
        if not bool(torch.isfinite(loss)):
            said = {name: float(value) for name, value in values.items()}
            raise FloatingPointError(f"the loss is not finite at step {self.global_step}: {said}")
        self.log_dict(values, prog_bar=True)
        return loss


def one_cycle(network: torch.nn.Module, lr: float, weight_decay: float, steps: int) -> dict[str, Any]:
    """AdamW, one cycle over all steps, as Lightning's `configure_optimizers` returns it."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=weight_decay)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=max(steps, 2))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def fit(
    module: L.LightningModule,
    examples: Numbered,
    collate: Callable[[list[Any]], Any] | None,
    settings: TrainerSettings,
    seed: int,
    out: Path,
    further: Sequence[Logger] = (),
    selection: Selection | None = None,
) -> None:
    """Train `module` in place; at the end it holds the averaged weights, the last or the best of them.

    Goes on from the checkpoint under `out`, if there is one; `runs.training.run_folder.claim` says whether it may.

    Args:
        module: with fresh weights.
        examples: numbered from 0.
        collate: examples to a batch; None takes torch's own.
        settings: of the loop.
        seed: of dropout and the like.
        out: for `checkpoints/`, `curves.csv` and `curves.png`.
        further: who is told what the curve is told.
        selection: how the best weights are chosen, and when training ends early; None keeps the last.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    last = last_checkpoint(out)
    first_step = 0
    if last is not None:
        stored = torch.load(last, weights_only=True, map_location="cpu")
        first_step = int(stored["global_step"])
        left = left_by(stored, settings.steps, selection)
        if left is not None:
            module.load_state_dict(left)
            module.cpu().eval()
            plot_curve(out / CURVES, out / CURVES_PICTURE)
            return
    loader: DataLoader[Any] = DataLoader(
        _Examples(examples),
        batch_sampler=_Steps(first_step, settings.steps, settings.batch),
        num_workers=settings.workers,
        collate_fn=collate,
        prefetch_factor=4 if settings.workers else None,
    )
    trainer = _trainer(settings, seed, out, [CurveLogger(out / CURVES, first_step), *further], selection)
    if settings.batch % trainer.world_size:
        raise UsageError(f"trainer.batch={settings.batch} must be a multiple of the {trainer.world_size} devices")
    with warnings.catch_warnings():
        # Lightning does not know that the loader begins where the checkpoint ends, nor that the folder is ours.
        warnings.filterwarnings("ignore", message=r"You're resuming from a checkpoint|Checkpoint directory")
        # With few workers on few cores more of them are no gain, whatever Lightning counts.
        warnings.filterwarnings("ignore", message=r".*does not have many workers|`isinstance\(treespec")
        trainer.fit(module, loader, ckpt_path=last, weights_only=True)
    module.cpu().eval()
    plot_curve(out / CURVES, out / CURVES_PICTURE)


def _trainer(
    settings: TrainerSettings, seed: int, out: Path, loggers: list[Logger], selection: Selection | None
) -> L.Trainer:
    averages = EMAWeightAveraging(decay=settings.ema_decay)
    return L.Trainer(
        default_root_dir=out,
        max_steps=settings.steps,
        accelerator=settings.accelerator,
        devices=settings.devices,
        strategy=settings.strategy,
        # The steps share out their examples themselves.
        use_distributed_sampler=False,
        precision=settings.precision,  # type: ignore[arg-type]
        gradient_clip_val=settings.clip,
        callbacks=[
            _SeededSteps(seed),
            averages,
            *([KeepBest(selection, averages)] if selection else []),
            ModelCheckpoint(
                out / CHECKPOINTS, filename="last", every_n_train_steps=settings.checkpoint_steps,
                save_top_k=1, enable_version_counter=False,
            ),
            TQDMProgressBar(refresh_rate=20),
        ],
        logger=loggers,
        log_every_n_steps=settings.log_steps,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )  # fmt: skip


class _Steps(Sampler[list[int]]):
    """The numbers of the examples of each step that is still to be done; of several devices each takes every nth."""

    def __init__(self, first: int, stop: int, batch: int) -> None:
        self.first, self.stop, self.batch = first, stop, batch

    def __len__(self) -> int:
        """Those done too: Lightning counts them."""
        return self.stop

    def __iter__(self) -> Iterator[list[int]]:
        device, devices = _place()
        for step in range(self.first, self.stop):
            yield list(range(step * self.batch + device, (step + 1) * self.batch, devices))


class _Examples(Dataset[Any]):
    """Numbered data as torch's loader wants them."""

    def __init__(self, examples: Numbered) -> None:
        self.examples = examples

    def __getitem__(self, number: int) -> Any:
        return self.examples[number]


class _SeededSteps(Callback):
    """Dropout and whatever else torch draws: the same in step k however the run came there."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        device = _place()[0]
        torch.manual_seed(seed_of("runs.step", self.seed, trainer.global_step, *([device] if device else [])))


def _place() -> tuple[int, int]:
    """Which device of how many this process trains on."""
    if not torch.distributed.is_initialized():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()
