"""Trainings: a run goes on where it was stopped, and refuses what is not its own."""

from __future__ import annotations

import csv
import json
import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch.testing import assert_close

from osteoscreen import __version__
from osteoscreen.cohort.manifest import Manifest, Split
from osteoscreen.errors import RunError
from osteoscreen.networks import BCCNet, MSNet
from osteoscreen.training.recipe import ClassifierRecipe, Recipe, SegmenterRecipe
from osteoscreen.training.run import (
    CURVE,
    LAST,
    RECORD,
    CurveWriter,
    Run,
    load_best,
    open_run,
    train,
)
from osteoscreen.training.start import BEST


def _curve(folder: Path) -> list[dict[str, float]]:
    with (folder / CURVE).open(newline="", encoding="utf-8") as stream:
        return [
            {name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)
        ]


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / LAST, weights_only=False)["state_dict"]
    return state


def _same_training(folder: Path, expected: Run) -> None:
    """Compare curve and last weights of two runs, all but the time."""
    for got, wanted in zip(_weights(folder).items(), _weights(expected.folder).items()):
        assert got[0] == wanted[0]
        # Sums in another order would differ in the seventh digit and grow over steps.
        assert_close(got[1], wanted[1], rtol=1e-4, atol=1e-5, msg=got[0])
    for one, two in zip(_curve(folder), _curve(expected.folder), strict=True):
        assert one.keys() == two.keys()
        assert {**one, "seconds": 0.0} == pytest.approx({**two, "seconds": 0.0}, rel=1e-3, abs=1e-6)


class PowerCutError(Exception):
    """Stands for a power cut."""


def _stop(monkeypatch: pytest.MonkeyPatch, hook: str, epoch: int) -> None:
    """Let the next training end when the curve writer's hook of an epoch is called."""
    original = getattr(CurveWriter, hook)

    def stop(self: Callback, trainer: lightning.Trainer, *rest: Any) -> None:  # noqa: ANN401 - as the hook's
        if trainer.current_epoch == epoch:
            raise PowerCutError
        original(self, trainer, *rest)

    monkeypatch.setattr(CurveWriter, hook, stop, raising=False)


def test_the_record_says_what_was_trained(
    segmenter_run: Run, manifest: Manifest, segmenter_recipe: SegmenterRecipe
) -> None:
    record = segmenter_run.record
    assert record["recipe"] == json.loads(segmenter_recipe.model_dump_json())
    assert record["data_sha256"] == manifest.sha256
    assert (record["software"], record["torch"]) == (__version__, torch.__version__)
    assert record["epochs"] == 3
    assert record["seconds"] == pytest.approx(
        sum(row["seconds"] for row in _curve(segmenter_run.folder)), abs=0.1
    )


def test_the_curve_has_a_row_an_epoch(segmenter_run: Run, classifier_run: Run) -> None:
    segmenter, classifier = _curve(segmenter_run.folder), _curve(classifier_run.folder)
    assert [row["epoch"] for row in segmenter] == [row["epoch"] for row in classifier] == [0, 1, 2]
    assert set(segmenter[0]) == {
        "epoch", "seconds", "slices", "train_loss", "dice_vertebra", "dice_body", "validation_score"
    }  # fmt: skip
    assert {"validation_accuracy", "validation_score"} <= set(classifier[0])
    assert segmenter[-1]["train_loss"] < segmenter[0]["train_loss"]


def test_the_best_checkpoint_is_that_of_the_best_epoch(
    segmenter_run: Run, classifier_run: Run
) -> None:
    for run in (segmenter_run, classifier_run):
        scores = [row["validation_score"] for row in _curve(run.folder)]
        checkpoint = torch.load(run.folder / BEST, weights_only=False)
        assert checkpoint["epoch"] == int(np.argmax(scores))


def test_the_best_network_is_loaded_without_the_recipe_file(
    segmenter_run: Run, classifier_run: Run
) -> None:
    segmenter, classifier = (
        load_best(open_run(run.folder)) for run in (segmenter_run, classifier_run)
    )
    assert isinstance(segmenter, MSNet)
    assert segmenter.config.marks == 2
    assert isinstance(classifier, BCCNet)
    assert not segmenter.training
    assert not classifier.training


def test_an_opened_run_is_the_one_that_was_trained(segmenter_run: Run, classifier_run: Run) -> None:
    for run in (segmenter_run, classifier_run):
        assert open_run(run.folder) == run


@pytest.mark.parametrize(
    "hook", ["on_train_epoch_start", "on_validation_end", "on_train_epoch_end"]
)
@pytest.mark.parametrize("kind", ["segmenter", "classifier"])
def test_a_stopped_training_ends_as_one_that_was_not_stopped(
    kind: str, hook: str, request: pytest.FixtureRequest, manifest: Manifest, tmp_path: Path
) -> None:
    whole: Run = request.getfixturevalue(f"{kind}_run")
    with pytest.MonkeyPatch.context() as monkeypatch:
        _stop(monkeypatch, hook, epoch=1)
        with pytest.raises(PowerCutError):
            train(whole.recipe, manifest, tmp_path)
    assert torch.load(tmp_path / LAST, weights_only=False)["epoch"] == 0
    resumed = train(whole.recipe, manifest, tmp_path)
    assert resumed.record["epochs"] == 3
    _same_training(tmp_path, whole)


def test_an_epoch_that_is_repeated_has_one_row(
    classifier_run: Run, manifest: Manifest, tmp_path: Path
) -> None:
    """The power fails after the row of epoch 1 was written and before its checkpoint was."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        _stop(monkeypatch, "on_validation_end", epoch=1)
        with pytest.raises(PowerCutError):
            train(classifier_run.recipe, manifest, tmp_path)
    shutil.copy(classifier_run.folder / CURVE, tmp_path / CURVE)
    train(classifier_run.recipe, manifest, tmp_path)
    assert [row["epoch"] for row in _curve(tmp_path)] == [0, 1, 2]


def _train(recipe: Recipe, manifest: Manifest, folder: Path) -> None:
    torch.set_num_threads(1)
    train(recipe, manifest, folder)


@pytest.mark.slow  # a process of its own, which loads everything
def test_a_killed_training_goes_on(
    classifier_recipe: ClassifierRecipe, manifest: Manifest, tmp_path: Path
) -> None:
    recipe = classifier_recipe.model_copy(update={"epochs": 10_000})
    worker = multiprocessing.get_context("spawn").Process(
        target=_train, args=(recipe, manifest, tmp_path)
    )
    worker.start()
    for _ in range(1200):
        if (tmp_path / CURVE).is_file() and len(_curve(tmp_path)) > 3:
            break
        worker.join(0.1)
    worker.kill()  # SIGKILL
    worker.join()
    before = _curve(tmp_path)
    ready = torch.load(tmp_path / LAST, weights_only=False)["epoch"] + 1
    assert ready >= 3
    shorter = recipe.model_copy(update={"epochs": ready + 2})
    record = json.loads((tmp_path / RECORD).read_text())
    record["recipe"]["epochs"] = shorter.epochs
    (tmp_path / RECORD).write_text(json.dumps(record))
    train(shorter, manifest, tmp_path)
    after = _curve(tmp_path)
    assert [row["epoch"] for row in after] == list(range(ready + 2))
    assert all(later["seconds"] >= 0 for later in after)
    assert after[:ready] == before[:ready]


def test_a_finished_run_is_not_trained_again(
    classifier_recipe: ClassifierRecipe, manifest: Manifest, tmp_path: Path
) -> None:
    first = train(classifier_recipe, manifest, tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in (CURVE, RECORD, LAST, BEST)}
    assert train(classifier_recipe, manifest, tmp_path) == first
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_a_run_folder_of_another_recipe_cohort_or_version_is_refused(
    classifier_run: Run, manifest: Manifest, tmp_path: Path
) -> None:
    folder = shutil.copytree(classifier_run.folder, tmp_path / "run")
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    other = classifier_run.recipe.model_copy(update={"seed": 2})
    with pytest.raises(RunError, match="a run of another recipe"):
        train(other, manifest, folder)
    with pytest.raises(RunError, match="a run of another data_sha256"):
        train(classifier_run.recipe, replace(manifest, sha256="0"), folder)
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    record = json.loads((folder / RECORD).read_text()) | {"software": "0.0"}
    (folder / RECORD).write_text(json.dumps(record))
    with pytest.raises(RunError, match="a run of another software"):
        train(classifier_run.recipe, manifest, folder)


@pytest.mark.parametrize("missing", [RECORD, BEST])
def test_an_unfinished_folder_is_no_run(missing: str, classifier_run: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(classifier_run.folder, tmp_path / "run")
    (folder / missing).unlink()
    with pytest.raises(RunError, match=r"a run needs run\.json and best\.ckpt"):
        open_run(folder)


@pytest.mark.parametrize("split", [Split.TRAIN, Split.VALIDATION])
@pytest.mark.parametrize("kind", ["segmenter", "classifier"])
def test_an_empty_split_is_an_error(
    kind: str, split: Split, request: pytest.FixtureRequest, manifest: Manifest, tmp_path: Path
) -> None:
    recipe: Recipe = request.getfixturevalue(f"{kind}_recipe")
    cases = tuple(case for case in manifest.cases if case.split is not split)
    with pytest.raises(RunError, match="needs marked slices in the train and validation splits"):
        train(recipe, replace(manifest, cases=cases), tmp_path / "run")
    # A training that never began claims no folder: the next one may have another recipe.
    assert not (tmp_path / "run").exists()


def test_a_class_that_no_validation_patient_has_is_an_error(
    classifier_recipe: ClassifierRecipe, manifest: Manifest, tmp_path: Path
) -> None:
    cases = tuple(
        case
        for case in manifest.cases
        if case.split is not Split.VALIDATION or case.condition != "osteoporosis"
    )
    with pytest.raises(RunError, match="every class in the validation split"):
        train(classifier_recipe, replace(manifest, cases=cases), tmp_path)


def test_cases_without_a_mask_teach_no_marks(
    segmenter_recipe: SegmenterRecipe, manifest: Manifest, tmp_path: Path
) -> None:
    bare = {"mask": "", "mask_labels": ""}
    cases = tuple(case.model_copy(update=bare) for case in manifest.cases)
    with pytest.raises(RunError, match=r"marked slices .* got \(0, 0\)"):
        train(segmenter_recipe, replace(manifest, cases=cases), tmp_path)


def test_batch_norm_is_re_estimated_before_each_validation(classifier_run: Run) -> None:
    # The statistics of a checkpoint are averages of exactly two batches, not of a whole training.
    state = _weights(classifier_run.folder)
    tracked = [value for name, value in state.items() if name.endswith("num_batches_tracked")]
    assert tracked
    assert {int(value) for value in tracked} == {2}


def test_the_last_checkpoint_is_that_of_the_last_epoch(
    segmenter_run: Run, classifier_run: Run
) -> None:
    """Also where an earlier epoch was the best one: Lightning's save_last keeps that one."""
    for run in (segmenter_run, classifier_run):
        assert torch.load(run.folder / LAST, weights_only=False)["epoch"] == 2


def test_a_run_that_was_moved_keeps_its_best_score(
    classifier_run: Run, manifest: Manifest, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        _stop(monkeypatch, "on_train_epoch_start", epoch=1)
        with pytest.raises(PowerCutError):
            train(classifier_run.recipe, manifest, tmp_path / "before")
    moved = (tmp_path / "before").rename(tmp_path / "after")
    train(classifier_run.recipe, manifest, moved)
    _same_training(moved, classifier_run)
    best, wanted = (
        torch.load(folder / BEST, weights_only=False)["epoch"]
        for folder in (moved, classifier_run.folder)
    )
    assert best == wanted
    assert not (tmp_path / "before").exists()


@pytest.mark.slow
def test_two_processes_train_one_network(
    manifest: Manifest, classifier_recipe: ClassifierRecipe, tmp_path: Path
) -> None:
    run = train(classifier_recipe, manifest, tmp_path / "two", devices=2)
    assert (run.record["devices"], run.record["epochs"]) == (2, classifier_recipe.epochs)
    with (run.folder / CURVE).open(newline="", encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) == classifier_recipe.epochs
    # Half of the views in each: as many steps as one process takes.
    steps = classifier_recipe.epochs * classifier_recipe.views_per_epoch // classifier_recipe.batch
    checkpoint = torch.load(run.folder / LAST, map_location="cpu", weights_only=False)
    assert checkpoint["global_step"] == steps
    assert all(torch.isfinite(value).all() for value in load_best(run).state_dict().values())
