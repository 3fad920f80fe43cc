"""Export: the same answers as PyTorch, calibration, and the card."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.testing import assert_allclose
from onnx import TensorProto

from osteoscreen import texts
from osteoscreen.bundle import CARD, CLASSIFIER, SEGMENTER, Bundle, load_bundle
from osteoscreen.cohort.manifest import Manifest, Split
from osteoscreen.errors import LeakageError, RunError
from osteoscreen.evaluation import metrics
from osteoscreen.evaluation.calibration import conformal_quantile, fit_temperature
from osteoscreen.evaluation.evaluate import measure
from osteoscreen.evaluation.metrics import by_patient
from osteoscreen.evaluation.readings import read_cohort
from osteoscreen.evaluation.table import as_text
from osteoscreen.screening.decision import softmax
from osteoscreen.training.export import export
from osteoscreen.training.onnx_file import PARITY, round_weights
from osteoscreen.training.provenance import Provenance
from osteoscreen.training.run import Run, load_best


def test_weights_are_stored_as_float16_and_statistics_as_float32(tiny_bundle: Bundle) -> None:
    for name in (SEGMENTER, CLASSIFIER):
        stored = onnx.load(tiny_bundle.folder / name).graph.initializer
        matrices = [one for one in stored if len(one.dims) >= 2]
        vectors = [one for one in stored if len(one.dims) == 1]
        assert {one.data_type for one in matrices} == {TensorProto.FLOAT16}
        assert TensorProto.FLOAT16 not in {one.data_type for one in vectors}
        weights = sum(math.prod(one.dims) for one in matrices)
        parameters = sum(math.prod(one.dims) for one in stored)
        assert weights > 0.9 * parameters


def test_a_bundle_says_what_the_networks_of_its_runs_say(
    tiny_bundle: Bundle, segmenter_run: Run, classifier_run: Run
) -> None:
    rng = np.random.default_rng(3)
    for run, size, answer in (
        (segmenter_run, 64, tiny_bundle.marks),
        (classifier_run, 32, tiny_bundle.logits),
    ):
        network = load_best(run)
        round_weights(network)
        grey = rng.uniform(0, 255, (11, size, size)).astype(np.float32)
        with torch.no_grad():
            expected = network(torch.from_numpy(grey)[:, None]).numpy()
        assert_allclose(answer(grey), expected, rtol=0, atol=PARITY)


def test_the_bundle_carries_the_settings_of_its_recipes(
    tiny_bundle: Bundle, segmenter_run: Run, classifier_run: Run, manifest: Manifest
) -> None:
    settings = tiny_bundle.settings
    assert (settings.segmenter.size, settings.segmenter.spacing_mm) == (64, 6.0)
    assert settings.segmenter.marks == ("vertebra", "body")
    assert (settings.classifier.size, settings.classifier.mark) == (32, "vertebra")
    assert settings.classifier.channels == 1
    assert settings.runs == {"segmenter": segmenter_run.record, "classifier": classifier_run.record}
    assert settings.metrics["cohort_sha256"] == manifest.sha256
    assert max(settings.metrics["onnx_difference"].values()) < PARITY
    assert load_bundle(tiny_bundle.folder).settings == settings


def test_the_bundle_is_calibrated_and_measured_on_splits_of_their_own(
    tiny_bundle: Bundle, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "RESAMPLES", 40)  # as the bundle was measured
    settings = tiny_bundle.settings.classifier
    seen = read_cohort(tiny_bundle, manifest, Split.CALIBRATION)
    known = np.asarray(np.isfinite(seen.logits).all(axis=1))
    assert known.any()
    logits, truth = seen.logits[known], seen.truth[known]
    patients = [name for name, keep in zip(seen.patients, known) if keep]
    assert settings.temperature == pytest.approx(fit_temperature(logits, truth, patients))
    wanted, score = by_patient(patients, truth, softmax(logits, settings.temperature))
    assert settings.conformal_quantile == pytest.approx(conformal_quantile(wanted, score, 0.9))
    assert settings.conformal_coverage == pytest.approx(0.9)
    points = tiny_bundle.settings.operating_points
    sensitive, specific = points.sensitive_probability, points.specific_probability
    assert sensitive == pytest.approx(score[wanted == 2, 2].min())
    assert specific == pytest.approx(score[wanted != 2, 2].max())
    test = measure(tiny_bundle.settings, read_cohort(tiny_bundle, manifest, Split.TEST))
    said = tiny_bundle.settings.metrics
    # As text: an undefined figure is nan, which equals nothing, and null in a bundle.
    wanted_text = json.dumps(test).replace("NaN", "null")
    assert json.dumps({name: said[name] for name in test}) == wanted_text


def test_the_card_says_what_the_bundle_is(tiny_bundle: Bundle) -> None:
    card = (tiny_bundle.folder / CARD).read_text(encoding="utf-8")
    figures = tiny_bundle.settings.metrics
    for expected in (
        "# tiny 0.1",
        texts.NOTICE,
        "Twelve synthetic patients.",
        "**MS-Net**: width 4, grid 64 at 6.0 mm, marks vertebra, body, loss dice_bce. "
        "3 epochs, 360 augmented views",
        "**BCC-Net**: bcc-net, 32 pixels, dropout 0, weight decay 0.005. 3 epochs, 48 augmented",
        "3 patients, 6 slices",
        f"| Dice index, body | {figures['segmentation']['body_dice_score']['mean']:.3f} |",
        "2.5 to 5 mm at 120 kVp",
        "says nothing about clinical accuracy",
    ):
        assert expected in card
    said = figures["classification"]
    for expected in (
        f"Three-class accuracy {said['accuracy']:.3f}",
        f"Expected calibration error {said['calibration_error']:.3f}",
        f"hold the class of {said['prediction_sets']['coverage_score']:.1%}",
        "Osteoporosis, sensitive point",
        "Osteoporosis, specific point",
        "| prevalence of osteoporosis | PPV, sensitive | NPV, sensitive | PPV, specific |",
    ):
        assert expected in card
    worth = said["operating_points"][0]["predictive_values"][2]
    assert f"| 20% | {as_text(worth['positive'])} | {as_text(worth['negative'])} |" in card


def test_runs_of_the_wrong_kind_are_refused(
    segmenter_run: Run, classifier_run: Run, manifest: Manifest, provenance: Provenance,
    tmp_path: Path,
) -> None:  # fmt: skip
    with pytest.raises(RunError, match="a segmenter run is needed, got a classifier's"):
        export(classifier_run, classifier_run, manifest, tmp_path / "a", provenance)
    with pytest.raises(RunError, match="a classifier run is needed, got a segmenter's"):
        export(segmenter_run, segmenter_run, manifest, tmp_path / "a", provenance)
    assert not (tmp_path / "a").exists()


def test_a_cohort_without_a_calibration_split_is_refused(
    segmenter_run: Run, classifier_run: Run, manifest: Manifest, provenance: Provenance,
    tmp_path: Path,
) -> None:  # fmt: skip
    cases = manifest.of(Split.TRAIN)
    with pytest.raises(RunError, match="cases with a condition in the calibration split, got none"):
        export(segmenter_run, classifier_run, replace(manifest, cases=cases), tmp_path, provenance)


@pytest.mark.parametrize("split", [Split.CALIBRATION, Split.TEST])
def test_a_test_on_what_was_trained_on_is_refused(
    segmenter_run: Run, classifier_run: Run, manifest: Manifest, provenance: Provenance,
    tmp_path: Path, split: Split,
) -> None:  # fmt: skip
    """The names are other ones; nothing is written, and what was there stays."""
    seen = manifest.of(Split.TRAIN)[:2]
    leaked = [
        case.model_copy(update={"case_id": f"Z{index}", "patient_id": "Z", "split": split})
        for index, case in enumerate(seen)
    ]
    cases = (*manifest.of(Split.CALIBRATION, Split.TEST), *leaked)
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "kept.txt").write_text("mine")
    with pytest.raises(LeakageError, match=f"train of segmenter and {split} must not share"):
        export(
            segmenter_run,
            classifier_run,
            replace(manifest, cases=cases),
            tmp_path / "bundle",
            provenance,
        )
    assert [file.name for file in tmp_path.rglob("*")] == ["bundle", "kept.txt"]


def test_calibration_patients_in_test_are_refused(
    segmenter_run: Run, classifier_run: Run, manifest: Manifest, provenance: Provenance,
    tmp_path: Path,
) -> None:  # fmt: skip
    tuning = manifest.of(Split.CALIBRATION)
    twins = [
        case.model_copy(update={"case_id": f"Z{index}", "patient_id": "Z", "split": Split.TEST})
        for index, case in enumerate(tuning[:2])
    ]
    leaky = replace(manifest, cases=(*tuning, *twins))
    with pytest.raises(LeakageError, match="calibration and test must not share images"):
        export(segmenter_run, classifier_run, leaky, tmp_path / "bundle", provenance)


def test_a_run_that_does_not_tell_what_it_saw_is_refused(
    segmenter_run: Run, classifier_run: Run, manifest: Manifest, provenance: Provenance,
    tmp_path: Path,
) -> None:  # fmt: skip
    silent = tmp_path / "silent"
    shutil.copytree(segmenter_run.folder, silent)
    (silent / "train.npz").unlink()
    with pytest.raises(RunError, match=r"silent: an export needs train\.npz and validation\.npz"):
        export(
            replace(segmenter_run, folder=silent), classifier_run, manifest, tmp_path / "bundle",
            provenance,
        )  # fmt: skip
