"""Outlines by the shipped network, as everything that measures nodules takes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from classification.measuring.outline import Outline, outline
from classification.outlines.network import OutlineNetwork
from classification.outlines.picture import Seed, picture_of, spread
from runs.entry import UsageError
from runs.one_thread import one_thread
from runs.training.weights import load_weights, misfit

SHIPPED = Path(__file__).parent.parent / "weights"
DEFAULT_OUTLINES = "nodule-outlines-v1"
# The largest nodule that the network learnt from is 30 mm, its seeds were up to a fifth larger: beyond, the outline
# without a network stays.
LARGEST_MM = 36.0
# Where the network sees no voxel that is mostly nodule, the outline without it stays.
HALF = 0.5


class OutlineModel:
    """The network, one nodule at a time, on the CPU, where answers do not vary by device.

    Args:
        network: trained; put into evaluation mode.
        provenance: what goes into reports.
    """

    def __init__(self, network: OutlineNetwork, provenance: dict[str, str] | None = None) -> None:
        self.network, self.provenance = network.eval(), provenance or {}

    @torch.inference_mode()
    def __call__(self, hu: npt.NDArray[np.int16], center_zyx: npt.ArrayLike, diameter_mm: float) -> Outline:
        """The nodule around a seed; see `classification.measuring.outline.outline`."""
        if diameter_mm > LARGEST_MM:
            return outline(hu, center_zyx, diameter_mm)
        seed = Seed(np.clip(np.asarray(center_zyx, dtype=float), 0, np.asarray(hu.shape) - 1), diameter_mm)
        picture, first = picture_of(hu, seed)
        # A voxel that is half nodule must be so in every process, whatever its threads.
        with one_thread():
            share = self.network(picture.channels[None])[0].sigmoid()
        found = spread(share, seed, first)
        return found if found.share.max() >= HALF else first


def load_outlines(weights: str | Path = DEFAULT_OUTLINES) -> OutlineModel:
    """The model of a weights file or of a shipped name.

    Raises:
        FileNotFoundError: no such file or name, or no card beside it.
        UsageError: the file is not what its card says, or is of another kind.
    """
    state, card = load_weights(weights, SHIPPED)
    name = Path(weights).name
    if "widths" not in card.get("outlines", {}):
        raise UsageError(f"'{name}' must be weights of python -m classification.outlines.train")
    network = OutlineNetwork(tuple(int(w) for w in card["outlines"]["widths"]))
    wrong = misfit(state, network.state_dict())
    if wrong:
        raise UsageError(f"'{name}' does not hold the network its card describes: {wrong}")
    network.load_state_dict(state)
    provenance = {"outlines": str(card["name"]), "outlines_sha256": str(card["sha256"])[:16]}
    return OutlineModel(network, provenance)
