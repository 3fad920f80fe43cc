"""Leakage: the same patient, series or image on both sides of a split is found and refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from osteoscreen.cohort.leakage import (
    GRID,
    NEAR_HU,
    NONE,
    Fingerprints,
    Watch,
    check_leakage,
    read_fingerprints,
    write_fingerprints,
)
from osteoscreen.cohort.manifest import Manifest
from osteoscreen.cohort.slices import LabelledSlice, read_slices
from osteoscreen.errors import LeakageError
from osteoscreen.training.pool import Pool
from osteoscreen.training.recipe import ClassifierRecipe

SIDES = ("train", "test")


@pytest.fixture(scope="module")
def slices(manifest: Manifest) -> list[LabelledSlice]:
    """The slices of four patients, two each."""
    return list(read_slices(manifest, manifest.cases[:8]))


def _seen(slices: list[LabelledSlice]) -> Fingerprints:
    watch = Watch()
    assert list(watch.passing(slices)) == slices
    return watch.seen


def _disguised(one: LabelledSlice, hu: NDArray[Any]) -> LabelledSlice:
    """The same slice as another patient's, of a series of its own."""
    case = one.case.model_copy(update={"case_id": "Z-1", "patient_id": "Z"})
    return replace(one, case=case, hu=hu.astype(np.float32), series="2.25.4711")


def test_slices_of_different_patients_may_stand_on_both_sides(slices: list[LabelledSlice]) -> None:
    check_leakage(_seen(slices[:4]), _seen(slices[4:]), SIDES)


def test_nothing_leaks_from_and_to_nothing(slices: list[LabelledSlice]) -> None:
    check_leakage(NONE, _seen(slices), SIDES)
    check_leakage(_seen(slices), NONE, SIDES)
    assert _seen([]).images.shape == (0, GRID * GRID)


def test_a_patient_on_both_sides_is_refused(slices: list[LabelledSlice]) -> None:
    with pytest.raises(LeakageError, match=r"train and test .*-0 and .*-1 are of one patient"):
        check_leakage(_seen(slices[:1]), _seen(slices[1:2]), SIDES)


def test_a_series_of_two_pseudonyms_is_refused(slices: list[LabelledSlice]) -> None:
    other = replace(_disguised(slices[1], slices[1].hu), series=slices[0].series)
    with pytest.raises(LeakageError, match="and Z-1 are of one series"):
        check_leakage(_seen(slices[:1]), _seen([other]), SIDES)


@pytest.mark.parametrize("change", ["as it is", "noise", "offset", "window", "resampled"])
def test_the_same_slice_of_another_name_is_refused(
    slices: list[LabelledSlice], change: str
) -> None:
    hu = slices[0].hu
    rng = np.random.default_rng(0)
    changes: dict[str, NDArray[Any]] = {
        "as it is": hu,
        "noise": hu + rng.normal(0, 30, hu.shape),
        "offset": hu + 5,
        "window": np.clip(hu, -1000, 400),
        "resampled": hu[::2, ::2],
    }
    with pytest.raises(LeakageError, match=r"Z-1 show nearly the same image, \d+\.\d HU apart"):
        check_leakage(_seen(slices[:2]), _seen([_disguised(slices[0], changes[change])]), SIDES)


def test_a_message_names_some_leaks_and_counts_the_others(slices: list[LabelledSlice]) -> None:
    seen = _seen(slices)
    with pytest.raises(LeakageError, match=r"; .* and \d+ more$"):
        check_leakage(seen, seen, SIDES)


def test_a_small_image_has_a_fingerprint_too(slices: list[LabelledSlice]) -> None:
    small = _disguised(slices[0], slices[0].hu[::20, ::24])
    assert _seen([small]).images.shape == (1, GRID * GRID)


def test_a_fingerprint_is_the_mean_of_its_cells(slices: list[LabelledSlice]) -> None:
    hu = np.kron(np.arange(GRID * GRID).reshape(GRID, GRID) % 700, np.ones((3, 2))) - 200.0
    found = _seen([_disguised(slices[0], hu)]).images.reshape(GRID, GRID)
    wanted = np.rint((hu[::3, ::2] + 200) * 255 / 700)
    assert_array_equal(found, wanted)


def test_synthetic_patients_are_far_apart(manifest: Manifest) -> None:
    """Each of twelve patients against the rest: twice the limit at least."""
    seen = _seen(list(read_slices(manifest, manifest.cases)))
    images, patients = seen.images.astype(float), np.array(seen.patients)
    apart = np.sqrt(np.mean((images[:, None] - images[None]) ** 2, axis=2)) * 700 / 255
    assert apart[patients[:, None] != patients[None]].min() > 2 * NEAR_HU


def test_fingerprints_come_back_from_their_file(
    slices: list[LabelledSlice], tmp_path: Path
) -> None:
    seen = _seen(slices)
    for name, one in (("some.npz", seen), ("none.npz", NONE)):
        write_fingerprints(one, tmp_path / name)
        back = read_fingerprints(tmp_path / name)
        assert (back.cases, back.patients, back.series) == (one.cases, one.patients, one.series)
        assert_array_equal(back.images, one.images)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["none.npz", "some.npz"]


def test_a_training_refuses_a_validation_that_it_trains_on(
    manifest: Manifest, classifier_recipe: ClassifierRecipe, tmp_path: Path
) -> None:
    """A train image filed under a validation patient's name."""
    train = next(case for case in manifest.cases if case.split == "train")
    cases = [
        case.model_copy(update={"image": train.image, "mask": train.mask})
        if case.split == "validation"
        else case
        for case in manifest.cases
    ]
    leaky = replace(manifest, cases=tuple(cases))
    with pytest.raises(LeakageError, match="train and validation must not share images"):
        Pool(classifier_recipe, leaky)


def test_slices_that_show_nothing_are_no_leak(slices: list[LabelledSlice]) -> None:
    air = np.full((64, 64), -1000, np.float32)
    one, other = replace(slices[0], hu=air), _disguised(slices[2], air)
    check_leakage(_seen([one]), _seen([other]), SIDES)
    # Nor do they hide a leak beside them.
    twin = _disguised(slices[2], slices[2].hu)
    with pytest.raises(LeakageError, match="nearly the same image"):
        check_leakage(_seen([one, slices[2]]), _seen([other, twin]), SIDES)
