"""What the classifier sees of a slice: the body alone, at one size and with one contrast.

Image size, borders, the couch, text burnt into the margins and the window it was saved in tell which collection or
scanner a slice is from, and in small collections therewith its class. None of them is left.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch.nn import functional

from preprocessing.masks import box_of, opened

VIEW = (128, 160)
# Of the view's height and width, for the body.
FILLED = 0.94
BINS = 128
# The lungs' grey, and that of soft tissue, after the change of contrast.
LUNG, TISSUE = 0.15, 0.75

Grey = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def view_of(grey: Grey) -> Grey:
    """(128, 160) view in [0, 1] of a slice (H, W); what is outside of the body is 0."""
    body = body_of(grey)
    window = box_of(body)
    inside, part = body[window], grey[window]
    shown = np.where(inside, _contrast(part, inside), 0).astype(np.float32)
    return _fitted(shown)


def body_of(grey: Grey) -> Mask:
    """The largest bright piece, filled; the whole image where there is none."""
    dense = opened(grey > threshold(grey), 2)
    labels, n = ndimage.label(dense)
    if not n:
        return np.ones(grey.shape, bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    # A cut field of view opens the lungs to the border: closed there before they are filled.
    body = np.pad(labels == sizes.argmax(), 1)
    return np.asarray(ndimage.binary_fill_holes(body)[1:-1, 1:-1])


def threshold(grey: Grey) -> float:
    """The grey that parts dark from bright with the largest variance between them (Otsu 1979)."""
    counts, edges = np.histogram(grey, BINS, (0, 1))
    middles = (edges[:-1] + edges[1:]) / 2
    below, above = np.cumsum(counts), counts.sum() - np.cumsum(counts)
    sums = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    parted = (below > 0) & (above > 0)
    if not parted.any():
        return 0.5
    return float(edges[1 + int(np.argmax(np.where(parted, between, -1)))])


def _contrast(part: Grey, inside: Mask) -> Grey:
    """Lungs and soft tissue at one grey each, whatever the window was."""
    values = part[inside]
    middle = threshold(values)
    dark, bright = values[values <= middle], values[values > middle]
    lung = float(np.median(dark)) if len(dark) else 0.0
    tissue = float(np.median(bright)) if len(bright) else 1.0
    scaled = LUNG + (part - lung) * (TISSUE - LUNG) / max(tissue - lung, 0.05)
    return np.asarray(np.clip(scaled, 0, 1), np.float32)


def _fitted(shown: Grey) -> Grey:
    """As large as fits, its proportions kept, in the middle of the view."""
    height, width = shown.shape
    scale = min(FILLED * VIEW[0] / height, FILLED * VIEW[1] / width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    image = torch.from_numpy(shown)[None, None]
    resized = functional.interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)[0, 0]
    top, left = (VIEW[0] - size[0]) // 2, (VIEW[1] - size[1]) // 2
    view = np.zeros(VIEW, np.float32)
    view[top : top + size[0], left : left + size[1]] = resized.numpy()
    return view
