"""Recipes: the shipped ones, the paper's values, and every wrong setting named."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from osteoscreen.cohort.views import Augmentation
from osteoscreen.errors import RecipeError
from osteoscreen.training.provenance import read_provenance
from osteoscreen.training.recipe import (
    AugmentationSection,
    ClassifierRecipe,
    SegmenterRecipe,
    read_recipe,
)

RECIPES = Path(__file__).parents[1] / "recipes"


def _refused(tmp_path: Path, text: str) -> str:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message


@pytest.mark.parametrize(
    "path", sorted(RECIPES.glob("*/*.toml")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_every_shipped_recipe_is_read_and_is_of_its_kind(path: Path) -> None:
    assert read_recipe(path).kind == {"practical": "classifier"}.get(path.stem, path.stem)


def test_the_practical_recipe_of_the_paper_s_size_differs_in_what_its_name_says() -> None:
    one, other = (read_recipe(RECIPES / "paper" / f"{n}.toml") for n in ("classifier", "practical"))
    assert other == one.model_copy(update={"dropout": 0.0, "weight_decay": 0.0005})


def test_the_paper_s_segmenter_is_trained_as_section_3_2_says() -> None:
    recipe = read_recipe(RECIPES / "paper" / "segmenter.toml")
    stated: dict[str, Any] = {
        "width": 64, "image_size": 512, "spacing_mm": None, "marks": ("vertebra",), "loss": "mae",
        "learning_rate": 0.002, "epochs_fixed": 100, "epochs_linear": 50, "beta1": 0.9,
        "batch": 64, "views_per_epoch": 1800,
    }  # fmt: skip
    assert isinstance(recipe, SegmenterRecipe)
    assert {name: getattr(recipe, name) for name in stated} == stated
    # Section 3.1: rotation and translation, nothing else.
    augmentation = recipe.augmentation
    assert min(augmentation.rotation_deg, augmentation.shift_mm) > 0
    assert augmentation.build() == Augmentation(augmentation.rotation_deg, augmentation.shift_mm)


def test_the_paper_s_classifier_is_trained_as_section_3_2_says() -> None:
    recipe = read_recipe(RECIPES / "paper" / "classifier.toml")
    stated: dict[str, Any] = {
        "network": "bcc-net", "dropout": 0.4, "image_size": 224, "learning_rate": 0.01,
        "lr_gamma": 0.006, "lr_alpha": 0.98, "momentum": 0.9, "weight_decay": 0.005, "batch": 64,
        "views_per_epoch": 21600, "fill": (0.8, 1.0),
    }  # fmt: skip
    assert isinstance(recipe, ClassifierRecipe)
    assert {name: getattr(recipe, name) for name in stated} == stated
    assert recipe.bn_recalibrate > 0


def test_the_defaults_of_a_recipe_are_the_paper_s() -> None:
    for recipe in (SegmenterRecipe(kind="segmenter"), ClassifierRecipe(kind="classifier")):
        shipped = read_recipe(RECIPES / "paper" / f"{recipe.kind}.toml")
        plain = {"augmentation": AugmentationSection()}
        assert shipped.model_copy(update=plain) == recipe


def test_an_absent_augmentation_changes_nothing() -> None:
    assert AugmentationSection().build() == Augmentation()
    names = {field.name for field in dataclasses.fields(Augmentation)}
    assert set(AugmentationSection.model_fields) == names


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("widht = 16", "widht"),
        ("width = 0", "width"),
        ('width = "wide"', "width"),
        ('marks = ["rib"]', "marks"),
        ("marks = []", "marks"),
        ('marks = ["body", "body"]', "marks"),
        ("image_size = 100", "image_size"),
        ("image_size = 32", "image_size"),
        ("image_size = 2048", "image_size"),
        ("spacing_mm = 0", "spacing_mm"),
        ("window_hu = [100, 100]", "window_hu"),
        ("window_hu = [nan, 100]", "window_hu"),
        ("window_hu = [100]", "window_hu"),
        ('loss = "mse"', "loss"),
        ("learning_rate = 0", "learning_rate"),
        ("learning_rate = nan", "learning_rate"),
        ("beta1 = 1", "beta1"),
        ("batch = 1", "batch"),
        ("views_per_epoch = 63", "views_per_epoch"),
        ("epochs_fixed = 0\nepochs_linear = 0", "epochs_fixed"),
        ('precision = "8"', "precision"),
        ("[augmentation]\nturn = 3", "augmentation.turn"),
        ("[augmentation]\nrotation_deg = -1", "augmentation.rotation_deg"),
        ("[augmentation]\nscale = [0, 1]", "scale"),
        ("[augmentation]\nscale = [1.2, 0.8]", "scale"),
        ("[augmentation]\nstrip = 1.5", "augmentation.strip"),
    ],
)
def test_a_wrong_setting_of_a_segmenter_is_named(setting: str, field: str, tmp_path: Path) -> None:
    assert field in _refused(tmp_path, f'kind = "segmenter"\n{setting}\n')


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("width = 64", "width"),
        ('network = "resnet"', "network"),
        ("dropout = 1", "dropout"),
        ('mark = "disc"', "mark"),
        ("image_size = 31", "image_size"),
        ('lr_round = "batch"', "lr_round"),
        ("momentum = 1", "momentum"),
        ("weight_decay = -1", "weight_decay"),
        ("views_per_epoch = 63", "views_per_epoch"),
        ("epochs = 0", "epochs"),
        ("bn_recalibrate = -1", "bn_recalibrate"),
        ("fill = [0, 1]", "fill"),
        ("fill = [0.9, 0.8]", "fill"),
        ("fill = [0.9, 1.1]", "fill"),
        ("window_hu = [1000, -200]", "window_hu"),
        ('initial_weights = "weights.pth"', "initial_weights"),
        ('network = "densenet-121"\ninitial_weights = "w"\nstart_from = "b"', "start_from"),
        ('start_from = ""', "start_from"),
        ('pool_grows = "often"', "pool_grows"),
    ],
)
def test_a_wrong_setting_of_a_classifier_is_named(setting: str, field: str, tmp_path: Path) -> None:
    assert field in _refused(tmp_path, f'kind = "classifier"\n{setting}\n')


def test_all_wrong_settings_are_named_at_once(tmp_path: Path) -> None:
    message = _refused(tmp_path, 'kind = "classifier"\ndropout = 2\nepochs = "many"\nepoch = 3\n')
    for field in ("dropout: ", "epochs: ", "epoch: "):
        assert field in message


@pytest.mark.parametrize("text", ["", 'kind = "detector"', "kind = 3"])
def test_a_recipe_must_say_its_kind(text: str, tmp_path: Path) -> None:
    assert "kind" in _refused(tmp_path, text)


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    assert "must be TOML" in _refused(tmp_path, "kind = segmenter")
    (tmp_path / "latin.toml").write_bytes('kind = "ü"'.encode("latin-1"))
    with pytest.raises(RecipeError, match="must be TOML in UTF-8"):
        read_recipe(tmp_path / "latin.toml")


def test_a_recipe_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="it does not exist"):
        read_recipe(tmp_path / "recipe.toml")


def test_the_card_of_the_package_s_bundle_says_that_its_data_is_synthetic() -> None:
    provenance = read_provenance(RECIPES / "phantom-v1.toml")
    assert provenance.name == "phantom-v1"
    assert provenance.trained_on.is_synthetic
    assert "no real patient" in provenance.trained_on.description


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('name = "a"\nversion = "1"\n', "trained_on"),
        ((RECIPES / "phantom-v1.toml").read_text() + "dose = 3\n", "trained_on.dose"),
        ('author = "me"\n' + (RECIPES / "phantom-v1.toml").read_text(), "author"),
        ("name = a", "must be a TOML file"),
    ],
)
def test_a_wrong_card_is_refused(text: str, field: str, tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text(text)
    with pytest.raises(RecipeError, match=field):
        read_provenance(tmp_path / "card.toml")
    with pytest.raises(RecipeError, match="must be a TOML file"):
        read_provenance(tmp_path / "missing.toml")
