"""The paper's whole experiment: cohort, trainings, evaluation, every table and figure.

The cohort is synthetic by default: the paper's 213 patients train and test by its protocol, and a
large cohort beside them validates, calibrates and tests honestly. Every step is kept on disk, and
the same command goes on where it was stopped.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from osteoscreen import __version__
from osteoscreen.bundle import Bundle, TrainedOn, load_bundle
from osteoscreen.cohort.grids import mask_errors
from osteoscreen.cohort.manifest import (
    Case,
    Manifest,
    Split,
    class_errors,
    read_manifest,
    write_manifest,
)
from osteoscreen.cohort.plan import PAPER_CASES, CohortPlan, Preset
from osteoscreen.cohort.synthetic import write_cohort
from osteoscreen.errors import RecipeError
from osteoscreen.evaluation.architecture import architecture_table
from osteoscreen.evaluation.evaluate import measure
from osteoscreen.evaluation.experiment import (
    OWN,
    Experiment,
    figures_of,
    rate_on_scanner,
    read_experiment,
)
from osteoscreen.evaluation.patient_tables import scanners_table
from osteoscreen.evaluation.pictures import pictures_of
from osteoscreen.evaluation.publication import publish, shown_architecture
from osteoscreen.evaluation.tables import siblings_table, tables_of
from osteoscreen.training.calibration import calibrate
from osteoscreen.training.draft import draft_bundle, finish_bundle
from osteoscreen.training.export import check_runs
from osteoscreen.training.provenance import Provenance
from osteoscreen.training.recipe import ClassifierRecipe, SegmenterRecipe, read_recipe
from osteoscreen.training.run import Run, is_finished, open_run, train

RECIPES = Path(__file__).parent / "recipes"
PAPER_SEED, LARGE_SEED = 300, 301
"""Seeds of the two synthetic cohorts."""
LARGE_CASES = 6690
LARGE_SHARES = (3, 1, 3, 3)
"""2,007 patients each train, calibrate and test, and 669 validate. Those that train are for the
bundle in the package; the experiment trains on the paper's 150."""
VALIDATION_PATIENTS = 150
"""Patients of the large cohort on which the paper's networks choose their best epoch."""

SIBLINGS = ("densenet-121", "densenet-1", "densenet-2")
"""Networks of Table 5 beside BCC-Net."""
PRACTICAL = "BCC-Net, practical recipe"
BUNDLE = "bundle"
"""Folder of the bundle that comes out."""
WITHOUT = "BCC-Net without "
"""How the name of a classifier begins that a scanner was kept from."""


@dataclass(frozen=True)
class Recipes:
    """How the networks of an experiment are trained.

    Args:
        segmenter: MS-Net.
        classifier: BCC-Net by the paper; its siblings alike.
        practical: BCC-Net by the practical recipe, also without one scanner.
    """

    segmenter: SegmenterRecipe
    classifier: ClassifierRecipe
    practical: ClassifierRecipe


def read_recipes(scale: str) -> Recipes:
    """Read the recipes of a scale.

    Args:
        scale: ``"small"``, which two cores finish overnight, or ``"paper"``, which wants a GPU.
    """
    segmenter, classifier, practical = (
        read_recipe(RECIPES / scale / f"{name}.toml")
        for name in ("segmenter", "classifier", "practical")
    )
    if not (
        isinstance(segmenter, SegmenterRecipe)
        and isinstance(classifier, ClassifierRecipe)
        and isinstance(practical, ClassifierRecipe)
    ):
        raise RecipeError(f"{RECIPES / scale}: a recipe is of the wrong kind")
    return Recipes(segmenter, classifier, practical)


@dataclass(frozen=True)
class Cohorts:
    """The patients of an experiment.

    Args:
        training: Manifest whose train and validation splits train, and whose test split is read by
            the paper's protocol.
        honest: Manifest whose calibration and test splits calibrate and test; may be the same.
        provenance: What the bundle says of itself and its training data.
    """

    training: Path
    honest: Path
    provenance: Provenance


def write_synthetic(
    folder: Path, *, workers: int = 1, done: Callable[[str, int, int], None] | None = None
) -> Cohorts:
    """Make the synthetic cohorts, or go on with them.

    Args:
        folder: Of the experiment.
        workers: Processes.
        done: Called with what is made, of how many patients, and how many are finished.
    """
    plans = {
        "paper": CohortPlan(Preset.PAPER, cases=PAPER_CASES, seed=PAPER_SEED),
        "large": CohortPlan(Preset.COHORT, cases=LARGE_CASES, seed=LARGE_SEED, shares=LARGE_SHARES),
    }
    manifests = []
    for name, plan in plans.items():
        told = None if done is None else partial(done, name, plan.cases)
        manifests.append(write_cohort(folder / name, plan, workers=workers, done=told))
    paper, large = manifests
    training = folder / "training.csv"
    write_manifest(
        [
            *_moved(read_manifest(paper), "paper"),
            *_validation(_moved(read_manifest(large), "large")),
        ],
        training,
    )
    description = (
        "Synthetic CT only, made by `osteoscreen phantom`: no real patient was used. MS-Net and "
        "BCC-Net: 150 calibrated patients with the paper's three scanners (preset paper, seed "
        f"{PAPER_SEED}), 12 slices each through the middle of L1 to L4, 120 kVp; the best epoch "
        f"was chosen on {VALIDATION_PATIENTS} others. The difficulty of the calibrated cohort is "
        "set: the best possible accuracy is 0.793 and macro AUC 0.929, a regression on the true "
        "trabecular HU reaches 0.757 and 0.907."
    )
    trained_on = TrainedOn(
        is_synthetic=True, description=description, kvp=(120, 120), thickness_mm=(2.5, 5)
    )
    return Cohorts(training, large, Provenance("reproduced", __version__, trained_on))


def _moved(manifest: Manifest, folder: str) -> list[Case]:
    """Return the rows of a manifest for one that lies a folder higher."""
    return [
        case.model_copy(
            update={
                "image": f"{folder}/{case.image}",
                "mask": f"{folder}/{case.mask}" if case.mask else "",
            }
        )
        for case in manifest.cases
    ]


def _validation(cases: list[Case]) -> list[Case]:
    """Return the rows of the first validation patients."""
    rows = [case for case in cases if case.split is Split.VALIDATION]
    wanted = list(dict.fromkeys(case.patient_id for case in rows))[:VALIDATION_PATIENTS]
    return [case for case in rows if case.patient_id in set(wanted)]


def own_cohort(manifest: Path, provenance: Provenance) -> Cohorts:
    """Take a cohort of one's own for all parts of the experiment.

    Args:
        manifest: With every class in all four splits.
        provenance: What the bundle says of itself and of the cohort.
    Raises:
        ManifestError: If a row is wrong, or a split lacks a class.
    """
    read_manifest(manifest, checks=(mask_errors, partial(class_errors, splits=tuple(Split))))
    return Cohorts(manifest, manifest, provenance)


def reproduce(
    folder: Path,
    cohorts: Cohorts,
    recipes: Recipes,
    *,
    imagenet: Path | None = None,
    advance: Callable[[int], None] | None = None,
    begin: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Train, evaluate and write every table and figure of the paper.

    Args:
        folder: Of the experiment; made if it does not exist.
        cohorts: Patients.
        recipes: Trainings.
        imagenet: Local file of ImageNet weights that DenseNet-121 starts from; ``None`` for a
            start from scratch, as its siblings.
        advance: Called with the number of slices just read.
        begin: Called with the name of each step.
    Returns: Every figure, as ``metrics.json`` holds it.
    Raises:
        RunError: If a run folder holds another run, or the cohort lacks a class or split.
        LeakageError: If a patient, a series or an image is on both sides of a split.
    """
    say = begin or (lambda _: None)
    training, honest = read_manifest(cohorts.training), read_manifest(cohorts.honest)
    runs = folder / "runs"

    def trained(
        name: str, recipe: SegmenterRecipe | ClassifierRecipe, manifest: Manifest = training
    ) -> Run:
        say(f"Training {name}")
        home = runs / folder_name(name)
        return (
            open_run(home) if is_finished(home, recipe, manifest) else train(recipe, manifest, home)
        )

    segmenter = trained("MS-Net", recipes.segmenter)
    classifiers = {OWN: trained(OWN, recipes.classifier)}
    for sibling in SIBLINGS:
        changes: dict[str, Any] = {"network": sibling}
        if sibling == "densenet-121" and imagenet is not None:
            changes["initial_weights"] = str(imagenet)
        classifiers[sibling] = trained(sibling, recipes.classifier.model_copy(update=changes))
    classifiers[PRACTICAL] = trained(PRACTICAL, recipes.practical)
    for scanner in scanners_of(training, honest):
        name = f"{WITHOUT}{scanner}"
        classifiers[name] = trained(name, recipes.practical, without(training, scanner))
    say("Reading the cohorts")
    drafts = folder / ".drafts"
    bundles = {
        name: _draft(drafts / run.folder.name, segmenter, run, cohorts.provenance)
        for name, run in classifiers.items()
    }
    own = bundles.pop(OWN)
    experiment = read_experiment(
        own, honest, protocol=training, rivals=bundles, keep=folder / "readings", advance=advance
    )
    for seen in (experiment.test.seen, experiment.protocol.seen):
        check_runs((segmenter, *classifiers.values()), experiment.tuning.seen, seen)
    say("Writing the report")
    figures = _conclude(folder, experiment, {"MS-Net": segmenter, **classifiers})
    shutil.rmtree(drafts)
    return figures


def folder_name(name: str) -> str:
    """Return the folder of a run: its name in plain letters, told apart where that loses some."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    is_plain = re.fullmatch(r"[A-Za-z0-9 ,-]*", name) is not None
    return plain if is_plain else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _draft(folder: Path, segmenter: Run, classifier: Run, provenance: Provenance) -> Bundle:
    folder.mkdir(parents=True, exist_ok=True)
    return draft_bundle(segmenter, classifier, folder, provenance)


def _conclude(folder: Path, experiment: Experiment, runs: Mapping[str, Run]) -> dict[str, Any]:
    """Calibrate the bundle and write it, and the folder of the evaluation."""
    settings = calibrate(experiment.bundle.settings, experiment.tuning)
    calibrated = replace(
        experiment,
        bundle=replace(experiment.bundle, settings=settings),
        temperatures={**experiment.temperatures, OWN: settings.classifier.temperature},
    )
    figures = figures_of(calibrated)
    measured = measure(settings, experiment.test) | {"cohort_sha256": experiment.manifest.sha256}
    finish_bundle(settings, measured, experiment.bundle.folder)
    home = folder / BUNDLE
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(experiment.bundle.folder, home)
    bundle = load_bundle(home)
    figures["bundle"] = bundle.reference.model_dump()
    figures["runs"] = {name: run.record for name, run in runs.items()}
    figures["left_out"] = _left_out(calibrated)
    networks = {OWN: "bcc-net", **{name: name for name in SIBLINGS}, PRACTICAL: ""}
    tables = [architecture_table(), *tables_of(figures), siblings_table(figures, networks)]
    if figures["left_out"]:
        tables.append(scanners_table(figures))
    publish(
        folder,
        "The paper reproduced",
        figures,
        bundle=bundle,
        tables=tables,
        plots=[*shown_architecture(calibrated), *pictures_of(calibrated, figures)],
    )
    return figures


def _left_out(experiment: Experiment) -> dict[str, Any]:
    """Compare, on each scanner, the training without it and the one with it."""
    scanners = [
        name.removeprefix(WITHOUT) for name in experiment.test.rivals if name.startswith(WITHOUT)
    ]
    return {
        scanner: {
            "without": rate_on_scanner(experiment, f"{WITHOUT}{scanner}", scanner),
            "with": rate_on_scanner(experiment, PRACTICAL, scanner),
        }
        for scanner in scanners
    }


def scanners_of(training: Manifest, honest: Manifest) -> list[str]:
    """Return the scanners that can be left out of a training.

    Args:
        training: Cohort; without the scanner every class is still there to be trained.
        honest: Cohort whose test split has patients of the scanner.
    """
    tested = {case.scanner for case in honest.of(Split.TEST)}
    names = sorted({case.scanner for case in training.of(Split.TRAIN) if case.scanner})
    return [
        name
        for name in names
        if name in tested
        and not class_errors(training.folder, dict(enumerate(without(training, name).cases)))
    ]


def without(manifest: Manifest, scanner: str) -> Manifest:
    """Return a cohort without the train and validation patients of a scanner."""
    kept = tuple(
        case
        for case in manifest.cases
        if case.scanner != scanner or case.split not in (Split.TRAIN, Split.VALIDATION)
    )
    return replace(manifest, cases=kept, sha256=f"{manifest.sha256} without {scanner}")
