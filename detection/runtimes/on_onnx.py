"""A network in ONNX Runtime, on the CPU, in fp32."""

from __future__ import annotations

import torch
from torch import nn

from detection.runtimes.exported import INPUT, OUTPUTS

ERRORS_ONLY = 3


class OnnxNetwork(nn.Module):
    """Answers as the network that was exported, with as many threads as torch has.

    Args:
        content: of the ONNX file.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__()
        import onnxruntime  # of an extra

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        # Tiles differ in size: a plan of the memory of one is none for the next.
        options.enable_mem_pattern = False
        # Idle threads that wait for work in a loop take the time of other workers.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(1, 1, D, H, W) to the maps of the network."""
        answers = self.session.run(list(OUTPUTS), {INPUT: x.contiguous().numpy()})
        return tuple(torch.from_numpy(answer) for answer in answers)
