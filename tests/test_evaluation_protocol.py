"""The paper's protocol: as many images a patient as it says, of its first patients a class."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from bundles import threshold_bundle
from osteoscreen.bundle import Bundle
from osteoscreen.cohort.manifest import Case, Manifest, Split
from osteoscreen.evaluation.protocol import (
    CLASSIFIED,
    CLASSIFIED_VIEWS,
    FILL,
    MARKED,
    MARKED_VIEWS,
    PATIENTS,
    ProtocolReadings,
    _by_turns,
    protocol_cases,
    read_protocol,
)
from osteoscreen.evaluation.readings import read_cohort
from osteoscreen.findings import CONDITIONS
from osteoscreen.reproduce import read_recipes


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle that marks what is brighter than 200 HU and classifies by mean grey."""
    return threshold_bundle(tmp_path_factory.mktemp("threshold"))


@pytest.fixture(scope="module")
def readings(bundle: Bundle, manifest: Manifest) -> ProtocolReadings:
    """What it says of the augmented images of three patients, itself being its own rival."""
    return read_protocol(bundle, manifest, rivals={"itself": bundle})


def test_63_patients_make_the_numbers_of_the_paper() -> None:
    assert 3 * PATIENTS * MARKED_VIEWS == 756
    assert 3 * PATIENTS * CLASSIFIED_VIEWS == 3024


def test_each_patient_gives_its_number_of_images(readings: ProtocolReadings) -> None:
    assert len({case.patient_id for case in readings.cases}) == 3
    assert len(readings.overlaps) == 3 * MARKED_VIEWS
    assert Counter(readings.truth.tolist()) == dict.fromkeys(range(3), CLASSIFIED_VIEWS)
    assert readings.logits[""].shape == (3 * CLASSIFIED_VIEWS, 3)
    assert_array_equal(readings.logits["itself"], readings.logits[""])


def test_the_images_of_a_patient_differ_and_come_out_the_same_again(
    bundle: Bundle, manifest: Manifest, readings: ProtocolReadings
) -> None:
    assert len(np.unique(readings.logits[""][:CLASSIFIED_VIEWS, 0])) > CLASSIFIED_VIEWS // 2
    dice = [one["vertebra_dice_score"] for one in readings.overlaps]
    assert len(set(dice)) > MARKED_VIEWS
    again = read_protocol(bundle, manifest)
    assert_array_equal(again.logits[""], readings.logits[""])
    assert list(again.overlaps) == list(readings.overlaps)


def test_a_turned_image_is_marked_as_well_as_the_plain_one(
    bundle: Bundle, manifest: Manifest, readings: ProtocolReadings
) -> None:
    # Whatever is bright is marked, so turning changes the overlap by what crosses the edge only.
    turned = np.array([one["vertebra_dice_score"] for one in readings.overlaps]).reshape(3, -1)
    plain = read_cohort(bundle, manifest, Split.TEST)
    dice = np.array([one["vertebra_dice_score"] for one in plain.overlaps]).reshape(3, -1)
    assert_allclose(turned.mean(axis=1), dice.mean(axis=1), atol=0.05)


def test_many_slices_are_taken_evenly_and_few_by_turns() -> None:
    assert list(_by_turns("abc", 7)) == list("abcabca")
    assert list(_by_turns(range(100), 4)) == [0, 25, 50, 75]
    assert list(_by_turns([], 4)) == []


def test_turns_and_shifts_are_those_of_the_recipes_of_the_paper() -> None:
    recipes = read_recipes("paper")
    assert recipes.segmenter.augmentation.build() == MARKED
    assert recipes.classifier.augmentation.build() == CLASSIFIED
    assert recipes.classifier.fill == FILL


def test_the_first_21_patients_of_a_class_are_chosen() -> None:
    cases = [
        Case(
            case_id=f"{number}-{index}", patient_id=str(number), image="x",
            condition=CONDITIONS[number % 3] if number < 90 else None, split=Split.TEST,
        )
        for number in range(95)
        for index in range(2)
    ]  # fmt: skip
    train = [replace_split(case) for case in cases[:4]]
    chosen = protocol_cases(Manifest(Path(), (*train, *cases), ""))
    patients = dict.fromkeys(case.patient_id for case in chosen)
    assert list(patients) == [str(number) for number in range(63)]
    assert len(chosen) == 126
    assert all(case.split is Split.TEST for case in chosen)


def replace_split(case: Case) -> Case:
    return case.model_copy(
        update={"split": Split.TRAIN, "case_id": f"t{case.case_id}", "patient_id": "t"}
    )


def test_a_patient_in_whom_nothing_is_marked_gives_no_roi(
    manifest: Manifest, tmp_path: Path
) -> None:
    blind = threshold_bundle(tmp_path, size=64, spacing_mm=0.01)
    cases = manifest.of(Split.TEST)[:2]
    found = read_protocol(blind, replace(manifest, cases=cases))
    assert len(found.overlaps) == MARKED_VIEWS
    assert len(found.truth) == len(found.logits[""]) == 0
