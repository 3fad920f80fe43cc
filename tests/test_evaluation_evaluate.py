"""A bundle measured on a cohort: MS-Net's own marks, one result a patient, every figure anew."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from bundles import threshold_bundle
from made_readings import made_readings
from osteoscreen.bundle import Bundle
from osteoscreen.cohort.manifest import Manifest, Split, read_manifest
from osteoscreen.cohort.plan import CohortPlan, Preset
from osteoscreen.cohort.slices import read_slices
from osteoscreen.cohort.synthetic import write_cohort
from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.series import read_series
from osteoscreen.evaluation import metrics
from osteoscreen.evaluation.evaluate import measure, summarise
from osteoscreen.evaluation.metrics import UndefinedMetricWarning
from osteoscreen.evaluation.readings import Readings, read_cohort
from osteoscreen.findings import CONDITIONS
from osteoscreen.screening.marking import mark_volume
from osteoscreen.screening.roi import RoiSettings, cut_roi
from osteoscreen.screening.slices import choose_slices, roi_logits
from osteoscreen.volume import Volume, stand


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer resamples than a report has: enough where an interval is only compared with itself."""
    monkeypatch.setattr(metrics, "RESAMPLES", 40)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle that marks what is brighter than 200 HU and classifies by mean grey."""
    return threshold_bundle(tmp_path_factory.mktemp("threshold"))


@pytest.fixture(scope="module")
def readings(bundle: Bundle, manifest: Manifest) -> Readings:
    """What it says of the test split: three patients of two slices."""
    return read_cohort(bundle, manifest, Split.TEST)


def test_every_slice_of_the_split_is_read(
    bundle: Bundle, manifest: Manifest, readings: Readings
) -> None:
    counts: list[int] = []
    again = read_cohort(bundle, manifest, Split.TEST, advance=counts.append)
    cases = manifest.of(Split.TEST)
    assert counts == [1] * 6
    assert again.cases == readings.cases == cases
    assert readings.patients == [case.patient_id for case in cases]
    assert readings.truth.tolist() == [0, 0, 1, 1, 2, 2]
    assert_array_equal(again.logits, readings.logits)


def test_slices_are_classified_on_the_marks_that_the_bundle_makes(
    bundle: Bundle, manifest: Manifest, readings: Readings
) -> None:
    for index, one in enumerate(read_slices(manifest, manifest.of(Split.TEST)[:2])):
        affine = np.eye(4)[[2, 1, 0, 3]]
        affine[:2] *= np.array([[one.spacing_mm[1]], [one.spacing_mm[0]]])
        marks = mark_volume(Volume(one.hu[None], affine), bundle)
        mark = marks.vertebra[0]
        roi = cut_roi(one.hu, mark, one.spacing_mm, RoiSettings(64), fill=0.9)
        assert_allclose(readings.logits[index], bundle.logits(roi[None])[0], rtol=1e-6)
        both = (mark & one.vertebra).sum()
        scores = readings.overlaps[index]
        assert scores["vertebra_dice_score"] == pytest.approx(
            2 * both / (mark.sum() + one.vertebra.sum())
        )
        assert scores["body_pixel_recall_score"] == pytest.approx(
            (marks.body[0] & one.body).sum() / one.body.sum()
        )
        assert len(scores) == 8


def test_without_masks_and_conditions_only_counts_are_left(
    bundle: Bundle, manifest: Manifest
) -> None:
    bare = {"mask": "", "mask_labels": "", "condition": None, "t_score": None}
    cases = tuple(case.model_copy(update=bare) for case in manifest.of(Split.TEST)[:2])
    found = read_cohort(bundle, replace(manifest, cases=cases), Split.TEST)
    assert found.truth.tolist() == [-1, -1]
    assert summarise(found, 1.0) == {
        "slices": 2,
        "patients": 1,
        "patients_not_classified": 0,
        "segmentation": {},
        "slices_not_classified": 0,
    }


def test_an_empty_split_has_no_readings(bundle: Bundle, manifest: Manifest) -> None:
    found = read_cohort(bundle, replace(manifest, cases=()), Split.TEST)
    assert found.logits.shape == (0, 3)
    assert summarise(found, 1.0) == {
        "slices": 0,
        "patients": 0,
        "patients_not_classified": 0,
        "segmentation": {},
        "slices_not_classified": 0,
    }


def test_a_slice_that_nothing_is_marked_in_has_no_logits(
    manifest: Manifest, tmp_path: Path
) -> None:
    # On a grid of 64 mm in the middle of the image there is no bone of a cohort slice.
    cases = manifest.of(Split.TEST)[:1]
    blind = threshold_bundle(tmp_path, size=64, spacing_mm=0.01)
    found = read_cohort(blind, replace(manifest, cases=cases), Split.TEST)
    assert np.isnan(found.logits).all()
    assert found.overlaps[0]["vertebra_dice_score"] == pytest.approx(0)
    summary = summarise(found, 1.0)
    assert summary["slices_not_classified"] == 1
    assert "classification" not in summary


def _readings() -> Readings:
    """Four patients; the last one was never marked, the first has an unmarked slice."""
    nothing = [np.nan] * 3
    return made_readings(
        patients=["a", "a", "b", "b", "c", "a", "d"],
        truth=[0, 0, 1, 1, 2, 0, 2],
        logits=np.array(
            [[4, 0, 0], [0, 1, 0], [0, 1, 0], [0, 3, 0], [2, 0, 0], nothing, nothing], float
        ),
        overlaps=[*({"body_dice_score": value / 10} for value in range(6)), {}],
    )


def test_a_summary_by_hand() -> None:
    found = summarise(_readings(), 1.0)
    assert (found["slices"], found["patients"], found["slices_not_classified"]) == (7, 4, 2)
    assert found["patients_not_classified"] == 1
    dice = found["segmentation"]["body_dice_score"]
    # 0, 0.1, ... 0.5: the tenth percentile lies half-way from the first to the second.
    assert dice == pytest.approx(
        {"slices": 6, "mean": 0.25, "median": 0.25, "tenth_percentile": 0.05}
    )
    said = found["classification"]
    assert said["patients"] == 3
    # a is right on the mean of its two slices, b is right, c is taken for normal.
    assert said["accuracy"] == pytest.approx(2 / 3)
    low, high = said["accuracy_interval"]
    assert 0 <= low <= said["accuracy"] <= high <= 1
    # Normal: a beats b, c beats a or not: e^2 / (e^2 + 2) = 0.787 against (0.965 + 0.212) / 2.
    assert said["auc"][CONDITIONS[0]] == pytest.approx(0.5)
    assert said["auc"][CONDITIONS[1]] == pytest.approx(1.0)
    # Osteoporosis: c has 0.107; a has (0.018 + 0.212) / 2 = 0.115, b (0.212 + 0.045) / 2 = 0.129.
    assert said["auc"][CONDITIONS[2]] == pytest.approx(0.0)
    assert said["macro_auc"] == pytest.approx(0.5)


def test_a_summary_is_the_same_every_time() -> None:
    once, again = (summarise(_readings(), 1.7) for _ in range(2))
    assert once == again


def test_figures_of_a_bundle_are_taken_at_its_own_settings(bundle: Bundle) -> None:
    points = bundle.settings.operating_points.model_copy(
        update={"sensitive_probability": 0.05, "specific_probability": 0.5}
    )
    classifier = bundle.settings.classifier.model_copy(
        update={"temperature": 1.7, "conformal_quantile": 0.95}
    )
    settings = bundle.settings.model_copy(
        update={"operating_points": points, "classifier": classifier}
    )
    said = measure(settings, _readings())["classification"]
    assert [one["point"]["name"] for one in said["operating_points"]] == ["sensitive", "specific"]
    # c has osteoporosis and P = 1 / (e^(2 / 1.7) + 2) = 0.19; nobody reaches a half.
    sensitive, specific = said["operating_points"]
    assert (sensitive["sensitivity_score"], specific["sensitivity_score"]) == (1, 0)
    assert specific["specificity_score"] == 1
    # 1 - 0.19 is within the quantile.
    assert said["prediction_sets"]["coverage_score"] == 1
    # The other figures are those of the temperature, and one without it stands beside them.
    plain = summarise(_readings(), 1.7)["classification"]
    assert said["calibration_error"] == plain["calibration_error"]
    before = summarise(_readings(), 1.0)["classification"]["calibration_error"]
    assert said["calibration_error_before"] == before != said["calibration_error"]


def test_figures_of_a_class_that_is_absent_say_why() -> None:
    whole = _readings()
    some = replace(
        whole, cases=whole.cases[:4], logits=whole.logits[:4], overlaps=whole.overlaps[:4]
    )
    with pytest.warns(UndefinedMetricWarning):
        said = summarise(some, 1.0)["classification"]
    for figure in (said["macro_auc"], said["macro_auc_interval"], said["auc"][CONDITIONS[2]]):
        assert figure == "undefined: no osteoporosis case"
    assert said["auc"][CONDITIONS[0]] == pytest.approx(1.0)
    assert "NaN" not in json.dumps(said)


def test_random_classes_give_chance_within_their_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "RESAMPLES", 300)
    rng = np.random.default_rng(8)
    count = 240
    truth = rng.permutation(np.arange(count) % 3)
    patients = [str(index) for index in range(count)]
    readings = made_readings(patients, truth.tolist(), rng.normal(size=(count, 3)))
    said = summarise(readings, 1.0)["classification"]
    # The interval of a seed misses chance in one of twenty; this seed's does not.
    low, high = said["macro_auc_interval"]
    assert low < 0.5 < high
    assert high - low < 0.15
    exact = stats.binomtest(round(said["accuracy"] * count), count).proportion_ci(0.95)
    # Resampling within classes is a little narrower than the binomial; 300 resamples: 1 %.
    assert_allclose(said["accuracy_interval"], (exact.low, exact.high), rtol=0, atol=0.02)


def test_of_a_whole_series_only_the_slices_that_a_screening_chooses_are_classified(
    bundle: Bundle, tmp_path: Path
) -> None:
    manifest = read_manifest(
        write_cohort(tmp_path, CohortPlan(Preset.COHORT, cases=1, seed=9, is_series=True))
    )
    case = manifest.cases[0].model_copy(update={"split": Split.TEST})
    found = read_cohort(bundle, replace(manifest, cases=(case,)), Split.TEST)
    (one,) = find_series(tmp_path / case.image).series
    standing, _ = stand(read_series(one).volume)
    marks = mark_volume(standing, bundle)
    chosen = choose_slices(standing, marks, bundle)
    assert 0 < len(chosen) < len(standing.hu)
    assert np.flatnonzero(np.isfinite(found.logits[:, 0])).tolist() == list(chosen)
    assert_allclose(
        found.logits[list(chosen)], roi_logits(standing, marks, chosen, bundle), rtol=1e-6
    )
