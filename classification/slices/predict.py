"""`python -m classification.slices.predict input=PATH out=FILE.csv`: normal, benign or malignant, slice by slice."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from classification.slices.engine import build, probabilities
from classification.slices.files import CLASSES, find_slices, read_slice
from classification.slices.network import SliceNetwork
from classification.slices.settings import SliceModelSettings
from classification.slices.shipped import DEFAULT_WEIGHTS, SHIPPED, WORTH
from classification.slices.views import view_of
from runs.csv_text import write_csv
from runs.entry import UsageError, run
from runs.training.weights import load_weights, misfit

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SlicePredictSettings:
    """What `classification.slices.predict` takes.

    Attributes:
        input: an image or DICOM slice, or a folder of them.
        out: csv to write.
        weights: name or path; None: the shipped ones.
    """

    input: Path
    out: Path = Path("outputs/slices.csv")
    weights: Path | None = None

    def __post_init__(self) -> None:
        if self.out.suffix != ".csv":
            raise UsageError(f"out= must end in .csv, got '{self.out}'")


def predict(settings: SlicePredictSettings) -> int:
    """One row a slice: `file`, a share of each class, `predicted`, and in `problem` why one was not read.

    Returns:
        1 when not one slice could be read.

    Raises:
        FileNotFoundError, UsageError: see `find_slices` and `load_slice_network`.
    """
    slices = find_slices(settings.input)
    network = load_slice_network(settings.weights)
    rows = []
    for one in slices:
        row = {"file": one.path.name if settings.input.is_file() else str(one.path.relative_to(settings.input))}
        try:
            shares = answer(network, one.path)
        except UsageError as error:
            log.warning("%s", error)
            rows.append({**row, "problem": str(error)})
            continue
        said = max(shares, key=lambda name: shares[name])
        rows.append({**row, **{k: f"{v:.6f}" for k, v in shares.items()}, "predicted": said})
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    write_csv(settings.out, pd.DataFrame(rows, columns=["file", *CLASSES, "predicted", "problem"]).fillna(""))
    if len(rows) == 1 and "predicted" in rows[0]:
        sys.stdout.write(", ".join(f"{name} {float(rows[0][name]):.1%}" for name in CLASSES) + "\n")
    log.info("%d slice(s) in %s. %s", len(rows), settings.out, WORTH)
    return int(all("problem" in row for row in rows))


def answer(network: SliceNetwork, path: Path) -> dict[str, float]:
    """The share of each class for one slice; they sum to 1.

    Raises:
        UsageError: see `read_slice`.
    """
    shares = probabilities(network, np.asarray(view_of(read_slice(path)))[None])[0]
    return {name: float(share) for name, share in zip(CLASSES, shares, strict=True)}


def load_slice_network(weights: str | Path | None = None) -> SliceNetwork:
    """Of a weights file, or of a shipped name.

    Raises:
        FileNotFoundError: no such file or name, or no card beside it.
        UsageError: the file is not what its card says, or no slice classifier's.
    """
    name = weights or DEFAULT_WEIGHTS
    state, card = load_weights(name, SHIPPED)
    model = card.get("model", {})
    if model.get("kind") != "slices" or card.get("classes") != list(CLASSES):
        raise UsageError(f"'{Path(name).name}' holds no slice classifier of {', '.join(CLASSES)}")
    network = build(SliceModelSettings(tuple(int(w) for w in model["widths"]), float(model["dropout"])))
    wrong = misfit(state, network.state_dict())
    if wrong:
        raise UsageError(f"'{Path(name).name}' does not hold the network that its card describes: {wrong}")
    network.load_state_dict(state)
    return network.eval()


def main() -> None:
    """Entry point."""
    run(predict, SlicePredictSettings, "classification_slices_predict")


if __name__ == "__main__":
    main()
