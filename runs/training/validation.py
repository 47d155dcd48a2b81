"""The best weights of a training, by a figure measured on the way, and an end when it no longer rises."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging

from runs.checks import at_least


@dataclass(frozen=True)
class StoppingSettings:
    """When a training is measured, and when it ends early.

    Attributes:
        every_steps: steps from one measurement to the next; 0 measures nothing, and the last weights are kept.
        patience: measurements in a row without a gain after which the training ends; 0 goes on to the last step.
    """

    every_steps: int
    patience: int

    def __post_init__(self) -> None:
        at_least("validation.every_steps", self.every_steps, 0)
        at_least("validation.patience", self.patience, 0)

    def ends(self, waited: int) -> bool:
        """Whether a training ends after so many measurements without a gain."""
        return 0 < self.patience <= waited


class Validation(Protocol):
    """What a training is measured by: a figure that is better the larger it is, of examples it does not learn from."""

    @property
    def name(self) -> str:
        """Of the figure, in the curve."""

    def score(self, module: Any, /) -> float:
        """The figure of a module in evaluation mode; the same weights always have the same one."""


@dataclass(frozen=True, slots=True)
class Selection:
    """By what, and how often, the weights that a training leaves are chosen."""

    validation: Validation
    settings: StoppingSettings


class KeepBest(Callback):
    """Measures the averaged weights, keeps the best, and stops a training that no longer gains.

    What it knows travels in the checkpoint, and it measures before the checkpoint of the same step is written, so that
    a run that was cut chooses as one that was not. (Lightning's own validation loop runs after that checkpoint: a run
    cut in between would miss a measurement.)

    Args:
        selection: what is measured, and when.
        averages: whose weights are measured; it comes before this one among the callbacks.
    """

    def __init__(self, selection: Selection, averages: WeightAveraging) -> None:
        self.validation = selection.validation
        self.settings = selection.settings
        self.averages = averages
        self.best = -math.inf
        self.waited = 0
        self.weights: dict[str, torch.Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """The best so far and how long ago that was."""
        return {"best": self.best, "waited": self.waited, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Of a checkpoint."""
        self.best, self.waited = state_dict["best"], state_dict["waited"]
        self.weights = state_dict["weights"]

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Every so many steps, and after the last."""
        step = trainer.global_step
        if step % self.settings.every_steps and step != trainer.max_steps:
            return
        self.averages.on_validation_epoch_start(trainer, pl_module)
        pl_module.eval()
        with torch.no_grad():
            # All devices decide alike, even if they round differently.
            value = float(trainer.strategy.broadcast(self.validation.score(pl_module)))
        if not math.isfinite(value):
            raise FloatingPointError(f"{self.validation.name} is not finite at step {step}: {value}")
        self.waited += 1
        if value > self.best:
            self.best, self.waited = value, 0
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in pl_module.state_dict().items()}
        pl_module.train()
        self.averages.on_validation_epoch_end(trainer, pl_module)
        for logger in trainer.loggers:
            logger.log_metrics({self.validation.name: value}, step - 1)
        trainer.should_stop = self.settings.ends(self.waited)

    def on_train_end(self, _: L.Trainer, pl_module: L.LightningModule) -> None:
        """The best weights are what remains."""
        pl_module.load_state_dict(self.weights)


def left_by(stored: Mapping[str, Any], steps: int, selection: Selection | None) -> dict[str, torch.Tensor] | None:
    """The weights that a training leaves, if it had ended when `stored` was written; None if there was more to do.

    Args:
        stored: a checkpoint of Lightning's.
        steps: of the whole training.
        selection: of the training.
    """
    ended = int(stored["global_step"]) >= steps
    if selection is None:
        # Lightning would not even take over the averages.
        return stored["state_dict"] if ended else None
    state = stored["callbacks"][KeepBest.__qualname__]
    return state["weights"] if ended or selection.settings.ends(state["waited"]) else None
