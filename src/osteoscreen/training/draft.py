"""A bundle in the making: the networks of its runs, its settings, at the end its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from osteoscreen.bundle import (
    CARD,
    CLASSIFIER,
    LEVELS,
    SEGMENTER,
    Bundle,
    BundleSettings,
    ClassifierSettings,
    SegmenterSettings,
    load_bundle,
    write_settings,
)
from osteoscreen.networks.level_net import IN_CHANNELS
from osteoscreen.training.card import write_card
from osteoscreen.training.onnx_file import export_network
from osteoscreen.training.pool import level_settings
from osteoscreen.training.provenance import Provenance
from osteoscreen.training.recipe import ClassifierRecipe, LevelRecipe, SegmenterRecipe
from osteoscreen.training.run import Run, load_best


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
