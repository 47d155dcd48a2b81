"""`python -m lungscreen.server.slices.answerer`: answers single slices, one after the other.

Questions come as lines of JSON on stdin, answers leave as lines of JSON on stdout, the first one when it is ready; it
ends when stdin does.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from pydicom import dcmread

from classification.slices.engine import probabilities
from classification.slices.files import CLASSES, IMAGES, read_slice
from classification.slices.network import SliceNetwork
from classification.slices.pictures import grad_cam
from classification.slices.predict import load_slice_network
from classification.slices.views import view_of
from preprocessing.intake.headers import quiet_pydicom
from runs.entry import UsageError

log = logging.getLogger(__name__)

MEGA = 1_000_000
PIXELS = ("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel")


def answer_slice(network: SliceNetwork, path: Path, most_pixels: int) -> dict[str, Any]:
    """The shares of the classes, what the network saw, and where its answer comes from.

    Args:
        network: of the slice classifier.
        path: of one slice, with the ending of its kind.
        most_pixels: larger ones are not unpacked.

    Returns:
        `probabilities` by class, `predicted`, and as PNG in base64 `view` and `heat`, of one size. Or `refused`: a
        sentence.
    """
    try:
        size = _pixels(path)
        if size > most_pixels:
            return {"refused": f"the slice has {size} pixels, at most {most_pixels} are read"}
        view = view_of(read_slice(path))
    except (UsageError, UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        said = str(error) if isinstance(error, UsageError) else f"it cannot be read ({type(error).__name__})"
        return {"refused": said.replace(f"'{path.name}'", "the file")}
    shares = probabilities(network, view[None])[0]
    label = int(shares.argmax())
    return {
        "probabilities": {name: float(share) for name, share in zip(CLASSES, shares, strict=True)},
        "predicted": CLASSES[label],
        "view": _png(view),
        "heat": _png(grad_cam(network, view, label)),
    }


def _pixels(path: Path) -> int:
    """How many a file says that it has, before any of them is unpacked."""
    if path.suffix in IMAGES:
        with Image.open(path) as image:
            return image.width * image.height
    with quiet_pydicom():
        header = dcmread(path, stop_before_pixels=True, force=True)
        return int(np.prod([max(1, int(header.get(name) or 1)) for name in PIXELS], dtype=object))


def _png(shown: npt.NDArray[np.float32]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.rint(255 * shown.clip(0, 1)).astype(np.uint8)).save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()


def main() -> None:
    """Entry point."""
    # Whatever prints, prints to stderr: stdout carries answers and nothing else.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    torch.set_num_threads(1)
    network = load_slice_network()
    answers.write(json.dumps({"ready": True}) + "\n")
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = answer_slice(network, Path(order["path"]), order["megapixels"] * MEGA)
        except Exception as error:  # the next slice shall have its turn; of this one the kind of error is all we say
            log.warning("a slice failed with %s", type(error).__name__)
            answer = {"refused": f"it cannot be read ({type(error).__name__})"}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
