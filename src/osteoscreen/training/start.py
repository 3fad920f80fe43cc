"""Where a training starts: the weights of a model bundle, or of the best epoch of another run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from osteoscreen.bundle import CLASSIFIER, SEGMENTER, SETTINGS, load_bundle
from osteoscreen.errors import RecipeError
from osteoscreen.training.classifier import build_classifier
from osteoscreen.training.recipe import ClassifierRecipe, LevelRecipe, Recipe, SegmenterRecipe
from osteoscreen.training.segmenter import build_segmenter

Startable = SegmenterRecipe | ClassifierRecipe
"""Recipes that may start from weights."""

BEST = "best.ckpt"
"""Checkpoint of a run's best epoch."""

SEGMENTER_SEES = ("image_size", "spacing_mm", "window_hu", "marks")
CLASSIFIER_SEES = ("image_size", "window_hu", "mark")
"""Settings of a recipe in which weights and recipe must agree: what the network sees and gives."""

HALF = ".half"
"""What an exported float16 weight has behind its name."""

COUNTER = "num_batches_tracked"
"""Batch norm's count of batches, which an export leaves out and nothing here reads."""


@dataclass(frozen=True, eq=False)
class Start:
    """Weights that fit a recipe.

    Args:
        path: The bundle or run, as the recipe names it.
        sha256: Hash of ``bundle.json``, which holds the hashes of the networks, or of the run's
            best checkpoint.
        weights: State dict of the network, all tensors of it.
    """

    path: str
    sha256: str
    weights: dict[str, Tensor]

    @property
    def record(self) -> dict[str, str]:
        """What a run notes about its start."""
        return {"path": self.path, "sha256": self.sha256}


def read_start(recipe: Recipe) -> Start | None:
    """Read the weights that a recipe starts from and check that they fit it.

    Args:
        recipe: Its ``start_from`` is a bundle or run folder, relative to the current folder.
    Returns: The weights; ``None`` where the recipe starts from scratch, as LevelNet's does.
    Raises:
        RecipeError: If the folder is neither, or what its network sees, or its shape, differs
            from the recipe's.
        BundleError: If the bundle is incomplete or changed.
    """
    if isinstance(recipe, LevelRecipe) or recipe.start_from is None:
        return None
    folder = Path(recipe.start_from)
    if (folder / SETTINGS).is_file():
        seen, weights, sha256 = _read_bundle(folder, recipe)
    elif (folder / BEST).is_file():
        seen, weights, sha256 = _read_run(folder, recipe)
    else:
        raise RecipeError(
            f"start_from must be the folder of a bundle or of a run, got {folder} with neither"
        )
    names = SEGMENTER_SEES if isinstance(recipe, SegmenterRecipe) else CLASSIFIER_SEES
    different = [
        f"{name} {seen[name]} there and {getattr(recipe, name)} in the recipe"
        for name in names
        if seen[name] != getattr(recipe, name)
    ]
    if different:
        raise RecipeError(f"start_from {folder} must agree with the recipe, got {different[0]}")
    return Start(recipe.start_from, sha256, _fit(weights, recipe, folder))


def _read_bundle(folder: Path, recipe: Startable) -> tuple[dict[str, Any], dict[str, Tensor], str]:
    """Return what a bundle's network sees, its weights, and the bundle's hash."""
    bundle = load_bundle(folder)
    is_segmenter = isinstance(recipe, SegmenterRecipe)
    settings = bundle.settings.segmenter if is_segmenter else bundle.settings.classifier
    seen = settings.model_dump()
    # Initialisers keep the names that the tensors have in PyTorch (onnx_file.export_network).
    stored = onnx.load(folder / (SEGMENTER if is_segmenter else CLASSIFIER)).graph.initializer
    weights = {
        tensor.name.removesuffix(HALF): torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in stored
    }
    return seen | {"image_size": seen["size"]}, weights, bundle.sha256


def _read_run(folder: Path, recipe: Startable) -> tuple[dict[str, Any], dict[str, Tensor], str]:
    """Return what the network of a run's best epoch sees, its weights, and the file's hash."""
    file = folder / BEST
    checkpoint = torch.load(file, map_location="cpu", weights_only=False)
    known = checkpoint["hyper_parameters"]["recipe"]
    if known["kind"] != recipe.kind:
        raise RecipeError(
            f"start_from {folder} must be a run of a {recipe.kind}, got a {known['kind']}'s"
        )
    weights = {
        name.removeprefix("network."): value for name, value in checkpoint["state_dict"].items()
    }
    seen = type(recipe).model_validate(known).model_dump()
    return seen, weights, hashlib.sha256(file.read_bytes()).hexdigest()


def _fit(weights: dict[str, Tensor], recipe: Startable, folder: Path) -> dict[str, Tensor]:
    """Check that the weights are those of the recipe's network, and complete them by counters."""
    network = (
        build_segmenter(recipe) if isinstance(recipe, SegmenterRecipe) else build_classifier(recipe)
    )
    wanted = network.state_dict()
    given = {name: tuple(value.shape) for name, value in weights.items()}
    for name, value in wanted.items():
        if name.endswith(COUNTER):
            continue
        if given.get(name) != tuple(value.shape):
            raise RecipeError(
                f"start_from {folder} must hold the recipe's network, {_size(recipe)}: "
                f"{name} must have the shape {tuple(value.shape)}, got {given.get(name, 'none')}"
            )
    unknown = sorted(weights.keys() - wanted.keys())
    if unknown:
        raise RecipeError(
            f"start_from {folder} must hold the recipe's network, {_size(recipe)}: got "
            f"{len(unknown)} more tensors, {unknown[0]} one of them"
        )
    return {
        name: weights[name].to(value.dtype) if name in weights else value
        for name, value in wanted.items()
    }


def _size(recipe: Startable) -> str:
    if isinstance(recipe, SegmenterRecipe):
        return f"width {recipe.width}"
    return f"network {recipe.network}"
