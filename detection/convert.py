"""`python -m detection.convert weights=model.pt out=x.safetensors`: the same weights without a pickle, with a card."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detection.detector import read_weights
from detection.models.interface import chosen_kind
from runs.entry import UsageError, run
from runs.training.weights import save_weights

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ConvertSettings:
    """What `detection.convert` takes.

    Attributes:
        out: the file to write, `.safetensors`; its card goes beside it.
        weights: path or name of the weights; None: those that others publish of the detector.
        model: which detector they are of; None: the file's checksum tells.
    """

    out: Path
    weights: Path | None = None
    model: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", chosen_kind(self.model))
        if self.out.suffix != ".safetensors":
            raise UsageError(f"out= must end in .safetensors, got '{self.out}'")


def convert(settings: ConvertSettings) -> None:
    """Write the same weights, bit for bit, as safetensors with their card.

    Raises:
        FileNotFoundError, UsageError: see `read_weights`.
    """
    model, card = read_weights(settings.weights, settings.model)
    save_weights(settings.out, model.weights(), card, half=False)
    log.info("weights and card written: %s, %s", settings.out, settings.out.with_suffix(".json").name)


def main() -> None:
    """Entry point."""
    run(convert, ConvertSettings, "detection_convert")


if __name__ == "__main__":
    main()
