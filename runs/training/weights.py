"""Weights and their model cards: safetensors beside JSON, checked before use, never a pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from runs.entry import UsageError
from runs.training.published import CHECKPOINTS, load_checkpoint, load_published, published_cards
from runs.writing import whole


def save_weights(path: Path, state: Mapping[str, torch.Tensor], card: Mapping[str, Any], *, half: bool = True) -> None:
    """Write `path` (.safetensors, fp16 or, without `half`, as they are) and its card `path.json` with their checksum.

    Both are written before either takes its place, the card last: weights beside a card are weights that are done.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {k: (v.half() if half and v.is_floating_point() else v).contiguous() for k, v in state.items()}
    beside = path.with_suffix(".json")
    with whole(beside) as card_part, whole(path) as weights_part:
        save_file(stored, weights_part)
        weights_part.chmod(0o644)  # safetensors writes it for the owner only
        text = json.dumps({**card, "sha256": sha256(weights_part)}, indent=2, ensure_ascii=False)
        card_part.write_text(text + "\n", encoding="utf-8")
        beside.unlink(missing_ok=True)  # an earlier card never stands beside these weights


def load_weights(
    weights: str | Path, shipped: Path, described_as: str | None = None
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights (fp32) and card of a path, or of a name among the shipped and the published ones.

    Args:
        weights: path of a .safetensors with its card beside it, or of a PyTorch file; or a name.
        shipped: folder of the shipped weights and of all cards.
        described_as: whose card describes a PyTorch file that is not known by its checksum.

    Raises:
        FileNotFoundError: no such file or name; the message lists the names there are.
        UsageError: the file is not what its card says, or what others publish is not here.
    """
    path = Path(weights)
    if path.suffix in CHECKPOINTS:
        return load_checkpoint(path, shipped, described_as)
    if path.suffix != ".safetensors" and not path.exists():
        path = shipped / f"{weights}.safetensors"
    if not path.is_file() and str(weights) in published_cards(shipped):
        return load_published(str(weights), shipped)
    if not path.is_file():
        names = sorted({p.stem for p in shipped.glob("*.safetensors")} | set(published_cards(shipped)))
        raise FileNotFoundError(f"no weights at '{weights}': expected a .safetensors file or one of {names}")
    card_path = path.with_suffix(".json")
    if not card_path.is_file():
        raise FileNotFoundError(f"weights need their model card beside them: '{card_path.name}' is missing")
    card: dict[str, Any] = json.loads(card_path.read_text(encoding="utf-8"))
    found = sha256(path)
    if card.get("sha256") != found:
        expected = card.get("sha256")
        raise UsageError(f"{path.name} is not what its card describes: expected sha256 {expected}, got {found}")
    state = {k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()}
    return state, card


def misfit(state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> str:
    """In which names and shapes weights differ from those of a network, in words; empty where they fit."""
    said = []
    missing, foreign = [k for k in wanted if k not in state], [k for k in state if k not in wanted]
    other = [k for k in wanted if k in state and state[k].shape != wanted[k].shape]
    for keys, what in ((missing, "missing"), (foreign, "unknown"), (other, "of another shape")):
        if keys:
            said.append(f"{len(keys)} {what}, the first {keys[0]}")
    if other:
        said[-1] += f" {tuple(state[other[0]].shape)} instead of {tuple(wanted[other[0]].shape)}"
    return "; ".join(said)


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
