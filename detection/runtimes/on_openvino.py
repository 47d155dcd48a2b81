"""A network in OpenVINO, on the CPU, in fp32 or bf16."""

from __future__ import annotations

import torch
from torch import nn

from detection.runtimes.exported import OUTPUTS

HINTS = {"fp32": "f32", "bf16": "bf16"}


class OpenvinoNetwork(nn.Module):
    """Answers as the network that was exported, with as many threads as torch has.

    Args:
        content: of the ONNX file.
        precision: fp32 or bf16.
    """

    def __init__(self, content: bytes, precision: str) -> None:
        super().__init__()
        import openvino  # of an extra

        core = openvino.Core()
        model = core.read_model(content, b"")
        asked = {
            "PERFORMANCE_HINT": "LATENCY",
            # Left to itself it takes bf16 wherever there are units for it.
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            # Two workers would be pinned to the same core.
            "ENABLE_CPU_PINNING": False,
        }
        self.compiled = core.compile_model(model, "CPU", asked)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(1, 1, D, H, W) to the maps of the network."""
        answers = self.compiled(x.contiguous().numpy())
        return tuple(torch.from_numpy(answers[name]) for name in OUTPUTS)
