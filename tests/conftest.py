"""What is made once and read by many tests: a tiny cohort, tiny trainings, a tiny bundle."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from osteoscreen.bundle import Bundle, TrainedOn
from osteoscreen.cohort.manifest import Manifest, Split, read_manifest, write_manifest
from osteoscreen.cohort.plan import CohortPlan, Preset
from osteoscreen.cohort.synthetic import write_cohort
from osteoscreen.evaluation import metrics
from osteoscreen.training.export import export
from osteoscreen.training.provenance import Provenance
from osteoscreen.training.recipe import AugmentationSection, ClassifierRecipe, SegmenterRecipe
from osteoscreen.training.run import Run, train

SPLITS = tuple(Split)
"""Three patients in a row, one of each class, share a split."""


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny networks are faster on one thread, and sums come out the same every time."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cohort_plan() -> CohortPlan:
    """Twelve patients of two slices."""
    return CohortPlan(Preset.COHORT, cases=12, seed=5, slices=2)


@pytest.fixture(scope="session")
def cohort_folder(tmp_path_factory: pytest.TempPathFactory, cohort_plan: CohortPlan) -> Path:
    """The folder of the tiny cohort, with its own manifest."""
    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(folder, cohort_plan)
    return folder


@pytest.fixture(scope="session")
def manifest(cohort_folder: Path) -> Manifest:
    """The tiny cohort with a patient of each class in each split."""
    written = read_manifest(cohort_folder / "manifest.csv")
    patients = list(dict.fromkeys(case.patient_id for case in written.cases))
    cases = [
        case.model_copy(update={"split": SPLITS[patients.index(case.patient_id) // 3]})
        for case in written.cases
    ]
    write_manifest(cases, cohort_folder / "splits.csv")
    return read_manifest(cohort_folder / "splits.csv")


@pytest.fixture(scope="session")
def segmenter_recipe() -> SegmenterRecipe:
    """MS-Net that trains in a few seconds, and then marks something in every slice."""
    return SegmenterRecipe(
        kind="segmenter",
        seed=2,
        width=4,
        marks=("vertebra", "body"),
        image_size=64,
        spacing_mm=6.0,
        loss="dice_bce",
        learning_rate=0.01,
        batch=4,
        views_per_epoch=120,
        epochs_fixed=2,
        epochs_linear=1,
        augmentation=AugmentationSection(rotation_deg=10, shift_mm=20, degrade=0.2, mirror=True),
    )


@pytest.fixture(scope="session")
def classifier_recipe() -> ClassifierRecipe:
    """BCC-Net that trains in a second."""
    return ClassifierRecipe(
        kind="classifier",
        image_size=32,
        dropout=0.0,
        batch=8,
        views_per_epoch=16,
        epochs=3,
        bn_recalibrate=2,
        augmentation=AugmentationSection(rotation_deg=15, shift_mm=6),
    )


@pytest.fixture(scope="session")
def segmenter_run(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest, segmenter_recipe: SegmenterRecipe
) -> Run:
    """A finished run of the tiny MS-Net."""
    return train(segmenter_recipe, manifest, tmp_path_factory.mktemp("runs") / "segmenter")


@pytest.fixture(scope="session")
def classifier_run(
    tmp_path_factory: pytest.TempPathFactory,
    manifest: Manifest,
    classifier_recipe: ClassifierRecipe,
) -> Run:
    """A finished run of the tiny BCC-Net."""
    return train(classifier_recipe, manifest, tmp_path_factory.mktemp("runs") / "classifier")


@pytest.fixture(scope="session")
def provenance() -> Provenance:
    """What the tiny bundle says about its data."""
    return Provenance(
        "tiny",
        "0.1",
        TrainedOn(
            is_synthetic=True,
            description="Twelve synthetic patients.",
            kvp=(120, 120),
            thickness_mm=(2.5, 5),
        ),
    )


@pytest.fixture(scope="session")
def tiny_bundle(
    tmp_path_factory: pytest.TempPathFactory,
    segmenter_run: Run,
    classifier_run: Run,
    manifest: Manifest,
    provenance: Provenance,
) -> Bundle:
    """A bundle of both tiny networks, calibrated and measured; its figures mean nothing."""
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(metrics, "RESAMPLES", 40)  # intervals of three patients mean nothing
        return export(segmenter_run, classifier_run, manifest, folder, provenance)
