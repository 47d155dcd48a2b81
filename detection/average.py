"""`python -m detection.average weights=[a,b] out=c.safetensors`: the mean of trainings that began at one place.

The mean of a detector and of its continuation finds what either learnt, and is surer than both where they differ
(Wortsman et al. 2022, "Model soups", arXiv 2203.05482).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from detection.detector import read_weights
from detection.models.interface import model_of
from runs.entry import UsageError, run
from runs.training.weights import save_weights

log = logging.getLogger(__name__)

# What of a model is how its weights are applied and not what they are: the last one's stands.
HOW_APPLIED = ("levels", "coarse_logit")


@dataclass(frozen=True)
class AverageSettings:
    """What `detection.average` takes.

    Attributes:
        weights: names or paths; all of one detector with the same settings.
        out: the file to write, `.safetensors`; its card, that of the last, goes beside it.
        coarse_logit: of a detector with more than one level, see `detection.levels.raised`; None: that of the last.
        levels: that it looks at; None: those of the last.
    """

    weights: tuple[str, ...]
    out: Path
    coarse_logit: float | None = None
    levels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not self.weights:
            raise UsageError("weights= must name at least one detector, got none")
        if self.out.suffix != ".safetensors":
            raise UsageError(f"out= must end in .safetensors, got '{self.out}'")


def average(settings: AverageSettings) -> None:
    """Write the mean of the weights, and a card that names them.

    Raises:
        FileNotFoundError, UsageError: see `read_weights`; or they are of detectors with other settings.
    """
    read = [read_weights(weights) for weights in settings.weights]
    models, cards = zip(*read, strict=True)
    told = [{k: v for k, v in card["model"].items() if k not in HOW_APPLIED} for card in cards]
    for name, other in zip(settings.weights[1:], told[1:], strict=True):
        if other != told[0]:
            keys = sorted(key for key in {*told[0], *other} if told[0].get(key) != other.get(key))
            raise UsageError(f"'{settings.weights[0]}' and '{name}' are of detectors that differ in {', '.join(keys)}")
    states = [model.weights() for model in models]
    mean = {
        key: torch.stack([state[key].double() for state in states]).mean(0).to(first.dtype)
        if first.is_floating_point()
        else states[-1][key]
        for key, first in states[0].items()
    }
    card = {key: value for key, value in cards[-1].items() if key not in ("sha256", "figures")}
    card["name"] = settings.out.stem
    applied = {name: getattr(settings, name) for name in HOW_APPLIED}
    card["model"] = {**card["model"], **{name: value for name, value in applied.items() if value is not None}}
    model_of(card)  # refuses what no such detector can have
    card["mean_of"] = [{"name": c.get("name", ""), "sha256": c["sha256"]} for c in cards]
    save_weights(settings.out, mean, card)
    log.info("weights and card written: %s, %s", settings.out, settings.out.with_suffix(".json").name)


def main() -> None:
    """Entry point."""
    run(average, AverageSettings, "detection_average")


if __name__ == "__main__":
    main()
