"""From two runs to a model bundle: ONNX, calibration, parity check, model card."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import Tensor, nn

from osteoscreen.bundle import (
    CARD,
    CLASSIFIER,
    LEVELS,
    SEGMENTER,
    Bundle,
    BundleSettings,
    ClassifierSettings,
    SegmenterSettings,
    TrainedOn,
    load_bundle,
    write_settings,
)
from osteoscreen.cohort.leakage import Fingerprints, check_leakage
from osteoscreen.cohort.manifest import Manifest, Split
from osteoscreen.errors import BundleError, RecipeError, RunError
from osteoscreen.evaluation.calibration import conformal_quantile, fit_temperature
from osteoscreen.evaluation.classification import DISEASED
from osteoscreen.evaluation.evaluate import measure
from osteoscreen.evaluation.operating_point import point_of_sensitivity, point_of_specificity
from osteoscreen.evaluation.readings import Readings, patient_scores, read_cohort
from osteoscreen.networks.level_net import IN_CHANNELS
from osteoscreen.screening.unlike import fit_typical, patient_features
from osteoscreen.training.card import write_card
from osteoscreen.training.pool import level_settings
from osteoscreen.training.recipe import ClassifierRecipe, LevelRecipe, SegmenterRecipe
from osteoscreen.training.run import Run, load_best, read_seen

PARITY = 1e-4
"""Largest difference between ONNX Runtime and PyTorch on the same rounded weights: a
hundredth of a percent of a probability; of logits beyond 1 relative to the largest."""

COVERAGE = 0.9
"""Share of patients whose class the prediction set shall hold."""

POINT_SHARE = 0.9
"""Sensitivity, and specificity, for osteoporosis at the two operating points."""


@dataclass(frozen=True)
class Provenance:
    """What the bundle says about its data.

    Args:
        name, version: Of the bundle.
        trained_on: Acquisition and nature of the training data.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    version: str
    trained_on: TrainedOn


def read_provenance(path: Path) -> Provenance:
    """Read the name, version and data of a bundle from TOML.

    Raises:
        RecipeError: If the file does not exist, or a setting is missing or wrong.
    """
    try:
        return TypeAdapter(Provenance).validate_python(tomllib.loads(path.read_text("utf-8")))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: the card must be a TOML file, {error}") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise RecipeError(f"{path}: {wrong}") from None


def export(  # noqa: PLR0913 - three runs, a cohort, a place and a name
    segmenter: Run,
    classifier: Run,
    calibration: Manifest,
    folder: Path,
    provenance: Provenance,
    *,
    levels: Run | None = None,
    advance: Callable[[int], None] | None = None,
) -> Bundle:
    """Export two runs to a bundle, calibrate it, measure it and write its card.

    Args:
        segmenter: Run of MS-Net.
        classifier: Run of BCC-Net.
        calibration: Cohort whose calibration split sets temperature and prediction sets, and
            whose test split gives the figures of the card.
        folder: Where to write; made if it does not exist. What is there stays as it is unless the
            export succeeds.
        provenance: Name and data of the bundle.
        levels: Run of LevelNet; ``None`` makes a bundle that does not name vertebrae.
        advance: Called with the number of slices just read.
    Returns: The bundle as it was written, loaded and verified.
    Raises:
        RunError: If a run is of the wrong kind, or the calibration split says nothing.
        BundleError: If ONNX Runtime and PyTorch disagree.
        LeakageError: If calibration and test share images with each other or with what a run has
            seen.
    """
    if not isinstance(segmenter.recipe, SegmenterRecipe):
        raise RunError(f"{segmenter.folder}: a segmenter run is needed, got a classifier's")
    if not isinstance(classifier.recipe, ClassifierRecipe):
        raise RunError(f"{classifier.folder}: a classifier run is needed, got a segmenter's")
    if levels is not None and not isinstance(levels.recipe, LevelRecipe):
        raise RunError(
            f"{levels.folder}: a run of LevelNet is needed, got a {levels.recipe.kind}'s"
        )
    if not any(case.condition for case in calibration.of(Split.CALIBRATION)):
        raise RunError("an export needs cases with a condition in the calibration split, got none")
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder}: a bundle needs a folder, it is a file")
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        _write_bundle(
            (segmenter, classifier, levels), calibration, part, provenance, advance=advance
        )
        folder.mkdir(exist_ok=True)
        for file in part.iterdir():
            file.replace(folder / file.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return load_bundle(folder)


def _write_bundle(
    runs: tuple[Run, Run, Run | None],
    calibration: Manifest,
    folder: Path,
    provenance: Provenance,
    *,
    advance: Callable[[int], None] | None,
) -> None:
    segmenter, classifier, levels = runs
    bundle = draft_bundle(segmenter, classifier, folder, provenance)
    if levels is not None:
        bundle = add_levels(bundle, levels)
    tuning, test = (
        read_cohort(bundle, calibration, split, advance=advance)
        for split in (Split.CALIBRATION, Split.TEST)
    )
    check_leakage(tuning.seen, test.seen, ("calibration", "test"))
    check_runs([run for run in runs if run is not None], tuning.seen, test.seen)
    settings = calibrate(bundle.settings, tuning)
    metrics = measure(settings, test) | {"cohort_sha256": calibration.sha256}
    finish_bundle(settings, metrics, folder)


def draft_bundle(segmenter: Run, classifier: Run, folder: Path, provenance: Provenance) -> Bundle:
    """Write the networks of two runs as a bundle that is neither calibrated nor measured yet.

    Args:
        segmenter: Run of MS-Net.
        classifier: Run of BCC-Net or a sibling.
        folder: Where; it exists.
        provenance: Name and data of the bundle.
    Raises:
        BundleError: If ONNX Runtime and PyTorch disagree.
    """
    assert isinstance(segmenter.recipe, SegmenterRecipe)
    assert isinstance(classifier.recipe, ClassifierRecipe)
    size, side = segmenter.recipe.image_size, classifier.recipe.image_size
    differences = {
        "segmenter": export_network(load_best(segmenter), folder / SEGMENTER, (1, size, size)),
        "classifier": export_network(
            load_best(classifier), folder / CLASSIFIER, (_channels(classifier), side, side)
        ),
    }
    settings = _settings(segmenter, classifier, provenance)
    write_settings(
        settings.model_copy(update={"metrics": {"onnx_difference": differences}}), folder
    )
    return load_bundle(folder)


def add_levels(bundle: Bundle, run: Run) -> Bundle:
    """Write LevelNet into the folder of a bundle.

    Args:
        bundle: Without, or with another one.
        run: Of LevelNet.
    Returns: The bundle that names vertebrae; its metrics keep the hash of the one without, whose
        figures of MS-Net and BCC-Net are its own.
    Raises:
        BundleError: If ONNX Runtime and PyTorch disagree.
    """
    assert isinstance(run.recipe, LevelRecipe)
    size = run.recipe.image_size
    difference = export_network(load_best(run), bundle.folder / LEVELS, (IN_CHANNELS, size, size))
    known = bundle.settings
    differences = known.metrics.get("onnx_difference", {}) | {"levels": difference}
    settings = known.model_copy(
        update={
            "levels": level_settings(run.recipe),
            "runs": known.runs | {"levels": run.record},
            "metrics": known.metrics
            | {"onnx_difference": differences, "without_levels_sha256": bundle.sha256},
        }
    )
    write_settings(settings, bundle.folder)
    return load_bundle(bundle.folder)


def finish_bundle(settings: BundleSettings, metrics: dict[str, Any], folder: Path) -> None:
    """Write the card and the settings of a calibrated bundle.

    Args:
        settings: Calibrated.
        metrics: Figures of its test split, as ``measure`` gives them, and ``cohort_sha256``.
        folder: Of the draft.
    """
    settings = settings.model_copy(update={"metrics": settings.metrics | metrics})
    write_card(settings, folder / CARD)
    write_settings(settings, folder)


def check_runs(runs: Sequence[Run], tuning: Fingerprints, test: Fingerprints) -> None:
    """Refuse a calibration or a test on what a run has seen.

    Args:
        runs: Of the networks.
        tuning: Slices of the calibration.
        test: Slices of the test.
    Raises:
        LeakageError: If they share images with the train or validation slices of a run.
    """
    for run in runs:
        for seen, side in zip(read_seen(run), ("train", "validation")):
            check_leakage(seen, tuning, (f"{side} of {run.folder.name}", "calibration"))
            check_leakage(seen, test, (f"{side} of {run.folder.name}", "test"))


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


def _channels(run: Run) -> int:
    return 3 if isinstance(run.recipe, ClassifierRecipe) and "121" in run.recipe.network else 1


def _settings(segmenter: Run, classifier: Run, provenance: Provenance) -> BundleSettings:
    assert isinstance(segmenter.recipe, SegmenterRecipe)
    assert isinstance(classifier.recipe, ClassifierRecipe)
    return BundleSettings(
        name=provenance.name,
        version=provenance.version,
        segmenter=SegmenterSettings(
            size=segmenter.recipe.image_size,
            spacing_mm=segmenter.recipe.spacing_mm,
            window_hu=segmenter.recipe.window_hu,
            marks=segmenter.recipe.marks,
        ),
        classifier=ClassifierSettings(
            size=classifier.recipe.image_size,
            window_hu=classifier.recipe.window_hu,
            mark=classifier.recipe.mark,
            channels=3 if _channels(classifier) == 3 else 1,
        ),
        trained_on=provenance.trained_on,
        runs={"segmenter": segmenter.record, "classifier": classifier.record},
        metrics={},
        sha256={},
    )


def calibrate(settings: BundleSettings, readings: Readings) -> BundleSettings:
    """Fit temperature, quantile, operating points and what is typical, on means over slices.

    Args:
        settings: Of the bundle.
        readings: What it said of patients that neither trained nor test it.
    Raises:
        RunError: If nothing was classified.
    """
    known = readings.is_known
    if not known.any():
        raise RunError("a calibration needs slices in which MS-Net marks a vertebra, got none")
    temperature = fit_temperature(
        readings.logits[known], readings.truth[known], readings.known_patients
    )
    truth, score = patient_scores(readings, temperature)
    tuned: dict[str, float] = {
        "temperature": temperature,
        "conformal_quantile": conformal_quantile(truth, score, COVERAGE),
        "conformal_coverage": COVERAGE,
    }
    groups = np.array(readings.known_patients)
    features = np.stack(
        [
            patient_features(
                readings.logits[known][groups == name], readings.hu[known][groups == name]
            )
            for name in dict.fromkeys(readings.known_patients)
        ]
    )
    points: dict[str, float] = {}
    is_diseased = truth == DISEASED
    if is_diseased.any() and not is_diseased.all():
        for name, choose in (
            ("sensitive", point_of_sensitivity),
            ("specific", point_of_specificity),
        ):
            chosen = choose(name, POINT_SHARE, is_diseased, score[:, DISEASED])
            points[f"{name}_probability"] = chosen.threshold
    return settings.model_copy(
        update={
            "classifier": settings.classifier.model_copy(update=tuned),
            "typical": fit_typical(features),
            "operating_points": settings.operating_points.model_copy(update=points),
        }
    )
