"""A pool grows with its cohort; the validation stays that of the run's start."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from osteoscreen.cohort.manifest import Case, Manifest, Split, read_manifest, write_manifest
from osteoscreen.errors import RunError
from osteoscreen.training.pool import Pool, PoolGrower, read_validation
from osteoscreen.training.recipe import ClassifierRecipe, Recipe, SegmenterRecipe
from osteoscreen.training.run import CURVE, LAST, train


def _written(manifest: Manifest, cases: list[Case]) -> Path:
    """Write some cases of the tiny cohort as its manifest of the moment."""
    path = manifest.folder / "growing.csv"
    write_manifest(cases, path)
    return path


def _first(manifest: Manifest) -> list[Case]:
    """All cases but those of two of the three train patients."""
    patients = sorted({case.patient_id for case in manifest.of(Split.TRAIN)})
    return [case for case in manifest.cases if case.patient_id not in patients[1:]]


@pytest.mark.parametrize("kind", ["segmenter", "classifier"])
def test_a_pool_takes_the_train_cases_that_were_added(
    kind: str, request: pytest.FixtureRequest, manifest: Manifest
) -> None:
    shipped: Recipe = request.getfixturevalue(f"{kind}_recipe")
    recipe = shipped.model_copy(update={"pool_grows": True})
    path = _written(manifest, _first(manifest))
    pool = Pool(recipe, read_manifest(path))
    assert (len(pool.train), len(pool.validation)) == (2, 6)
    pool.grow(path)
    assert len(pool.train) == 2
    pool.grow(_written(manifest, list(manifest.cases)))
    assert (len(pool.train), len(pool.validation)) == (6, 6)
    assert pool.manifest.sha256 == read_manifest(path).sha256


def test_a_validation_patient_does_not_become_a_train_patient(
    segmenter_recipe: SegmenterRecipe, manifest: Manifest
) -> None:
    pool = Pool(segmenter_recipe, read_manifest(_written(manifest, list(manifest.cases))))
    moved = [
        case.model_copy(update={"split": Split.TRAIN, "case_id": f"{case.case_id}-again"})
        if case.split is Split.VALIDATION
        else case
        for case in manifest.cases
    ]
    with pytest.raises(RunError, match="a validation patient of the run must stay one"):
        pool.grow(_written(manifest, moved))


def test_the_validation_patients_stay_those_of_the_start(
    segmenter_recipe: SegmenterRecipe, manifest: Manifest
) -> None:
    patients = sorted({case.patient_id for case in manifest.of(Split.VALIDATION)})
    pool = Pool(segmenter_recipe, manifest, validation_patients=set(patients[:1]))
    assert len(pool.validation) == 2
    with pytest.raises(RunError, match=r"must keep the validation patients .* 1 are gone"):
        Pool(segmenter_recipe, manifest, validation_patients={*patients, "somebody"})


def test_a_training_sees_a_cohort_grow_and_goes_on_with_it_whoever_draws(
    classifier_recipe: ClassifierRecipe,
    manifest: Manifest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = classifier_recipe.model_copy(update={"pool_grows": True})
    path = _written(manifest, _first(manifest))
    original = PoolGrower.on_train_epoch_start

    def write_first(self: PoolGrower, trainer: object, module: object) -> None:
        epoch = trainer.current_epoch  # type: ignore[attr-defined] # Lightning's trainer
        if epoch == 1:
            _written(manifest, list(manifest.cases))
        run = Path(trainer.default_root_dir)  # type: ignore[attr-defined] # as above
        if epoch == 2 and not (run / "stopped").exists():
            (run / "stopped").touch()
            raise KeyError("a power cut")
        original(self, trainer, module)  # type: ignore[arg-type] # as above

    monkeypatch.setattr(PoolGrower, "on_train_epoch_start", write_first)
    weights = []
    for workers in (0, 2):
        folder = tmp_path / f"run-{workers}"
        _written(manifest, _first(manifest))
        with pytest.raises(KeyError, match="a power cut"):
            train(recipe, read_manifest(path), folder, source=path, workers=workers)
        run = train(recipe, read_manifest(path), folder, source=path, workers=workers)
        with (folder / CURVE).open(newline="", encoding="utf-8") as stream:
            assert [row["slices"] for row in csv.DictReader(stream)] == ["2", "6", "6"]
        record = run.record
        assert (record["data_sha256"], record["workers"]) == (read_manifest(path).sha256, workers)
        patients = {case.patient_id for case in manifest.of(Split.VALIDATION)}
        assert read_validation(folder) == frozenset(patients)
        weights.append(torch.load(folder / LAST, weights_only=False)["state_dict"])
    assert_close(weights[1], weights[0], rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["segmenter", "classifier"])
def test_workers_draw_the_same_views(
    kind: str, request: pytest.FixtureRequest, manifest: Manifest
) -> None:
    shipped: Recipe = request.getfixturevalue(f"{kind}_recipe")
    recipe = shipped.model_copy(update={"views_per_epoch": 16, "pool_grows": True})
    path = _written(manifest, _first(manifest))
    pool = Pool(recipe, read_manifest(path))
    here, beside = pool.loaders(recipe), pool.loaders(recipe, workers=2)
    assert_close(list(here[1]), list(beside[1]), rtol=0, atol=0)
    old = list(beside[0])
    assert len(old) == 16 // recipe.batch
    assert_close(old, list(here[0]), rtol=0, atol=0)
    # The iterator is asked for before the pool grows, as Lightning does.
    batches = iter(beside[0])
    pool.grow(_written(manifest, list(manifest.cases)))
    grown = list(batches)
    assert_close(grown, list(here[0]), rtol=0, atol=0)
    assert not torch.equal(grown[0][0], old[0][0])


def test_a_pool_that_grows_needs_a_file(
    classifier_recipe: ClassifierRecipe, manifest: Manifest, tmp_path: Path
) -> None:
    recipe = classifier_recipe.model_copy(update={"pool_grows": True})
    with pytest.raises(RunError, match="needs the file of its manifest"):
        train(recipe, manifest, tmp_path)


def test_a_batch_is_parted_among_processes(
    manifest: Manifest, classifier_recipe: ClassifierRecipe
) -> None:
    pool = Pool(classifier_recipe, manifest)
    loader, _ = pool.loaders(classifier_recipe, 4)
    assert loader.batch_size == classifier_recipe.batch // 4
    with pytest.raises(RunError, match="parted among the 3 devices, got 8 views"):
        pool.loaders(classifier_recipe, 3)


def test_a_pool_that_does_not_grow_needs_every_class_in_train(
    classifier_recipe: ClassifierRecipe, manifest: Manifest
) -> None:
    path = _written(manifest, _first(manifest))
    with pytest.raises(RunError, match="every class in the train split, one is missing"):
        Pool(classifier_recipe, read_manifest(path))
