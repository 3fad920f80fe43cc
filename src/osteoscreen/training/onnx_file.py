"""A network as an ONNX file: float16 weights, computed in float32, the answers of PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from osteoscreen.errors import BundleError

PARITY = 1e-4
"""Largest difference between ONNX Runtime and PyTorch on the same rounded weights: a
hundredth of a percent of a probability; of logits beyond 1 relative to the largest."""


def export_network(network: nn.Module, path: Path, shape: tuple[int, int, int]) -> float:
    """Write a network as ONNX with float16 weights that are computed in float32.

    Args:
        network: In evaluation mode; its weights are rounded to float16 in place.
        path: File to write.
        shape: Channels, rows and columns of an input.
    Returns: The largest difference from PyTorch on random grey images, relative to the largest
        output where that is beyond 1.
    Raises:
        BundleError: If the difference exceeds 1e-4.
    """
    round_weights(network)
    generator = torch.Generator().manual_seed(0)
    images = 255 * torch.rand((2, *shape), generator=generator)
    program = torch.onnx.export(
        network,
        (images,),
        dynamo=True,
        optimize=False,
        verbose=False,
        input_names=["grey"],
        output_names=["output"],
        dynamic_shapes=({0: torch.export.Dim("slices", min=1, max=4096)},),
    )
    if program is None:
        raise BundleError(f"{path}: PyTorch gave no ONNX program")
    onnx.save(halve_weights(program.model_proto), path)
    difference = _difference(network, path, images)
    if not difference < PARITY:
        raise BundleError(
            f"{path}: ONNX Runtime must agree with PyTorch to {PARITY:g}, got {difference:.2g}"
        )
    return difference


def round_weights(network: nn.Module) -> None:
    """Round convolution and linear weights to float16 in place; batch norm stays as it is."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim >= 2:
                parameter.copy_(parameter.half().float())


def halve_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store every weight that float16 holds exactly as float16, cast back to float32 on use.

    Batch norm's statistics and biases stay float32: their variances can exceed float16.
    """
    graph = model.graph
    casts = []
    for index, tensor in enumerate(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim < 2:
            continue
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name = f"{tensor.name}.half"
        casts.append(helper.make_node("Cast", [name], [tensor.name], to=TensorProto.FLOAT))
        graph.initializer[index].CopyFrom(numpy_helper.from_array(half, name))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    onnx.checker.check_model(model)
    return model


def _difference(network: nn.Module, path: Path, images: Tensor) -> float:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network(images).numpy()
    apart = np.abs(session.run(None, {"grey": images.numpy()})[0] - expected).max()
    # Large logits of random images carry larger rounding errors, which their softmax does not see.
    return float(apart / max(1.0, np.abs(expected).max()))
