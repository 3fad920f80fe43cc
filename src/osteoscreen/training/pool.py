"""The pool: the slices in memory that a training draws its views from, and how it grows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.utils.data import DataLoader

from osteoscreen.bundle import PLACES, Bundle, LevelSettings, load_bundle
from osteoscreen.cohort.leakage import Fingerprints, Watch, check_leakage, write_fingerprints
from osteoscreen.cohort.level_views import LevelViews
from osteoscreen.cohort.manifest import Case, Manifest, Split, read_manifest
from osteoscreen.cohort.slices import read_slices
from osteoscreen.cohort.views import ClassifierViews, SegmenterViews, ViewSampler
from osteoscreen.errors import RunError
from osteoscreen.findings import CONDITIONS
from osteoscreen.screening.roi import RoiSettings
from osteoscreen.training.recipe import ClassifierRecipe, LevelRecipe, Recipe, SegmenterRecipe

VALIDATION = "validation.json"
"""Validation patients of a run whose pool grows: they stay those of its start."""

SEEN = ("train.npz", "validation.npz")
"""Fingerprints of the slices of a run, by split."""

Views = SegmenterViews | ClassifierViews | LevelViews
Loaders = tuple["DataLoader[tuple[Tensor, Tensor]]", "DataLoader[tuple[Tensor, Tensor]]"]


class Pool:
    """Train and validation slices of a cohort.

    Args:
        recipe: Settings.
        manifest: Cohort; its train and validation splits are read.
        validation_patients: Of whom the validation consists; ``None`` for the whole split.
    Raises:
        RunError: If a split lacks marked slices, or a class or patient that it needs.
        LeakageError: If train and validation share a series, or nearly the same image.
    """

    def __init__(
        self,
        recipe: Recipe,
        manifest: Manifest,
        *,
        validation_patients: AbstractSet[str] | None = None,
    ) -> None:
        patients = {case.patient_id for case in manifest.of(Split.VALIDATION)}
        self.validation_patients = frozenset(
            patients if validation_patients is None else validation_patients
        )
        if missing := sorted(self.validation_patients - patients):
            raise RunError(
                "a growing cohort must keep the validation patients of the run's start, "
                f"{len(missing)} are gone, {missing[0]} one of them"
            )
        self.manifest = manifest
        self._usable = _placed if isinstance(recipe, LevelRecipe) else _marked
        validation = [
            case
            for case in self._usable(manifest, Split.VALIDATION)
            if case.patient_id in self.validation_patients
        ]
        self.train: Views
        self.validation: Views
        if isinstance(recipe, SegmenterRecipe):
            step = max(1, len(validation) // recipe.validation_slices)
            validation = validation[::step][: recipe.validation_slices]
            self.train = _segmenter_views(recipe, is_training=True)
            self.validation = _segmenter_views(recipe, is_training=False)
        elif isinstance(recipe, LevelRecipe):
            bundle = load_bundle(Path(recipe.marks_from) if recipe.marks_from else None)
            self.train = _level_views(recipe, bundle, is_training=True)
            self.validation = _level_views(recipe, bundle, is_training=False)
        else:
            self.train = _classifier_views(recipe, is_training=True)
            self.validation = _classifier_views(recipe, is_training=False)
        self._watches = Watch(), Watch()
        self._add_train(manifest, self._usable(manifest, Split.TRAIN))
        self.validation.add(self._watches[1].passing(read_slices(manifest, tuple(validation))))
        self._check_leakage()
        sizes = len(self.train), len(self.validation)
        if 0 in sizes:
            raise RunError(
                "a training needs marked slices in the train and validation splits, LevelNet "
                f"slices with a level, got {sizes}"
            )
        sides = {"validation": self.validation}
        if not recipe.pool_grows:
            sides["train"] = self.train
        for name, views in sides.items():
            if isinstance(views, ClassifierViews) and len(set(views.conditions)) < len(CONDITIONS):
                raise RunError(f"a training needs every class in the {name} split, one is missing")

    def grow(self, path: Path) -> None:
        """Read the manifest again and put the slices of new train cases into the pool.

        Raises:
            ManifestError: If a row is wrong.
            RunError: If a validation patient has become a train patient.
            LeakageError: If a new slice is nearly the same as one in validation.
        """
        known = {case.case_id for case in self.manifest.of(Split.TRAIN)}
        manifest = read_manifest(path)
        cases = [case for case in self._usable(manifest, Split.TRAIN) if case.case_id not in known]
        moved = sorted({case.patient_id for case in cases} & self.validation_patients)
        if moved:
            raise RunError(
                f"{path}: a validation patient of the run must stay one, got {moved[0]} in train"
            )
        self._add_train(manifest, tuple(cases))
        if cases:
            self._check_leakage()
        self.manifest = manifest

    @property
    def seen(self) -> tuple[Fingerprints, Fingerprints]:
        """Fingerprints of the train and of the validation slices."""
        return self._watches[0].seen, self._watches[1].seen

    def _add_train(self, manifest: Manifest, cases: tuple[Case, ...]) -> None:
        self.train.add(self._watches[0].passing(read_slices(manifest, cases)))

    def _check_leakage(self) -> None:
        check_leakage(*self.seen, ("train", "validation"))

    def loaders(self, recipe: Recipe, processes: int = 1, *, workers: int = 0) -> Loaders:
        """Return what gives batches of train views, so many an epoch, and of validation.

        Args:
            recipe: Settings; its batch is that of all processes together.
            processes: How many train together, such as one a GPU.
            workers: Processes that draw the views of each of them ahead, two batches each; 0 draws
                a batch when it is asked for. The views are the same.
        Raises:
            RunError: If the batch cannot be parted among them.
        """
        if recipe.batch % processes:
            raise RunError(
                f"a batch must be parted among the {processes} devices, got {recipe.batch} views"
            )
        sampler = ViewSampler(recipe.views_per_epoch)
        return (
            ViewLoader(
                self.train,
                recipe.batch // processes,
                sampler=sampler,
                drop_last=True,
                num_workers=workers,
                pin_memory=torch.cuda.is_available(),
            ),
            DataLoader(
                self.validation,
                recipe.batch,
                num_workers=workers,
                pin_memory=torch.cuda.is_available(),
            ),
        )


class ViewLoader(DataLoader[tuple[Tensor, Tensor]]):
    """A loader whose workers start with the first batch of an epoch, on the pool of that moment.

    Lightning asks a training for its first iterator before the pool grows and before the sampler
    hears which epoch comes: workers that started then would draw the first views of the old pool.
    """

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:  # type: ignore[override] # torch's class
        yield from super().__iter__()


class PoolGrower(Callback):
    """Let the pool grow at the start of each epoch.

    Args:
        pool: What the training draws from.
        path: Manifest of a cohort that may still be being written.
    """

    def __init__(self, pool: Pool, path: Path) -> None:
        self._pool, self._path = pool, path

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Read the cases that were written during the last epoch."""
        self._pool.grow(self._path)


def keep_seen(pool: Pool, folder: Path) -> None:
    """Write the fingerprints of all that a run has seen, for those who test it."""
    for seen, name in zip(pool.seen, SEEN):
        write_fingerprints(seen, folder / name)


def keep_validation(pool: Pool, folder: Path) -> None:
    """Write down the validation patients of a new run."""
    part = folder / f"{VALIDATION}.part"
    part.write_text(json.dumps(sorted(pool.validation_patients), indent=1), encoding="utf-8")
    part.replace(folder / VALIDATION)


def read_validation(folder: Path) -> frozenset[str] | None:
    """Return the validation patients that a run began with; ``None`` for a new run."""
    file = folder / VALIDATION
    return frozenset(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def _marked(manifest: Manifest, split: Split) -> tuple[Case, ...]:
    """Cases with a mask: one without would teach MS-Net that it holds no vertebra."""
    return tuple(case for case in manifest.of(split) if case.mask)


def _placed(manifest: Manifest, split: Split) -> tuple[Case, ...]:
    """Cases whose place in the body is told; the chest and the pelvis have no mask."""
    return tuple(case for case in manifest.of(split) if case.level in PLACES)


def _segmenter_views(recipe: SegmenterRecipe, *, is_training: bool) -> SegmenterViews:
    return SegmenterViews(
        (),
        grid_size=recipe.image_size,
        spacing_mm=recipe.spacing_mm,
        window_hu=recipe.window_hu,
        marks=recipe.marks,
        augmentation=recipe.augmentation.build() if is_training else None,
        seed=recipe.seed,
    )


def _classifier_views(recipe: ClassifierRecipe, *, is_training: bool) -> ClassifierViews:
    return ClassifierViews(
        (),
        RoiSettings(recipe.image_size, recipe.window_hu),
        mark=recipe.mark,
        augmentation=recipe.augmentation.build() if is_training else None,
        fill=recipe.fill,
        seed=recipe.seed,
    )


def level_settings(recipe: LevelRecipe) -> LevelSettings:
    """Return what a bundle says of the LevelNet that a recipe trains."""
    return LevelSettings(
        size=recipe.image_size,
        spacing_mm=recipe.spacing_mm,
        soft_window_hu=recipe.soft_window_hu,
        bone_window_hu=recipe.bone_window_hu,
    )


def _level_views(recipe: LevelRecipe, bundle: Bundle, *, is_training: bool) -> LevelViews:
    return LevelViews(
        (),
        bundle,
        level_settings(recipe),
        augmentation=recipe.augmentation.build() if is_training else None,
        seed=recipe.seed,
    )
