"""Starts: the weights of the bundle in the package, of a run, and every misfit named."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.testing import assert_close

from osteoscreen.bundle import SETTINGS, load_bundle
from osteoscreen.cohort.manifest import Manifest
from osteoscreen.errors import RecipeError, RunError
from osteoscreen.training.classifier import build_classifier
from osteoscreen.training.onnx_file import PARITY
from osteoscreen.training.recipe import (
    ClassifierRecipe,
    LevelRecipe,
    Recipe,
    SegmenterRecipe,
    read_recipe,
)
from osteoscreen.training.run import LAST, Run, load_best, train
from osteoscreen.training.segmenter import build_segmenter
from osteoscreen.training.start import BEST, Start, read_start

ROOT = Path(__file__).parents[1]
RECIPES = {"segmenter": "small/segmenter.toml", "classifier": "paper/practical.toml"}
"""What the bundle was trained by, but for the length."""
BUNDLE = load_bundle()


def _recipe(kind: str, **changes: Any) -> Recipe:  # noqa: ANN401 - settings of a recipe
    recipe = read_recipe(ROOT / "recipes" / RECIPES[kind])
    return recipe.model_copy(update={"start_from": str(BUNDLE.folder)} | changes)


def _start(recipe: Recipe) -> Start:
    start = read_start(recipe)
    assert start is not None
    return start


@pytest.mark.parametrize("kind", ["segmenter", "classifier"])
def test_a_start_from_the_bundle_answers_as_the_bundle(kind: str) -> None:
    recipe = _recipe(kind)
    start = _start(recipe)
    assert not isinstance(recipe, LevelRecipe)
    network = (
        build_segmenter(recipe) if isinstance(recipe, SegmenterRecipe) else build_classifier(recipe)
    )
    network.load_state_dict(start.weights)
    size = recipe.image_size
    grey = np.random.default_rng(0).uniform(0, 255, (2, size, size)).astype(np.float32)
    with torch.no_grad():
        got = network.eval()(torch.from_numpy(grey)[:, None]).numpy()
    wanted = BUNDLE.marks(grey) if kind == "segmenter" else BUNDLE.logits(grey)
    assert_allclose(got, wanted, rtol=0, atol=PARITY)


def test_a_start_is_known_by_the_hash_of_the_bundle() -> None:
    start = _start(_recipe("classifier"))
    expected = hashlib.sha256((BUNDLE.folder / SETTINGS).read_bytes()).hexdigest()
    assert start.record == {"path": str(BUNDLE.folder), "sha256": expected}


def test_a_recipe_without_a_start_has_none() -> None:
    assert read_start(_recipe("segmenter", start_from=None)) is None


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("segmenter", {"image_size": 128}, "got image_size 256 there and 128 in the recipe"),
        ("segmenter", {"spacing_mm": 1.0}, "got spacing_mm 1.5 there and 1.0"),
        ("segmenter", {"window_hu": (-100.0, 900.0)}, "got window_hu"),
        ("segmenter", {"marks": ("body", "vertebra")}, "got marks"),
        ("segmenter", {"width": 32}, r"width 32: encoder\.0\.conv\.weight must have the shape"),
        ("classifier", {"image_size": 112}, "got image_size 224 there and 112"),
        ("classifier", {"mark": "body"}, "got mark vertebra there and body"),
        ("classifier", {"network": "densenet-2"}, "network densenet-2: .* must have the shape"),
        ("classifier", {"network": "densenet-1"}, "network densenet-1: "),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    kind: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        read_start(_recipe(kind, **changes))
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_neither_bundle_nor_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="must be the folder of a bundle or of a run"):
        read_start(_recipe("segmenter", start_from=str(tmp_path)))


def test_a_run_may_start_from_a_run(
    classifier_run: Run, segmenter_run: Run, manifest: Manifest, tmp_path: Path
) -> None:
    changes = {
        "start_from": str(classifier_run.folder),
        "learning_rate": 1e-12,
        "bn_recalibrate": 0,
    }
    recipe = classifier_run.recipe.model_copy(update=changes)
    assert isinstance(recipe, ClassifierRecipe)
    run = train(recipe, manifest, tmp_path)
    before, after = (dict(load_best(one).named_parameters()) for one in (classifier_run, run))
    for name, value in before.items():
        assert_close(after[name], value, rtol=0, atol=1e-6, msg=name)
    sha256 = hashlib.sha256((classifier_run.folder / BEST).read_bytes()).hexdigest()
    assert run.record["started_from"] == {"path": str(classifier_run.folder), "sha256": sha256}
    other = recipe.model_copy(update={"start_from": str(segmenter_run.folder)})
    with pytest.raises(RecipeError, match="must be a run of a classifier, got a segmenter's"):
        read_start(other)


def test_an_interrupted_run_goes_on_from_its_checkpoint(
    classifier_run: Run, manifest: Manifest, tmp_path: Path
) -> None:
    gone = (tmp_path / "start").resolve()
    gone.mkdir()
    (gone / BEST).write_bytes((classifier_run.folder / BEST).read_bytes())
    recipe = classifier_run.recipe.model_copy(update={"start_from": str(gone)})
    first = train(recipe, manifest, tmp_path / "run")
    (gone / BEST).unlink()
    assert train(recipe, manifest, tmp_path / "run") == first


def test_a_run_without_a_checkpoint_does_not_change_its_start(
    classifier_run: Run, segmenter_run: Run, manifest: Manifest, tmp_path: Path
) -> None:
    start = tmp_path / "start"
    start.mkdir()
    (start / BEST).write_bytes((classifier_run.folder / BEST).read_bytes())
    recipe = classifier_run.recipe.model_copy(update={"start_from": str(start)})
    train(recipe, manifest, tmp_path / "run")
    (tmp_path / "run" / LAST).unlink()
    changed = torch.load(start / BEST, weights_only=False)
    changed["epoch"] += 1
    torch.save(changed, start / BEST)
    with pytest.raises(RunError, match="a run of another started_from"):
        train(recipe, manifest, tmp_path / "run")
