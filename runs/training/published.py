"""Weights that others publish: a card here says where they are, how large, and by which checksum they are known.

Such files are pickles. Nothing but tensors is read out of them (`torch.load(weights_only=True)`), and nothing is
fetched without being asked: who lacks a file is told the command.
"""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch

from runs.cache import cache_folder
from runs.entry import UsageError

log = logging.getLogger(__name__)

State = dict[str, torch.Tensor]
CHECKPOINTS = (".pt", ".pth")


def load_published(name: str, shipped: Path) -> tuple[State, dict[str, Any]]:
    """Weights and card of a published file that the user has put where `fetch_command` puts it.

    Args:
        name: of its card.
        shipped: folder of the cards.

    Raises:
        UsageError: the file is missing or another one; with the command that fetches it.
    """
    card = published_cards(shipped)[name]
    path = place_of(card)
    if not path.is_file():
        size = card["source"]["megabytes"]
        raise UsageError(f"the weights {name} ({size} MB) are not here yet; fetch them: {fetch_command(card)}")
    found = _digest(path, "md5")
    if found != card["source"]["md5"]:
        wanted = card["source"]["md5"]
        how = f"fetch it: {fetch_command(card)}"
        raise UsageError(f"{path.name} is not the published file: expected md5 {wanted}, got {found}; {how}")
    return _tensors(path, fetch_command(card)), {**card, "sha256": _digest(path, "sha256")}


def load_checkpoint(path: Path, shipped: Path, name: str | None = None) -> tuple[State, dict[str, Any]]:
    """Weights of a PyTorch file, and the card that describes them.

    Args:
        path: the file.
        shipped: folder of the cards.
        name: of the card, for a file whose checksum no card knows; what is said there of data and figures is left out.

    Raises:
        UsageError: there is no such file, no card for it, or no tensors in it.
    """
    cards = published_cards(shipped)
    known = cards.get(name or "")
    command = fetch_command(known) if known else ""
    if not path.is_file():
        raise UsageError(f"no weights at '{path}'" + (f"; fetch the published ones: {command}" if command else ""))
    md5 = _digest(path, "md5")
    card = next((c for c in cards.values() if c["source"]["md5"] == md5), None)
    if card is None:
        if known is None:
            raise UsageError(f"{path.name} has no model card: say what it holds, model={' or '.join(cards)}")
        log.warning(
            "%s is not the file that %s publishes (md5 %s): other weights of the same network", path, name, md5
        )
        card = {"name": path.stem, "model": known["model"], "preparation": known["preparation"]}
    return _tensors(path, command), {**card, "sha256": _digest(path, "sha256")}


def published_cards(shipped: Path) -> dict[str, dict[str, Any]]:
    """Cards with a `source`, by name."""
    cards = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(shipped.glob("*.json"))}
    return {name: card for name, card in cards.items() if "source" in card}


def place_of(card: Mapping[str, Any]) -> Path:
    """Where a published file is looked for: in the cache, for it is large and not ours."""
    return cache_folder("weights") / str(card["source"]["file"])


def fetch_command(card: Mapping[str, Any]) -> str:
    """What brings the file where it is looked for."""
    return f"curl -L --create-dirs -o {shlex.quote(str(place_of(card)))} {card['source']['url']}"


def _tensors(path: Path, command: str) -> State:
    """The state dict of a file, by itself or as MONAI's bundles name it, `model`."""
    try:
        read = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, BadZipFile, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0][:80]
        how = f"; fetch it: {command}" if command else ""
        raise UsageError(f"{path.name} is no PyTorch file of weights alone ({reason}){how}") from None
    state = read.get("model", read) if isinstance(read, dict) else read
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UsageError(f"{path.name} must hold tensors by name, got {type(state).__name__}")
    return {str(key): value.float() if value.is_floating_point() else value for key, value in state.items()}


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, kind).hexdigest()
