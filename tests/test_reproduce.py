"""The whole experiment on a few patients with tiny networks: every table, every figure, and on."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from osteoscreen import reproduce as module
from osteoscreen.bundle import TrainedOn, load_bundle
from osteoscreen.cohort.manifest import Split, read_manifest, write_manifest
from osteoscreen.cohort.plan import CohortPlan, Preset
from osteoscreen.cohort.synthetic import write_cohort
from osteoscreen.errors import LeakageError, ManifestError
from osteoscreen.evaluation import metrics
from osteoscreen.evaluation.experiment import OWN
from osteoscreen.reproduce import (
    PRACTICAL,
    SIBLINGS,
    Cohorts,
    Recipes,
    folder_name,
    own_cohort,
    read_recipes,
    reproduce,
    scanners_of,
    without,
    write_synthetic,
)
from osteoscreen.training.provenance import Provenance
from osteoscreen.training.recipe import ClassifierRecipe, SegmenterRecipe

PROVENANCE = Provenance(
    "few",
    "1",
    TrainedOn(is_synthetic=True, description="A few synthetic patients.", kvp=(120, 120),
              thickness_mm=(2.5, 5)),
)  # fmt: skip


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> Cohorts:
    """Twenty-four patients of one slice, six a split, half of each on either of two scanners."""
    folder = tmp_path_factory.mktemp("few")
    plan = CohortPlan(Preset.COHORT, cases=24, seed=6, slices=1, shares=(1, 1, 1, 1))
    written = read_manifest(write_cohort(folder, plan))
    cases = [
        case.model_copy(update={"scanner": "one" if number < 12 else "other"})
        for number, case in enumerate(written.cases)
    ]
    write_manifest(cases, folder / "scanners.csv")
    return own_cohort(folder / "scanners.csv", PROVENANCE)


@pytest.fixture(scope="module")
def recipes(segmenter_recipe: SegmenterRecipe, classifier_recipe: ClassifierRecipe) -> Recipes:
    """Trainings of a second."""
    classifier = classifier_recipe.model_copy(update={"epochs": 1})
    return Recipes(segmenter_recipe, classifier.model_copy(update={"dropout": 0.4}), classifier)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cohorts: Cohorts, recipes: Recipes) -> Path:
    """A finished experiment."""
    home = tmp_path_factory.mktemp("experiment")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(metrics, "RESAMPLES", 20)
        reproduce(home, cohorts, recipes)
    return home


@pytest.mark.slow
def test_every_table_and_figure_of_the_paper_is_made(folder: Path) -> None:
    tables = {path.stem for path in (folder / "tables").iterdir()}
    assert tables >= {f"table_{number}" for number in range(1, 7)} | {"left_out", "classifiers"}
    figures = {path.stem for path in (folder / "figures").glob("*.png")}
    assert figures >= {f"figure_{number}" for number in range(1, 10)}
    page = (folder / "report.html").read_text("utf-8")
    places = [page.index(f"Table {number}. ") for number in range(1, 7)]
    assert places == sorted(places)


@pytest.mark.slow
def test_every_network_of_table_5_is_trained_and_measured(folder: Path) -> None:
    figures = json.loads((folder / "metrics.json").read_text("utf-8"))
    trained = {OWN, *SIBLINGS, PRACTICAL}
    without_one = {f"BCC-Net without {scanner}" for scanner in ("one", "other")}
    assert figures["runs"].keys() == {"MS-Net"} | trained | without_one
    assert figures["classifiers"].keys() >= trained
    networks = {name: figures["runs"][name]["recipe"]["network"] for name in SIBLINGS}
    assert networks == {name: name for name in SIBLINGS}
    rates = {figures["runs"][name]["recipe"]["dropout"] for name in (OWN, *SIBLINGS)}
    assert rates == {0.4}
    left_out = figures["left_out"]
    assert {name: one["without"]["patients"] for name, one in left_out.items()} == {
        "one": 3, "other": 3
    }  # fmt: skip


@pytest.mark.slow
def test_the_bundle_of_an_experiment_is_whole_and_calibrated(folder: Path) -> None:
    bundle = load_bundle(folder / "bundle")
    figures = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert figures["bundle"]["sha256"] == bundle.sha256
    assert bundle.settings.classifier.conformal_quantile is not None
    assert bundle.settings.metrics["classification"] == figures["classification"]
    assert "A few synthetic patients." in (bundle.folder / "MODEL_CARD.md").read_text("utf-8")


@pytest.mark.slow
def test_an_experiment_goes_on_without_training_anew(
    folder: Path, cohorts: Cohorts, recipes: Recipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:  # noqa: ANN401 - whatever it is called with
        raise AssertionError("a finished run was trained again")

    monkeypatch.setattr(module, "train", never)
    monkeypatch.setattr(metrics, "RESAMPLES", 20)
    before = (folder / "metrics.json").read_bytes()
    steps: list[str] = []
    reproduce(folder, cohorts, recipes, begin=steps.append)
    assert (folder / "metrics.json").read_bytes() == before
    assert steps[-2:] == ["Reading the cohorts", "Writing the report"]


def test_the_recipes_of_both_scales_are_there() -> None:
    for scale, width in (("small", 16), ("paper", 64)):
        recipes = read_recipes(scale)
        assert recipes.segmenter.width == width
        assert recipes.classifier.dropout == pytest.approx(0.4)
        assert recipes.practical.dropout == pytest.approx(0)
        assert recipes.classifier.image_size == recipes.practical.image_size


def test_a_cohort_without_a_split_is_refused(cohorts: Cohorts, tmp_path: Path) -> None:
    manifest = read_manifest(cohorts.honest)
    rest = [
        case.model_copy(update={"image": str(manifest.folder / case.image), "mask": ""})
        for case in manifest.cases
        if case.split is not Split.CALIBRATION
    ]
    write_manifest(rest, tmp_path / "manifest.csv")
    with pytest.raises(ManifestError, match="calibration has no case of osteoporosis"):
        own_cohort(tmp_path / "manifest.csv", PROVENANCE)


def test_a_scanner_is_left_out_of_the_training_alone(cohorts: Cohorts) -> None:
    manifest = read_manifest(cohorts.training)
    assert scanners_of(manifest, manifest) == ["one", "other"]
    untested = replace(manifest, cases=manifest.of(Split.TRAIN))
    assert scanners_of(manifest, untested) == []
    rest = without(manifest, "one")
    counts = Counter((case.split, case.scanner) for case in rest.cases)
    assert counts[Split.TRAIN, "one"] == counts[Split.VALIDATION, "one"] == 0
    assert counts[Split.TEST, "one"] == counts[Split.TEST, "other"] == 3
    assert rest.sha256 != manifest.sha256
    # Without the other one too no class would be left.
    assert scanners_of(replace(manifest, cases=rest.cases), manifest) == []


def test_runs_of_scanners_whose_names_are_alike_have_folders_of_their_own() -> None:
    names = ["BCC-Net without GE 1", "BCC-Net without GE/1", "BCC-Net without 联影", "BCC-Net, x"]
    assert len({folder_name(name) for name in names}) == len(names)
    assert folder_name("BCC-Net, practical recipe") == "bcc-net-practical-recipe"


def test_the_synthetic_cohorts_are_the_paper_s_and_a_large_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAPER_CASES", 12)
    monkeypatch.setattr(module, "LARGE_CASES", 30)
    monkeypatch.setattr(module, "VALIDATION_PATIENTS", 2)
    told: list[tuple[str, int, int]] = []
    cohorts = write_synthetic(tmp_path, done=lambda *one: told.append(one))
    assert told[-1] == ("large", 30, 30)
    training, honest = read_manifest(cohorts.training), read_manifest(cohorts.honest)
    patients = Counter({case.patient_id: case.split for case in training.cases}.values())
    assert patients == {Split.TRAIN: 9, Split.TEST: 3, Split.VALIDATION: 2}
    large = Counter({case.patient_id: case.split for case in honest.cases}.values())
    assert large == {
        Split.TRAIN: 9, Split.VALIDATION: 3, Split.CALIBRATION: 9, Split.TEST: 9
    }  # fmt: skip
    assert cohorts.provenance.trained_on.is_synthetic


def test_a_patient_on_both_sides_stops_the_experiment(
    cohorts: Cohorts, recipes: Recipes, tmp_path: Path
) -> None:
    manifest = read_manifest(cohorts.training)
    twins = [
        case.model_copy(
            update={
                "image": str(manifest.folder / case.image),
                "mask": str(manifest.folder / case.mask),
                **({"case_id": f"{case.case_id}-b", "patient_id": f"{case.patient_id}-b",
                    "split": Split.VALIDATION} if is_twin else {}),
            }
        )
        for case in manifest.cases
        for is_twin in ((False, True) if case.split is Split.TRAIN else (False,))
    ]  # fmt: skip
    write_manifest(twins, tmp_path / "manifest.csv")
    with pytest.raises(LeakageError, match="are of one series"):
        reproduce(tmp_path / "out", own_cohort(tmp_path / "manifest.csv", PROVENANCE), recipes)
