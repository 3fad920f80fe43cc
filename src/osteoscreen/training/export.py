"""From two runs, or three, to a model bundle that is calibrated, measured and says so."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from osteoscreen.bundle import Bundle, load_bundle
from osteoscreen.cohort.leakage import Fingerprints, check_leakage
from osteoscreen.cohort.manifest import Manifest, Split
from osteoscreen.errors import RunError
from osteoscreen.evaluation.evaluate import measure
from osteoscreen.evaluation.readings import read_cohort
from osteoscreen.training.calibration import calibrate
from osteoscreen.training.draft import add_levels, draft_bundle, finish_bundle
from osteoscreen.training.provenance import Provenance
from osteoscreen.training.recipe import ClassifierRecipe, LevelRecipe, SegmenterRecipe
from osteoscreen.training.run import Run, read_seen


def export(  # noqa: PLR0913 - three runs, a cohort, a place and a name
    segmenter: Run,
    classifier: Run,
    calibration: Manifest,
    folder: Path,
    provenance: Provenance,
    *,
    levels: Run | None = None,
    advance: Callable[[int], None] | None = None,
) -> Bundle:
    """Export two runs to a bundle, calibrate it, measure it and write its card.

    Args:
        segmenter: Run of MS-Net.
        classifier: Run of BCC-Net.
        calibration: Cohort whose calibration split sets temperature and prediction sets, and
            whose test split gives the figures of the card.
        folder: Where to write; made if it does not exist. What is there stays as it is unless the
            export succeeds.
        provenance: Name and data of the bundle.
        levels: Run of LevelNet; ``None`` makes a bundle that does not name vertebrae.
        advance: Called with the number of slices just read.
    Returns: The bundle as it was written, loaded and verified.
    Raises:
        RunError: If a run is of the wrong kind, or the calibration split says nothing.
        BundleError: If ONNX Runtime and PyTorch disagree.
        LeakageError: If calibration and test share images with each other or with what a run has
            seen.
    """
    if not isinstance(segmenter.recipe, SegmenterRecipe):
        raise RunError(f"{segmenter.folder}: a segmenter run is needed, got a classifier's")
    if not isinstance(classifier.recipe, ClassifierRecipe):
        raise RunError(f"{classifier.folder}: a classifier run is needed, got a segmenter's")
    if levels is not None and not isinstance(levels.recipe, LevelRecipe):
        raise RunError(
            f"{levels.folder}: a run of LevelNet is needed, got a {levels.recipe.kind}'s"
        )
    if not any(case.condition for case in calibration.of(Split.CALIBRATION)):
        raise RunError("an export needs cases with a condition in the calibration split, got none")
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder}: a bundle needs a folder, it is a file")
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        _write_bundle(
            (segmenter, classifier, levels), calibration, part, provenance, advance=advance
        )
        folder.mkdir(exist_ok=True)
        for file in part.iterdir():
            file.replace(folder / file.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return load_bundle(folder)


def _write_bundle(
    runs: tuple[Run, Run, Run | None],
    calibration: Manifest,
    folder: Path,
    provenance: Provenance,
    *,
    advance: Callable[[int], None] | None,
) -> None:
    segmenter, classifier, levels = runs
    bundle = draft_bundle(segmenter, classifier, folder, provenance)
    if levels is not None:
        bundle = add_levels(bundle, levels)
    tuning, test = (
        read_cohort(bundle, calibration, split, advance=advance)
        for split in (Split.CALIBRATION, Split.TEST)
    )
    check_leakage(tuning.seen, test.seen, ("calibration", "test"))
    check_runs([run for run in runs if run is not None], tuning.seen, test.seen)
    settings = calibrate(bundle.settings, tuning)
    metrics = measure(settings, test) | {"cohort_sha256": calibration.sha256}
    finish_bundle(settings, metrics, folder)


def check_runs(runs: Sequence[Run], tuning: Fingerprints, test: Fingerprints) -> None:
    """Refuse a calibration or a test on what a run has seen.

    Args:
        runs: Of the networks.
        tuning: Slices of the calibration.
        test: Slices of the test.
    Raises:
        LeakageError: If they share images with the train or validation slices of a run.
    """
    for run in runs:
        for seen, side in zip(read_seen(run), ("train", "validation")):
            check_leakage(seen, tuning, (f"{side} of {run.folder.name}", "calibration"))
            check_leakage(seen, test, (f"{side} of {run.folder.name}", "test"))
