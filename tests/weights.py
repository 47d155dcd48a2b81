"""Untrained weights of tiny networks, with honest cards: enough to run every step, not to find anything."""

from dataclasses import asdict
from pathlib import Path

import torch

from classification.bags.leaky_noisy_or import LeakyNoisyOr
from classification.network import NoduleNetwork
from classification.settings import InferenceSettings as BagInference
from classification.settings import ModelSettings as NoduleModel
from detection.models.compact.network import build_network
from detection.models.compact.settings import ModelSettings
from runs.training.weights import save_weights


def tiny_detector(folder: Path) -> Path:
    torch.manual_seed(0)
    model = ModelSettings(
        widths=(4, 8, 8, 8),
        head_width=8,
        anchor_sizes_mm=(4.0, 8.0, 14.0, 24.0),
        cell_center=1.5,
        levels=(1,),
        coarse_logit=0.0,
    )
    network = build_network(model)
    torch.nn.init.constant_(network.scores[-1].bias, -3.0)  # above the threshold: untrained candidates all over
    path = folder / "tiny_detector.safetensors"
    save_weights(path, network.state_dict(), {"name": "tiny", "model": asdict(model)})
    return path


def tiny_classifier(folder: Path, members: int = 0) -> Path:
    torch.manual_seed(0)
    model = NoduleModel(widths=(4, 4, 8, 8), hidden=8, crop=32, margins_mm=(2.0, 8.0))
    network = NoduleNetwork(model.widths, model.hidden)
    path = folder / "tiny_classifier.safetensors"
    card = {"name": "tiny", "model": asdict(model), "inference": asdict(BagInference(3)), "members": members}
    folds = torch.nn.ModuleList(NoduleNetwork(model.widths, model.hidden) for _ in range(members))
    parts = torch.nn.ModuleDict({"network": network, "bag": LeakyNoisyOr(), "members": folds})
    save_weights(path, parts.state_dict(), card)
    return path
