"""A detector's network as an ONNX file, made once for each set of weights and kept beside the other caches."""

from __future__ import annotations

import hashlib
import json
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import BinaryIO

import torch
from torch import nn

from runs.cache import cache_folder, code_digest, load, store

# Of ONNX's operators: old enough for every onnxruntime of the last years, with all that the network needs.
OPSET = 18
INPUT, OUTPUTS = "image", ("logits", "codes")
LIMIT_BYTES = 1024**3


def exported(network: nn.Module) -> bytes:
    """The network as ONNX: (1, 1, D, H, W) float32 to two maps, its sides free.

    From the cache when these weights were exported before.

    Args:
        network: on the CPU, without normalisation layers.
    """
    entry = cache_folder("runtimes") / f"{_key(network)}.onnx"
    found = load(entry, Path.read_bytes)
    if found is None:
        found = _export(network)
        store(entry, partial(_write, found), size=len(found), limit=LIMIT_BYTES)
    return found


def _export(network: nn.Module) -> bytes:
    sides = {2: "depth", 3: "height", 4: "width"}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        made = Path(folder) / "network.onnx"
        # The exporter without torch.compile: a twentieth of the time, no further package, and the same graph.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        torch.onnx.export(
            network.to(memory_format=torch.contiguous_format),  # type: ignore[call-overload]
            (torch.zeros(1, 1, 32, 48, 64),),
            made,
            dynamo=False,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes=dict.fromkeys((INPUT, *OUTPUTS), sides),
            opset_version=OPSET,
        )
        return made.read_bytes()


def _key(network: nn.Module) -> str:
    """Of the weights, the layers, the code that joins them, and what writes the file."""
    digest = hashlib.blake2b(digest_size=16)
    what = [repr(network), code_digest(type(network).__module__), code_digest(__name__), torch.__version__, OPSET]
    digest.update(json.dumps(what).encode())
    for name, values in network.state_dict().items():
        digest.update(name.encode())
        digest.update(values.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _write(content: bytes, handle: BinaryIO) -> None:
    handle.write(content)
