"""`python -m detection.average weights=[a,b] out=c.safetensors`: the mean of trainings that began at one place.

The mean of a detector and of its continuation finds what either learnt, and is surer than both where they differ
(Wortsman et al. 2022, "Model soups", arXiv 2203.05482).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from detection.detector import read_weights
from detection.models.compact.model import COARSE
from detection.models.interface import kind_of, model_of
from runs.entry import UsageError, run
from runs.training.weights import save_weights

log = logging.getLogger(__name__)

# What of a model is how its weights are applied and not what they are: the last one's stands.
HOW_APPLIED = ("levels", "coarse_logit")
MAY_DIFFER = (*HOW_APPLIED, "coarse_network")
# What of the card of the coarser levels' network tells how it was made.
TAUGHT = ("training", "data", "split", "command", "overrides", "commit", "mean_of")
Card = dict[str, Any]


@dataclass(frozen=True)
class AverageSettings:
    """What `detection.average` takes.

    Attributes:
        weights: names or paths; all of one detector with the same settings. Of those with a second network for the
            coarser levels, the mean is of the first; the last's second one stays.
        out: the file to write, `.safetensors`; its card, that of the last, goes beside it.
        coarse: name or path of another training of the same network, which looks at the levels beyond the first in
            place of the mean; None: the mean looks at all levels.
        coarse_logit: of a detector with more than one level, see `detection.levels.raised`; None: that of the last.
        levels: that it looks at; None: those of the last.
    """

    weights: tuple[str, ...]
    out: Path
    coarse: str | None = None
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
    for name, card in zip(settings.weights[1:], cards[1:], strict=True):
        _check_alike((settings.weights[0], cards[0]), (name, card))
    mean = _mean([_fine(model.weights()) for model in models])
    mean |= {key: values for key, values in models[-1].weights().items() if key not in mean}
    card = {key: value for key, value in cards[-1].items() if key not in ("sha256", "figures")}
    card["name"] = settings.out.stem
    card["mean_of"] = [_named(c) for c in cards]
    if settings.coarse is not None:
        model, other = read_weights(settings.coarse)
        if kind_of(other["model"]) != "compact":
            raise UsageError(f"coarse= takes weights of model=compact, '{settings.coarse}' holds those of another")
        _check_alike((settings.weights[0], cards[0]), (settings.coarse, other))
        mean = _fine(mean) | {COARSE + key: values for key, values in model.at_level(2).weights().items()}
        card["model"] = {**card["model"], "coarse_network": True}
        card["coarse"] = {**_named(other), **{key: other[key] for key in TAUGHT if key in other}}
    applied = {name: getattr(settings, name) for name in HOW_APPLIED}
    card["model"] = {**card["model"], **{name: value for name, value in applied.items() if value is not None}}
    model_of(card)  # refuses what no such detector can have
    save_weights(settings.out, mean, card)
    log.info("weights and card written: %s, %s", settings.out, settings.out.with_suffix(".json").name)


def _check_alike(one: tuple[str, Card], other: tuple[str, Card]) -> None:
    """Refuses weights, by name and card, that are of detectors with other settings."""
    told = [{k: v for k, v in card["model"].items() if k not in MAY_DIFFER} for _, card in (one, other)]
    keys = sorted(key for key in {*told[0], *told[1]} if told[0].get(key) != told[1].get(key))
    if keys:
        raise UsageError(f"'{one[0]}' and '{other[0]}' are of detectors that differ in {', '.join(keys)}")


def _mean(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Of each tensor; of counters the last one's."""
    return {
        key: torch.stack([state[key].double() for state in states]).mean(0).to(first.dtype)
        if first.is_floating_point()
        else states[-1][key]
        for key, first in states[0].items()
    }


def _fine(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without those of a second network for the coarser levels."""
    return {key: values for key, values in state.items() if not key.startswith(COARSE)}


def _named(card: Card) -> dict[str, str]:
    return {"name": card.get("name", ""), "sha256": card["sha256"]}


def main() -> None:
    """Entry point."""
    run(average, AverageSettings, "detection_average")


if __name__ == "__main__":
    main()
