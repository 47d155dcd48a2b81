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
from runs.writing import whole


def save_weights(path: Path, state: Mapping[str, torch.Tensor], card: Mapping[str, Any]) -> None:
    """Write `path` (.safetensors, fp16) and its card `path.json` with the checksum of the weights.

    Both are written before either takes its place, the card last: weights beside a card are weights that are done.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    half = {k: v.half().contiguous() if v.is_floating_point() else v.contiguous() for k, v in state.items()}
    beside = path.with_suffix(".json")
    with whole(beside) as card_part, whole(path) as weights_part:
        save_file(half, weights_part)
        weights_part.chmod(0o644)  # safetensors writes it for the owner only
        text = json.dumps({**card, "sha256": sha256(weights_part)}, indent=2, ensure_ascii=False)
        card_part.write_text(text + "\n", encoding="utf-8")
        beside.unlink(missing_ok=True)  # an earlier card never stands beside these weights


def load_weights(weights: str | Path, shipped: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights (fp32) and card of a path, or of a name among the shipped ones.

    Raises:
        FileNotFoundError: no such file or name; the message lists the names there are.
        UsageError: the file is not what its card says.
    """
    path = Path(weights)
    if path.suffix != ".safetensors" and not path.exists():
        path = shipped / f"{weights}.safetensors"
    if not path.is_file():
        names = sorted(p.stem for p in shipped.glob("*.safetensors"))
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


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
