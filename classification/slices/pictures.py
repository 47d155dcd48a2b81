"""The confusion matrix, and where on a slice the network's answer comes from (Grad-CAM, Selvaraju et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from torch.nn import functional

from classification.slices.files import CLASSES
from classification.slices.network import SliceNetwork
from runs.writing import whole

SHOWN_PER_CLASS = 4


def grad_cam(network: SliceNetwork, view: npt.NDArray[np.float32], label: int) -> npt.NDArray[np.float32]:
    """(H, W) in [0, 1]: where the last maps speak for class `label` on a view (H, W)."""
    network.eval()
    maps = network.features(torch.from_numpy(view)[None, None]).detach().requires_grad_()
    network.answer(maps)[0, label].backward()  # type: ignore[no-untyped-call]
    assert maps.grad is not None
    weights = maps.grad.mean((2, 3), keepdim=True)
    heat = torch.relu((weights * maps.detach()).sum(1, keepdim=True))
    heat = functional.interpolate(heat, view.shape, mode="bilinear", align_corners=False)[0, 0]
    return np.asarray((heat / heat.max().clamp_min(1e-6)).numpy(), np.float32)


def write_confusion(path: Path, figures: dict[str, Any]) -> None:
    """Rows are the truth, columns what was said; counts and shares of the row."""
    counts = np.asarray(figures["confusion"], float)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(5, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (i, j), count in np.ndenumerate(counts):
        colour = "white" if shares[i, j] > 0.5 else "black"
        axes.text(j, i, f"{count:.0f}\n{shares[i, j]:.0%}", ha="center", va="center", color=colour)
    axes.set(xticks=range(len(CLASSES)), yticks=range(len(CLASSES)), xlabel="said", ylabel="true")
    axes.set_xticklabels(CLASSES)
    axes.set_yticklabels(CLASSES)
    axes.set_title("Grouped split, answers out of fold")
    _save(figure, path)


def write_roc(path: Path, curves: Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[Any], float]]) -> None:
    """A curve a class against the others: false positive rate, sensitivity and area by name."""
    figure = Figure(figsize=(5, 4.6), layout="constrained")
    axes = figure.subplots()
    for name, (x, y, area) in curves.items():
        axes.plot(x, y, label=f"{name}, AUC {area:.3f}")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1)
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    axes.set_title("Grouped split, answers out of fold")
    axes.legend(loc="lower right")
    _save(figure, path)


def write_heat_maps(
    path: Path,
    network: SliceNetwork,
    views: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    answers: npt.NDArray[np.float64],
) -> None:
    """Of every class the slices that its own answer is least sure of, with where the network looks."""
    figure = Figure(figsize=(3 * SHOWN_PER_CLASS, 2.6 * len(CLASSES)), layout="constrained")
    axes = figure.subplots(len(CLASSES), SHOWN_PER_CLASS, squeeze=False)
    for row, name in enumerate(CLASSES):
        mine = np.flatnonzero(labels == row)
        worst = mine[np.argsort(answers[mine, row], kind="stable")][:SHOWN_PER_CLASS]
        for column in range(SHOWN_PER_CLASS):
            axes[row][column].axis("off")
            if column < len(worst):
                index = int(worst[column])
                said = int(answers[index].argmax())
                axes[row][column].imshow(views[index], cmap="gray", vmin=0, vmax=1)
                axes[row][column].imshow(grad_cam(network, views[index], said), cmap="inferno", alpha=0.35)
                axes[row][column].set_title(f"{name}, said {CLASSES[said]} {answers[index, said]:.0%}", fontsize=9)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part:
        figure.savefig(part, format="png", dpi=110)
