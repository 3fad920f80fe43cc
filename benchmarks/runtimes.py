"""ONNX Runtime and OpenVINO side by side, on the networks of the bundle in the package.

OpenVINO is no part of the installation (it adds 110 MB to it): ``pip install openvino`` to measure.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
from numpy.typing import NDArray

from osteoscreen.bundle import CLASSIFIER, LEVELS, SEGMENTER, Bundle

SLICES = 16
RUNS = 3

Image = NDArray[np.float32]
Runner = Callable[[Image], object]


def _by_onnxruntime(path: Path) -> Runner:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})


class OpenVinoSession:
    """A network in OpenVINO behind the few methods of an ONNX Runtime session that a bundle uses.

    Requests of several Python threads to one model have been seen to wait for each other for ever
    (OpenVINO 2026.4): one request at a time is run, which OpenVINO parts among the cores.

    Args:
        path: ONNX file.
        cores: On which a request is run.
    """

    def __init__(self, path: Path, cores: int) -> None:
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": cores,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        model = openvino.Core().compile_model(path, "CPU", settings)
        self._inputs = tuple(_Named(one.any_name) for one in model.inputs)
        self._request = model.create_infer_request()
        self._running = threading.Lock()

    def get_inputs(self) -> tuple[_Named, ...]:
        """Return the inputs; a bundle asks for the name of the first."""
        return self._inputs

    def run(self, _outputs: None, given: dict[str, Image]) -> list[Image]:
        """Run the network."""
        with self._running:
            return [np.array(self._request.infer(given)[0])]


class _Named:
    def __init__(self, name: str) -> None:
        self.name = name


def _by_openvino(path: Path, cores: int) -> Runner:
    session = OpenVinoSession(path, cores)
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})


def compare_networks(bundle: Bundle, cores: int) -> dict[str, dict[str, float]]:
    """Measure ms a slice, by network, runtime, slices a call and calls side by side.

    One at once is time of the processor, whatever runs beside it; more are wall time, and of
    OpenVINO one call on as many cores.
    """
    settings = bundle.settings
    assert settings.levels is not None
    shapes = {
        SEGMENTER: (1, settings.segmenter.size, settings.segmenter.size),
        LEVELS: (4, settings.levels.size, settings.levels.size),
        CLASSIFIER: (settings.classifier.channels, *(settings.classifier.size,) * 2),
    }
    found: dict[str, dict[str, float]] = {}
    for file, shape in shapes.items():
        path = bundle.folder / file
        images = np.random.default_rng(0).uniform(0, 255, (SLICES, *shape)).astype(np.float32)
        found[file] = {
            f"{name}, batch {batch}, {side_by_side} at once": _ms(
                runner, images, batch, side_by_side
            )
            for side_by_side in sorted({1, cores})
            for name, runner in (
                ("ONNX Runtime", _by_onnxruntime(path)),
                ("OpenVINO", _by_openvino(path, side_by_side)),
            )
            for batch in (1, 8)
        }
    return found


def _ms(runner: Runner, images: Image, batch: int, side_by_side: int) -> float:
    batches = [images[start : start + batch] for start in range(0, len(images), batch)]
    clock = time.process_time if side_by_side == 1 else time.perf_counter
    times = []
    with ThreadPoolExecutor(side_by_side) as pool:
        for _ in range(RUNS + 1):  # the first one warms up
            start = clock()
            list(pool.map(runner, batches))
            times.append(clock() - start)
    return round(min(times[1:]) / len(images) * 1e3, 2)


def on_openvino(bundle: Bundle, cores: int) -> Bundle:
    """Return the bundle with its networks in OpenVINO: where it keeps them, once they are open."""
    moved = Bundle(bundle.folder, bundle.settings, bundle.sha256)
    for name, file in (("_segmenter", SEGMENTER), ("_classifier", CLASSIFIER), ("_levels", LEVELS)):
        vars(moved)[name] = OpenVinoSession(bundle.folder / file, cores)
    return moved
