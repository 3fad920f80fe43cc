"""A network as an ONNX file: float16 weights, the same answers as PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.testing import assert_allclose
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from osteoscreen.errors import BundleError
from osteoscreen.training import onnx_file as module
from osteoscreen.training.onnx_file import PARITY, export_network, halve_weights, round_weights


def _network(seed: int = 0) -> nn.Module:
    """Convolution, batch norm and a linear layer, small and of a fixed seed."""
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip
    rng = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.05, generator=rng)
    return network.eval()


def test_an_exported_network_agrees_with_pytorch(tmp_path: Path) -> None:
    assert export_network(_network(), tmp_path / "network.onnx", (1, 8, 8)) < PARITY


def test_a_network_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(model: onnx.ModelProto) -> onnx.ModelProto:
        for index, tensor in enumerate(model.graph.initializer):
            values = numpy_helper.to_array(tensor)
            if values.ndim == 4:
                spoiled = numpy_helper.from_array(values * np.float32(1.01), tensor.name)
                model.graph.initializer[index].CopyFrom(spoiled)
        return halve_weights(model)

    monkeypatch.setattr(module, "halve_weights", spoil)
    with pytest.raises(BundleError, match=r"must agree with PyTorch to 0\.0001, got"):
        export_network(_network(), tmp_path / "network.onnx", (1, 8, 8))


def test_rounded_weights_are_within_half_a_float16_step() -> None:
    network, rounded = _network(), _network()
    round_weights(rounded)
    for before, after in zip(network.parameters(), rounded.parameters()):
        if before.ndim >= 2:
            assert torch.equal(after, after.half().float())
            # Ten bits of fraction; below 6e-5 the steps are absolute.
            torch.testing.assert_close(after, before, rtol=2**-11, atol=2**-25)
        else:
            assert torch.equal(after, before)


def test_halving_changes_no_value_that_float16_cannot_hold() -> None:
    exact, other = np.array([[0.5, -2.0]], np.float32), np.array([[0.1], [1.0]], np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "exact"], ["y"]),
         helper.make_node("MatMul", ["y", "other"], ["output"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1])],
        [numpy_helper.from_array(exact, "exact"), numpy_helper.from_array(other, "other")],
    )  # fmt: skip
    halved = halve_weights(helper.make_model(graph))
    stored = {one.name: numpy_helper.to_array(one) for one in halved.graph.initializer}
    assert stored["exact.half"].dtype == np.float16
    assert_allclose(stored["exact.half"], exact, rtol=0, atol=0)
    assert stored["other"].dtype == np.float32
