"""Hand-made model bundles whose every output can be worked out on paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from osteoscreen.bundle import (
    CLASSIFIER,
    SEGMENTER,
    Bundle,
    BundleSettings,
    ClassifierSettings,
    OperatingPoints,
    SegmenterSettings,
    TrainedOn,
    load_bundle,
    write_settings,
)

WINDOW_HU = (-200.0, 1000.0)
BONE_GREY = 85.0
"""Marked from here on: 200 HU in the window -200..1000."""
LOGIT_PER_GREY = (0.05, 0.0, -0.05)
"""Logits of the classifier for each grey of the roi's mean."""


def threshold_bundle(
    folder: Path, *, size: int = 256, spacing_mm: float | None = 1.5, is_synthetic: bool = True
) -> Bundle:
    """Write a bundle that marks whatever is brighter than 200 HU and classifies by mean grey."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_segmenter(size), folder / SEGMENTER)
    onnx.save(_classifier(64), folder / CLASSIFIER)
    settings = BundleSettings(
        name="threshold",
        version="1",
        segmenter=SegmenterSettings(
            size=size, spacing_mm=spacing_mm, window_hu=WINDOW_HU, marks=("vertebra", "body")
        ),
        classifier=ClassifierSettings(
            size=64, window_hu=WINDOW_HU, mark="vertebra", conformal_quantile=0.7
        ),
        operating_points=OperatingPoints(smallest_mark_mm2=100),
        trained_on=TrainedOn(
            is_synthetic=is_synthetic, description="nothing", kvp=(120, 120), thickness_mm=(1, 5)
        ),
        runs={},
        metrics={},
        sha256={},
    )
    write_settings(settings, folder)
    return load_bundle(folder)


def _model(
    nodes: list[onnx.NodeProto], weights: dict[str, NDArray[Any]], shape: list[str | int]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("grey", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=10)


def _segmenter(size: int) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Sub", ["grey", "threshold"], ["above"]),
        helper.make_node("Mul", ["above", "steep"], ["sharp"]),
        helper.make_node("Sigmoid", ["sharp"], ["mark"]),
        helper.make_node("Concat", ["mark", "mark"], ["output"], axis=1),
    ]
    weights = {
        "threshold": np.array(BONE_GREY, np.float32),
        "steep": np.array(10.0, np.float32),
    }
    return _model(nodes, weights, ["slices", 1, size, size])


def _classifier(size: int) -> onnx.ModelProto:
    nodes = [
        helper.make_node("ReduceMean", ["grey", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "slope"], ["output"]),
    ]
    weights: dict[str, NDArray[Any]] = {
        "axes": np.array([2, 3], np.int64),
        "slope": np.array([LOGIT_PER_GREY], np.float32),
    }
    return _model(nodes, weights, ["slices", 1, size, size])
