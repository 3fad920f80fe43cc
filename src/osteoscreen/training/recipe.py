"""Recipes: every setting of a training, in one versioned TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from osteoscreen.cohort.views import MARKS, Augmentation
from osteoscreen.errors import RecipeError
from osteoscreen.networks.ms_net import LARGEST_IMAGE, SMALLEST_IMAGE

Window = tuple[float, float]

StartFrom = Annotated[
    str | None,
    Field(
        min_length=1,
        description="folder of a bundle or of a run whose weights a new run begins with, relative "
        "to the current folder; absent: from scratch",
    ),
]
PoolGrows = Annotated[
    bool, Field(description="whether the manifest is read again at the start of each epoch")
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AugmentationSection(_Section):
    """How far a view may differ from its slice; see ``osteoscreen.cohort.views.Augmentation``."""

    rotation_deg: float = Field(default=0, ge=0, le=180)
    shift_mm: float = Field(default=0, ge=0)
    scale: tuple[float, float] = (1.0, 1.0)
    strip: float = Field(default=0, ge=0, le=1)
    degrade: float = Field(default=0, ge=0, le=1)
    mirror: bool = False

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale must be positive and rise, got {self.scale}")
        return self

    def build(self) -> Augmentation:
        """Return the settings that the views take."""
        return Augmentation(**self.model_dump())


class SegmenterRecipe(_Section):
    """How to train MS-Net; the defaults are the paper's (sections 2.1 and 3.2)."""

    kind: Literal["segmenter"]
    seed: int = 1
    start_from: StartFrom = None
    pool_grows: PoolGrows = False
    width: int = Field(default=64, ge=1, description="64 in the paper")
    marks: tuple[Literal["vertebra", "body"], ...] = ("vertebra",)
    image_size: int = Field(default=512, description="grid of the network")
    spacing_mm: float | None = Field(
        default=None, gt=0, description="pixel spacing of the grid; absent: as scanned"
    )
    window_hu: Window = (-200.0, 1000.0)
    loss: Literal["mae", "dice_bce"] = "mae"
    learning_rate: float = Field(default=0.002, gt=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    batch: int = Field(default=64, ge=2)
    views_per_epoch: int = Field(default=1800, ge=2, description="1,800 in the paper")
    epochs_fixed: int = Field(default=100, ge=0)
    epochs_linear: int = Field(default=50, ge=0)
    validation_slices: int = Field(default=256, ge=1)
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    augmentation: AugmentationSection = AugmentationSection()

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if not self.marks or len(set(self.marks)) != len(self.marks):
            raise ValueError(f"marks must name some of {MARKS} once each, got {self.marks}")
        if self.epochs_fixed + self.epochs_linear < 1:
            raise ValueError("epochs_fixed and epochs_linear must make an epoch at least, got 0")
        size = self.image_size
        if not SMALLEST_IMAGE <= size <= LARGEST_IMAGE or size.bit_count() != 1:
            raise ValueError(
                f"image_size must be a power of two from {SMALLEST_IMAGE} to {LARGEST_IMAGE}, "
                f"got {size}"
            )
        _check_epoch(self.views_per_epoch, self.batch)
        _check_window(self.window_hu)
        return self


class ClassifierRecipe(_Section):
    """How to train BCC-Net or a sibling; the defaults are the paper's (section 3.2)."""

    kind: Literal["classifier"]
    seed: int = 1
    start_from: StartFrom = None
    pool_grows: PoolGrows = False
    network: Literal["bcc-net", "densenet-1", "densenet-2", "densenet-121"] = "bcc-net"
    initial_weights: str | None = Field(
        default=None, description="local file of ImageNet weights, for densenet-121"
    )
    dropout: float = Field(default=0.4, ge=0, lt=1)
    mark: Literal["vertebra", "body"] = "vertebra"
    image_size: int = Field(default=224, ge=32)
    window_hu: Window = (-200.0, 1000.0)
    learning_rate: float = Field(default=0.01, gt=0)
    lr_gamma: float = Field(default=0.006, ge=0, description="gamma of equation 1")
    lr_alpha: float = Field(default=0.98, ge=0, description="alpha of equation 1")
    lr_round: Literal["iteration", "epoch"] = Field(
        default="iteration", description="what N counts in equation 1; the paper does not say"
    )
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.005, ge=0)
    batch: int = Field(default=64, ge=2)
    views_per_epoch: int = Field(default=21600, ge=2, description="21,600 in the paper")
    epochs: int = Field(default=10, ge=1, description="unstated in the paper")
    bn_recalibrate: int = Field(
        default=12, ge=0, description="batches that re-estimate batch norm, dropout off; 0: never"
    )
    fill: tuple[float, float] = (0.8, 1.0)
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    augmentation: AugmentationSection = AugmentationSection()

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if not 0 < self.fill[0] <= self.fill[1] <= 1:
            raise ValueError(f"fill must rise inside 0..1, got {self.fill}")
        if self.initial_weights and self.network != "densenet-121":
            raise ValueError(f"initial_weights fit densenet-121, got {self.network}")
        if self.initial_weights and self.start_from:
            raise ValueError("start_from and initial_weights exclude each other, got both")
        _check_epoch(self.views_per_epoch, self.batch)
        _check_window(self.window_hu)
        return self


class LevelRecipe(_Section):
    """How to train LevelNet, which the paper does not have."""

    kind: Literal["levels"]
    seed: int = 1
    pool_grows: PoolGrows = False
    marks_from: str | None = Field(
        default=None, description="bundle whose MS-Net marks the slices; absent: the packaged one"
    )
    width: int = Field(default=16, ge=1)
    image_size: int = Field(default=112, ge=32)
    spacing_mm: float = Field(default=3.0, gt=0, description="pixel spacing of the view")
    soft_window_hu: Window = (-1024.0, 200.0)
    bone_window_hu: Window = (-200.0, 1000.0)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    learning_rate: float = Field(default=0.002, gt=0, description="the highest of the cycle")
    weight_decay: float = Field(default=0.01, ge=0)
    batch: int = Field(default=64, ge=2)
    views_per_epoch: int = Field(default=16000, ge=2)
    epochs: int = Field(default=10, ge=1)
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    augmentation: AugmentationSection = AugmentationSection()

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        _check_epoch(self.views_per_epoch, self.batch)
        _check_window(self.soft_window_hu)
        _check_window(self.bone_window_hu)
        return self


Recipe = SegmenterRecipe | ClassifierRecipe | LevelRecipe


def _check_epoch(views_per_epoch: int, batch: int) -> None:
    if views_per_epoch < batch:
        raise ValueError(
            f"views_per_epoch must fill a batch of {batch} at least, got {views_per_epoch}"
        )


def _check_window(window_hu: Window) -> None:
    low, high = window_hu
    if not low < high:
        raise ValueError(f"window_hu must rise, got {window_hu}")


_ADAPTER: TypeAdapter[Recipe] = TypeAdapter(Annotated[Recipe, Field(discriminator="kind")])


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Args:
        path: A TOML file; its ``kind`` says which network it trains.
    Raises:
        RecipeError: If the file does not exist, is no TOML, or holds a wrong or unknown setting.
    """
    if not path.is_file():
        raise RecipeError(f"{path}: a recipe must be a TOML file, it does not exist")
    try:
        return _ADAPTER.validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: a recipe must be TOML in UTF-8, {error}") from None
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, item['loc'][1:])) or 'recipe'}: {item['msg']}"
            for item in error.errors()
        )
        raise RecipeError(f"{path}: {wrong}") from None
