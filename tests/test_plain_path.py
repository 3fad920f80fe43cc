"""The quick way from HU to probabilities against a plain one: PyTorch, slice by slice, ndimage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from osteoscreen.bundle import ClassifierSettings, SegmenterSettings, load_bundle
from osteoscreen.cohort.manifest import Manifest, Split
from osteoscreen.cohort.slices import LabelledSlice, read_slices
from osteoscreen.screening.decision import softmax
from osteoscreen.screening.grid import AIR_HU, Grid, grey, sample, smooth
from osteoscreen.screening.marking import Marks, _keep_vertebrae, mark_volume
from osteoscreen.screening.roi import RoiSettings, cut_roi
from osteoscreen.screening.slices import roi_logits
from osteoscreen.training.classifier import build_classifier
from osteoscreen.training.recipe import ClassifierRecipe, SegmenterRecipe, read_recipe
from osteoscreen.training.segmenter import build_segmenter
from osteoscreen.training.start import read_start
from osteoscreen.volume import Volume

RECIPES = Path(__file__).parents[1] / "recipes"
BUNDLE = load_bundle()
LEAST_DICE, MOST_APART = 0.999, 1e-3
"""How far the two may be apart: a pixel of a thousand at the rim of a mark, and what no report
shows of a probability."""


def _network(recipe_file: str) -> torch.nn.Module:
    """The bundle's network as PyTorch runs it."""
    recipe = read_recipe(RECIPES / recipe_file).model_copy(
        update={"start_from": str(BUNDLE.folder)}
    )
    start = read_start(recipe)
    assert start is not None
    if isinstance(recipe, SegmenterRecipe):
        network: torch.nn.Module = build_segmenter(recipe)
    else:
        assert isinstance(recipe, ClassifierRecipe)
        network = build_classifier(recipe)
    network.load_state_dict(start.weights)
    return network.eval()


def _plain_marks(
    one: LabelledSlice, network: torch.nn.Module, settings: SegmenterSettings
) -> Marks:
    assert settings.spacing_mm is not None
    grid = Grid(settings.size, settings.spacing_mm)
    low_passed = smooth(one.hu, one.spacing_mm, grid.spacing_mm)
    view = grey(sample(low_passed, one.spacing_mm, grid, outside=AIR_HU), settings.window_hu)
    with torch.no_grad():
        marks = network(torch.from_numpy(view)[None, None]).numpy()[0]
    scale = np.array(one.spacing_mm) / grid.spacing_mm
    offset = (grid.size - 1) / 2 - scale * (np.array(one.hu.shape) - 1) / 2
    vertebra, body = (
        ndimage.affine_transform(mark, scale, offset, one.hu.shape, order=1) >= settings.threshold
        for mark in marks
    )
    _keep_vertebrae(vertebra, body, one.spacing_mm)
    return Marks(vertebra[None], body[None])


def _plain_probabilities(
    one: LabelledSlice, marks: Marks, network: torch.nn.Module, settings: ClassifierSettings
) -> NDArray[np.float64]:
    cut = RoiSettings(settings.size, settings.window_hu)
    roi = cut_roi(one.hu, marks.vertebra[0], one.spacing_mm, cut, fill=settings.fill)
    with torch.no_grad():
        logits = network(torch.from_numpy(roi)[None, None])
    return torch.softmax(logits.double() / settings.temperature, dim=1).numpy()


@pytest.mark.parametrize("split", [Split.TEST, Split.CALIBRATION])
def test_the_quick_way_marks_and_classifies_as_pytorch_does(
    manifest: Manifest, split: Split
) -> None:
    settings = BUNDLE.settings
    segmenter = _network("small/segmenter.toml")
    classifier = _network("paper/practical.toml")
    assert settings.classifier.mark == "vertebra"
    slices = list(read_slices(manifest, manifest.of(split)))
    assert slices
    for one in slices:
        volume = Volume(one.hu[None], np.diag([5.0, *one.spacing_mm, 1.0]))
        quick, plain = mark_volume(volume, BUNDLE), _plain_marks(one, segmenter, settings.segmenter)
        for mark, wanted in ((quick.vertebra, plain.vertebra), (quick.body, plain.body)):
            assert wanted.any()
            assert 2 * (mark & wanted).sum() / (mark.sum() + wanted.sum()) >= LEAST_DICE
        logits = roi_logits(volume, quick, (0,), BUNDLE)
        got = softmax(logits, settings.classifier.temperature)
        expected = _plain_probabilities(one, plain, classifier, settings.classifier)
        np.testing.assert_allclose(got, expected, rtol=0, atol=MOST_APART)
