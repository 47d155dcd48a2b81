"""Which program runs a detector's network: torch, ONNX Runtime or OpenVINO. The two others run on the CPU."""

from __future__ import annotations

from importlib.util import find_spec

from detection.models.interface import DetectorModel, Inference
from detection.runtimes.exported import exported
from detection.runtimes.on_onnx import OnnxNetwork
from detection.runtimes.on_openvino import OpenvinoNetwork
from runs.entry import UsageError

# Torch's exporter asks for onnx.
PACKAGES = {"onnx": ("onnx", "onnxruntime"), "openvino": ("onnx", "openvino")}


def on_runtime(model: DetectorModel, settings: Inference) -> DetectorModel:
    """The detector with its network run as the settings say; everything around the network stays as it is.

    Args:
        model: lightened, on the CPU; its networks are replaced.
        settings: of inference; the precision is no longer `auto`.

    Raises:
        UsageError: the runtime is not installed, or cannot run this detector.
    """
    if settings.runtime == "torch":
        return model
    if not model.exportable:
        name = type(model).__name__
        raise UsageError(f"inference.runtime={settings.runtime} runs model=compact only, these weights are of {name}")
    for needed in PACKAGES[settings.runtime]:
        if find_spec(needed) is None:
            extra = f"pip install 'lungscreen[{settings.runtime}]'"
            raise UsageError(f"inference.runtime={settings.runtime} needs {needed}: {extra}")
    for part in {id(part): part for part in map(model.at_level, model.levels)}.values():
        content = exported(part.network)
        if settings.runtime == "onnx":
            part.network = OnnxNetwork(content)
        else:
            part.network = OpenvinoNetwork(content, settings.precision)
    return model
