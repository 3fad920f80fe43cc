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
from lightning.fabric.utilities.data import suggested_max_num_workers
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar

from osteoscreen import __version__
from osteoscreen.cohort.leakage import Fingerprints, read_fingerprints
from osteoscreen.cohort.manifest import Manifest
from osteoscreen.cohort.views import ClassifierViews
from osteoscreen.errors import RunError
from osteoscreen.training.classifier import ClassifierModule
from osteoscreen.training.leveller import LevelModule
from osteoscreen.training.pool import (
    SEEN,
    Pool,
    PoolGrower,
    keep_seen,
    keep_validation,
    read_validation,
)
from osteoscreen.training.recipe import ClassifierRecipe, LevelRecipe, Recipe, SegmenterRecipe
from osteoscreen.training.segmenter import SegmenterModule
from osteoscreen.training.start import BEST, Start, read_start

RECORD, CURVE, LAST = "run.json", "curve.csv", "last.ckpt"

MOST_WORKERS = 8
"""Processes that draw the views for one GPU, at most, where their number is not told."""


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


def train(
    recipe: Recipe,
    manifest: Manifest,
    folder: Path,
    *,
    source: Path | None = None,
    devices: int | None = None,
    workers: int | None = None,
) -> Run:
    """Train a network, or go on with a run that was interrupted.

    Args:
        recipe: Settings.
        manifest: Cohort; its train and validation splits are used.
        folder: Run folder; made if it does not exist.
        source: File of the manifest, read again at each epoch where the recipe's pool grows.
        devices: GPUs, or processes on a machine without one, that train together; ``None`` for all
            GPUs, else one process.
        workers: Processes a device that draw its views, 0 for none; ``None`` for none without a
            GPU, and with one for as many as other cores are there, at most 8. The views, and so
            the results, do not depend on it.
    Returns: The finished run.
    Raises:
        RunError: If the folder holds a run of another recipe, code version or cohort, or the
            cohort lacks marked slices, or a class, in a split that needs them.
        LeakageError: If train and validation share a series, or nearly the same image.
        RecipeError: If the weights that the recipe starts from do not fit it.
        BundleError: If the bundle that it starts from is incomplete or changed.
    """
    if recipe.pool_grows and source is None:
        raise RunError("a pool that grows needs the file of its manifest, got none")
    last = folder / LAST
    is_resumed = last.is_file()
    start = None if is_resumed else read_start(recipe)
    count = devices or max(1, torch.cuda.device_count())
    drawing = _spare_cores(count) if workers is None else workers
    record = _record_of(recipe, manifest, folder, start) | {"devices": count, "workers": drawing}
    pool = Pool(recipe, manifest, validation_patients=read_validation(folder))
    # Only what can be trained claims the folder.
    folder.mkdir(parents=True, exist_ok=True)
    _write_record(record, folder)
    keep_seen(pool, folder)
    growers: list[Callback] = []
    if recipe.pool_grows and source is not None:
        keep_validation(pool, folder)
        growers.append(PoolGrower(pool, source))
    module = _module(recipe, pool)
    if start is not None:
        module.network.load_state_dict(start.weights)
    trainer = lightning.Trainer(
        max_epochs=_epochs(recipe),
        precision=recipe.precision,
        devices=count,
        # Spawned, not launched: the command runs once, its processes train.
        strategy="ddp_spawn" if count > 1 else "auto",
        sync_batchnorm=count > 1 and torch.cuda.is_available(),
        default_root_dir=folder,
        logger=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=[
            RunCheckpoint(
                folder, Path(BEST).stem, monitor="validation_score", mode="max",
                enable_version_counter=False,
            ),
            # Lightning's own save_last leaves out every epoch that is not the best so far.
            RunCheckpoint(folder, Path(LAST).stem, enable_version_counter=False),
            *growers,
            CurveWriter(folder, pool),
            RichProgressBar(),
        ],
    )  # fmt: skip
    loaders = pool.loaders(recipe, count, workers=drawing)
    trainer.fit(module, *loaders, ckpt_path=last if is_resumed else None, weights_only=False)
    return Run(folder, recipe, _read_record(folder))


def _spare_cores(devices: int) -> int:
    """Return how many workers a device gets: without a GPU none, the network needs the cores."""
    if not torch.cuda.is_available():
        return 0
    return min(MOST_WORKERS, suggested_max_num_workers(devices))


RECIPES: dict[str, type[Recipe]] = {
    "segmenter": SegmenterRecipe,
    "classifier": ClassifierRecipe,
    "levels": LevelRecipe,
}
MODULES: dict[str, type[SegmenterModule | ClassifierModule | LevelModule]] = {
    "segmenter": SegmenterModule,
    "classifier": ClassifierModule,
    "levels": LevelModule,
}


def _module(recipe: Recipe, pool: Pool) -> SegmenterModule | ClassifierModule | LevelModule:
    """Return the network in training."""
    if isinstance(recipe, LevelRecipe):
        return LevelModule(recipe.model_dump())
    if isinstance(recipe, SegmenterRecipe):
        return SegmenterModule(recipe.model_dump())
    assert isinstance(pool.validation, ClassifierViews)
    return ClassifierModule(recipe.model_dump(), pool.validation.patients)


class RunCheckpoint(ModelCheckpoint):
    """Lightning's checkpoint, which keeps its best score when the run folder was moved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state of a checkpoint, its files being those of this folder."""
        assert self.dirpath is not None
        home = Path(self.dirpath)

        def here(path: str) -> str:
            return str(home / Path(path).name) if path else path

        moved = {
            name: here(state_dict[name])
            for name in ("best_model_path", "kth_best_model_path", "last_model_path")
        }
        models = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(
            state_dict | moved | {"best_k_models": models, "dirpath": self.dirpath}
        )


class CurveWriter(Callback):
    """Add a row an epoch to the curve, time and cohort to the record, and what the pool grew by.

    Args:
        folder: The run's; the record stands there already.
        pool: What the training draws from.
    """

    def __init__(self, folder: Path, pool: Pool) -> None:
        self._folder, self._pool = folder, pool
        self._since = time.monotonic()
        self._known = len(pool.train)

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Write what was logged in this epoch; an epoch that is repeated has one row."""
        if not trainer.is_global_zero:  # one of several processes tells it
            return
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        if len(self._pool.train) > self._known:
            self._known = len(self._pool.train)
            keep_seen(self._pool, self._folder)
        row = {
            "epoch": trainer.current_epoch,
            "seconds": round(seconds, 1),
            "slices": len(self._pool.train),
        }
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
        record["data_sha256"] = self._pool.manifest.sha256
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
    recipe = RECIPES[record["recipe"]["kind"]].model_validate(record["recipe"])
    return Run(folder, recipe, record)


def is_finished(folder: Path, recipe: Recipe, manifest: Manifest) -> bool:
    """Return whether a folder holds a run of this recipe on this cohort that came to its end."""
    if not (folder / RECORD).is_file() or not (folder / BEST).is_file():
        return False
    record = _read_record(folder)
    wanted = {"recipe": json.loads(recipe.model_dump_json()), "software": __version__,
              "data_sha256": manifest.sha256, "epochs": _epochs(recipe)}  # fmt: skip
    return all(record.get(name) == value for name, value in wanted.items())


def _epochs(recipe: Recipe) -> int:
    if isinstance(recipe, SegmenterRecipe):
        return recipe.epochs_fixed + recipe.epochs_linear
    return recipe.epochs


def read_seen(run: Run) -> tuple[Fingerprints, Fingerprints]:
    """Return what a run has seen in training and in validation.

    Raises:
        RunError: If the folder does not tell.
    """
    if not all((run.folder / name).is_file() for name in SEEN):
        raise RunError(
            f"{run.folder}: an export needs {' and '.join(SEEN)}, to know what was trained on; "
            "the same training command again writes them"
        )
    train_file, validation_file = (run.folder / name for name in SEEN)
    return read_fingerprints(train_file), read_fingerprints(validation_file)


def load_best(run: Run) -> torch.nn.Module:
    """Return the network of the best checkpoint, in evaluation mode, on the CPU."""
    module = MODULES[run.recipe.kind].load_from_checkpoint(
        run.folder / BEST, map_location="cpu", weights_only=False
    )
    network: torch.nn.Module = module.network.eval()
    return network


def _record_of(
    recipe: Recipe, manifest: Manifest, folder: Path, start: Start | None
) -> dict[str, Any]:
    """Return the record of a new run, or the folder's own if it is of the same run."""
    wanted = {
        "recipe": json.loads(recipe.model_dump_json()),
        "software": __version__,
        "data_sha256": manifest.sha256,
        "started_from": start.record if start else None,
    }
    if (folder / RECORD).is_file():
        known = _read_record(folder)
        if recipe.pool_grows:
            del wanted["data_sha256"]
        if (folder / LAST).is_file():
            del wanted["started_from"]
        for name, value in wanted.items():
            if known.get(name) != value:
                raise RunError(
                    f"{folder}: the folder holds a run of another {name}; choose another folder"
                )
        return known
    return wanted | {
        "torch": torch.__version__,
        "hardware": f"{platform.machine()}, {os.cpu_count()} cores, "
        + (torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"),
        "threads": torch.get_num_threads(),
        "seconds": 0.0,
        "epochs": 0,
    }


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
