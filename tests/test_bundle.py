"""The model bundle: what is missing, changed or of another version is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from bundles import BONE_GREY, LOGIT_PER_GREY, threshold_bundle
from osteoscreen.bundle import (
    BATCH,
    CARD,
    CLASSIFIER,
    SEGMENTER,
    SETTINGS,
    ClassifierSettings,
    load_bundle,
    write_settings,
)
from osteoscreen.errors import BundleError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle of its own for each test."""
    return threshold_bundle(tmp_path / "bundle", size=64).folder


def _edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    settings = json.loads((folder / SETTINGS).read_text())
    change(settings)
    (folder / SETTINGS).write_text(json.dumps(settings))


def test_a_bundle_says_what_it_is(folder: Path) -> None:
    bundle = load_bundle(folder)
    raw = (folder / SETTINGS).read_bytes()
    assert json.loads(raw)["schema"] == "osteoscreen.bundle/1"
    assert bundle.reference.name == "threshold"
    assert bundle.reference.sha256 == hashlib.sha256(raw).hexdigest()


def test_settings_are_read_back_as_they_were_written(folder: Path) -> None:
    settings = load_bundle(folder).settings
    before = (folder / SETTINGS).read_bytes()
    write_settings(settings, folder)
    assert (folder / SETTINGS).read_bytes() == before
    assert load_bundle(folder).settings == settings


def test_figures_that_are_undefined_are_null(folder: Path) -> None:
    settings = load_bundle(folder).settings
    write_settings(settings.model_copy(update={"metrics": {"auc": float("nan")}}), folder)
    assert '"auc": null' in (folder / SETTINGS).read_text()  # JSON has no nan
    assert load_bundle(folder).settings.metrics == {"auc": None}


def test_the_card_is_part_of_what_is_checked(folder: Path) -> None:
    (folder / CARD).write_text("# A card")
    write_settings(load_bundle(folder).settings, folder)
    assert set(load_bundle(folder).settings.sha256) == {SEGMENTER, CLASSIFIER, CARD}
    (folder / CARD).write_text("# A better card")
    with pytest.raises(BundleError, match=f"{CARD}: the checksum must be"):
        load_bundle(folder)


@pytest.mark.parametrize("name", [SEGMENTER, CLASSIFIER])
def test_a_changed_network_is_refused(name: str, folder: Path) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name}: the checksum must be"):
        load_bundle(folder)


@pytest.mark.parametrize("name", [SEGMENTER, CLASSIFIER])
def test_a_missing_network_is_refused(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: the checksum must be .* got no file"):
        load_bundle(folder)


@pytest.mark.parametrize("name", [SEGMENTER, CLASSIFIER])
def test_a_network_without_a_checksum_is_refused(name: str, folder: Path) -> None:
    _edit(folder, lambda settings: settings["sha256"].pop(name))
    with pytest.raises(BundleError, match=f"a checksum of {name} is needed"):
        load_bundle(folder)


def test_a_folder_without_settings_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"must hold bundle\.json, it does not"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda settings: settings.update(schema="osteoscreen.bundle/2"), "schema"),
        (lambda settings: settings.pop("trained_on"), "trained_on"),
        (lambda settings: settings.update(author="me"), "author"),
        (lambda settings: settings["segmenter"].update(size=32), "segmenter.size"),
        (lambda settings: settings["segmenter"].update(threshold=1), "segmenter.threshold"),
        (lambda settings: settings["classifier"].update(temperature=0), "classifier.temperature"),
        (lambda settings: settings["classifier"]["class_names"].reverse(), "class_names must be"),
        (lambda settings: settings["classifier"]["class_names"].pop(), "class_names must be"),
    ],
)
def test_wrong_settings_are_refused_by_name(
    change: Callable[[dict[str, Any]], object], field: str, folder: Path
) -> None:
    _edit(folder, change)
    with pytest.raises(BundleError, match=field):
        load_bundle(folder)


def test_settings_that_are_no_json_are_refused(folder: Path) -> None:
    (folder / SETTINGS).write_text("{")
    with pytest.raises(BundleError, match="Invalid JSON"):
        load_bundle(folder)


def test_the_classes_stand_in_the_order_of_the_outputs() -> None:
    names = ("normal_bone_mass", "low_bone_mass", "osteoporosis")
    settings = ClassifierSettings(size=64, window_hu=(-200, 1000), mark="body")
    assert settings.class_names == names
    with pytest.raises(ValueError, match="class_names must be"):
        ClassifierSettings(size=64, window_hu=(-200, 1000), mark="body", class_names=names[::-1])


@pytest.mark.parametrize("slices", [1, BATCH, BATCH + 1, 2 * BATCH + 3])
def test_any_number_of_slices_is_marked_and_classified_in_order(slices: int, folder: Path) -> None:
    bundle = load_bundle(folder)
    grey = np.random.default_rng(0).uniform(0, 255, (slices, 64, 64)).astype(np.float32)
    marks = bundle.marks(grey)
    assert marks.shape == (slices, 2, 64, 64)
    assert_array_equal(marks[:, 0] >= 0.5, grey >= np.float32(BONE_GREY))
    logits = bundle.logits(grey)
    # Sums of 4,096 float32 values near 100.
    expected = grey.mean(axis=(1, 2), keepdims=True)[..., 0] * LOGIT_PER_GREY
    assert_allclose(logits, expected, rtol=1e-4, atol=1e-6)
    assert marks.dtype == logits.dtype == np.float32


def test_one_slice_says_the_same_alone_and_among_others(folder: Path) -> None:
    bundle = load_bundle(folder)
    grey = np.random.default_rng(1).uniform(0, 255, (BATCH + 2, 64, 64)).astype(np.float32)
    assert_allclose(bundle.logits(grey)[-1:], bundle.logits(grey[-1:]), rtol=1e-6)


def test_a_bundle_may_be_moved(folder: Path, tmp_path: Path) -> None:
    moved = shutil.move(folder, tmp_path / "elsewhere")
    assert load_bundle(Path(moved)).settings.name == "threshold"
