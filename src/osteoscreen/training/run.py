"""A training run: a folder that holds its recipe, code version, data hash, curve and checkpoints.

Running the same command again goes on from the last checkpoint.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from torch import Tensor
from torch.utils.data import DataLoader

from osteoscreen import __version__
from osteoscreen.cohort.manifest import Manifest, Split
from osteoscreen.cohort.slices import read_slices
from osteoscreen.cohort.views import ClassifierViews, SegmenterViews, ViewSampler
from osteoscreen.errors import RunError
from osteoscreen.findings import CONDITIONS
from osteoscreen.screening.roi import RoiSettings
from osteoscreen.training.classifier import ClassifierModule
from osteoscreen.training.recipe import ClassifierRecipe, Recipe, SegmenterRecipe
from osteoscreen.training.segmenter import SegmenterModule

RECORD, CURVE, BEST, LAST = "run.json", "curve.csv", "best.ckpt", "last.ckpt"

Loaders = tuple["DataLoader[tuple[Tensor, Tensor]]", "DataLoader[tuple[Tensor, Tensor]]"]


@dataclass(frozen=True)
class Run:
    """A finished or interrupted run.

    Args:
        folder: Where it lies.
        recipe: What it trains.
        record: Code version, data hash, hardware, time spent.
    """

    folder: Path
    recipe: Recipe
    record: dict[str, Any]


def train(recipe: Recipe, manifest: Manifest, folder: Path) -> Run:
    """Train a network, or go on with a run that was interrupted.

    Args:
        recipe: Settings.
        manifest: Cohort; its train and validation splits are used.
        folder: Run folder; made if it does not exist.
    Returns: The finished run.
    Raises:
        RunError: If the folder holds a run of another recipe, code version or cohort, or the
            cohort lacks marked slices, or a class, in a split that needs them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _open_record(recipe, manifest, folder)
    if isinstance(recipe, SegmenterRecipe):
        module: lightning.LightningModule = SegmenterModule(recipe.model_dump())
        loaders = _segmenter_loaders(recipe, manifest)
        epochs = recipe.epochs_fixed + recipe.epochs_linear
    else:
        loaders, patients = _classifier_loaders(recipe, manifest)
        module = ClassifierModule(recipe.model_dump(), patients)
        epochs = recipe.epochs
    trainer = lightning.Trainer(
        max_epochs=epochs,
        precision=recipe.precision,
        default_root_dir=folder,
        logger=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=[
            ModelCheckpoint(
                folder, Path(BEST).stem, monitor="validation_score", mode="max", save_last=True,
                enable_version_counter=False,
            ),
            CurveWriter(folder),
            RichProgressBar(),
        ],
    )  # fmt: skip
    last = folder / LAST
    trainer.fit(module, *loaders, ckpt_path=last if last.is_file() else None, weights_only=False)
    return Run(folder, recipe, _read_record(folder))


class CurveWriter(Callback):
    """Add a row an epoch to the curve, and the time spent to the record.

    Args:
        folder: The run's; the record stands there already.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._since = time.monotonic()

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Write what was logged in this epoch; an epoch that is repeated has one row."""
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        row = {"epoch": trainer.current_epoch, "seconds": round(seconds, 1)}
        row |= {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        before = [old for old in _read_curve(self._folder) if int(old["epoch"]) < row["epoch"]]
        part = self._folder / f"{CURVE}.part"
        with part.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(row))
            writer.writeheader()
            writer.writerows([*before, row])
        part.replace(self._folder / CURVE)
        record = _read_record(self._folder)
        record["seconds"] = round(record["seconds"] + seconds, 1)
        record["epochs"] = trainer.current_epoch + 1
        _write_record(record, self._folder)


def open_run(folder: Path) -> Run:
    """Read a run folder.

    Args:
        folder: Of a training that finished an epoch at least.
    Raises:
        RunError: If it holds no run with a best checkpoint.
    """
    if not (folder / RECORD).is_file() or not (folder / BEST).is_file():
        raise RunError(f"{folder}: a run needs {RECORD} and {BEST}, it has not both")
    record = _read_record(folder)
    kind = record["recipe"]["kind"]
    recipe = (SegmenterRecipe if kind == "segmenter" else ClassifierRecipe).model_validate(
        record["recipe"]
    )
    return Run(folder, recipe, record)


def load_best(run: Run) -> torch.nn.Module:
    """Return the network of the best checkpoint, in evaluation mode, on the CPU."""
    kind = SegmenterModule if isinstance(run.recipe, SegmenterRecipe) else ClassifierModule
    module = kind.load_from_checkpoint(run.folder / BEST, map_location="cpu", weights_only=False)
    network: torch.nn.Module = module.network.eval()
    return network


def _open_record(recipe: Recipe, manifest: Manifest, folder: Path) -> None:
    """Write the record of a new run, or check that the folder's own is of the same run."""
    wanted = {
        "recipe": json.loads(recipe.model_dump_json()),
        "software": __version__,
        "data_sha256": manifest.sha256,
    }
    if (folder / RECORD).is_file():
        known = _read_record(folder)
        for name, value in wanted.items():
            if known.get(name) != value:
                raise RunError(
                    f"{folder}: the folder holds a run of another {name}; choose another folder"
                )
        return
    record = wanted | {
        "torch": torch.__version__,
        "hardware": f"{platform.machine()}, {os.cpu_count()} cores, "
        + (torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"),
        "threads": torch.get_num_threads(),
        "seconds": 0.0,
        "epochs": 0,
    }
    _write_record(record, folder)


def _read_record(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return record


def _read_curve(folder: Path) -> list[dict[str, str]]:
    if not (folder / CURVE).is_file():
        return []
    with (folder / CURVE).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _write_record(record: dict[str, Any], folder: Path) -> None:
    part = folder / f"{RECORD}.part"
    part.write_text(json.dumps(record, indent=1), encoding="utf-8")
    part.replace(folder / RECORD)


def _segmenter_loaders(recipe: SegmenterRecipe, manifest: Manifest) -> Loaders:
    def views(split: Split, *, is_training: bool) -> SegmenterViews:
        # A case without a mask would teach that it holds no vertebra.
        cases = tuple(case for case in manifest.of(split) if case.mask)
        if not is_training:
            step = max(1, len(cases) // recipe.validation_slices)
            cases = cases[::step][: recipe.validation_slices]
        return SegmenterViews(
            read_slices(manifest, cases),
            grid_size=recipe.image_size,
            spacing_mm=recipe.spacing_mm,
            window_hu=recipe.window_hu,
            marks=recipe.marks,
            augmentation=recipe.augmentation.build() if is_training else None,
            seed=recipe.seed,
        )

    train_views = views(Split.TRAIN, is_training=True)
    validation_views = views(Split.VALIDATION, is_training=False)
    _need(train_views, validation_views)
    return _loaders(train_views, validation_views, recipe)


def _classifier_loaders(recipe: ClassifierRecipe, manifest: Manifest) -> tuple[Loaders, list[str]]:
    settings = RoiSettings(recipe.image_size, recipe.window_hu)
    train_views = ClassifierViews(
        read_slices(manifest, manifest.of(Split.TRAIN)),
        settings,
        mark=recipe.mark,
        augmentation=recipe.augmentation.build(),
        fill=recipe.fill,
        seed=recipe.seed,
    )
    validation_views = ClassifierViews(
        read_slices(manifest, manifest.of(Split.VALIDATION)),
        settings,
        mark=recipe.mark,
        augmentation=None,
    )
    _need(train_views, validation_views)
    if len(set(validation_views.conditions)) < len(CONDITIONS):
        raise RunError("a training needs every class in the validation split, one is missing")
    return _loaders(train_views, validation_views, recipe), validation_views.patients


def _need(
    train_views: SegmenterViews | ClassifierViews,
    validation_views: SegmenterViews | ClassifierViews,
) -> None:
    sizes = len(train_views), len(validation_views)
    if 0 in sizes:
        raise RunError(
            f"a training needs marked slices in the train and validation splits, got {sizes}"
        )


def _loaders(
    train_views: SegmenterViews | ClassifierViews,
    validation_views: SegmenterViews | ClassifierViews,
    recipe: Recipe,
) -> Loaders:
    sampler = ViewSampler(recipe.views_per_epoch)
    return (
        DataLoader(train_views, recipe.batch, sampler=sampler, drop_last=True),
        DataLoader(validation_views, recipe.batch),
    )
