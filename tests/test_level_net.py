"""LevelNet: its shape, its views, and a tiny training through to a bundle that names levels."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from bundles import threshold_bundle
from osteoscreen.bundle import PLACES, Bundle, LevelSettings, load_bundle
from osteoscreen.cli import WRONG_USAGE, app
from osteoscreen.cohort.level_views import LevelViews
from osteoscreen.cohort.manifest import Manifest, Split, read_manifest, write_manifest
from osteoscreen.cohort.plan import CohortPlan, Preset
from osteoscreen.cohort.slices import read_slices
from osteoscreen.cohort.synthetic import write_cohort
from osteoscreen.cohort.views import Augmentation
from osteoscreen.errors import BundleError, RecipeError, RunError
from osteoscreen.evaluation import metrics
from osteoscreen.networks import LevelNet, LevelNetConfig
from osteoscreen.screening.level_view import coarse_slice, level_view
from osteoscreen.screening.marking import mark_volume
from osteoscreen.screening.naming import name_levels, place_probabilities
from osteoscreen.training.draft import add_levels
from osteoscreen.training.onnx_file import PARITY, round_weights
from osteoscreen.training.recipe import AugmentationSection, LevelRecipe
from osteoscreen.training.run import Run, load_best, open_run, train
from osteoscreen.volume import Volume

SETTINGS = LevelSettings(size=32, spacing_mm=6.0)


def test_the_network_is_as_small_as_it_says() -> None:
    network = LevelNet()
    # Seven 3x3 convolutions without a bias: 4-16-16-32-32-64-64-64, and a head of 128 to 11.
    widths = (4, 16, 16, 32, 32, 64, 64, 64)
    weights = sum(9 * a * b for a, b in itertools.pairwise(widths))
    norms = 2 * sum(widths[1:])
    head = 128 * 11 + 11
    assert sum(one.numel() for one in network.parameters()) == weights + norms + head
    assert network(torch.zeros(2, 4, 112, 112)).shape == (2, 11)


def test_two_starts_of_one_seed_are_equal() -> None:
    nets = [LevelNet(generator=torch.Generator().manual_seed(3)) for _ in range(2)]
    for one, other in zip(*(net.parameters() for net in nets)):
        assert torch.equal(one, other)


@pytest.mark.parametrize("shape", [(2, 3, 112, 112), (2, 4, 96, 112), (4, 112, 112)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must have the shape"):
        LevelNet()(torch.zeros(shape))


@pytest.mark.parametrize(
    "wrong", [{"classes": 0}, {"width": 0}, {"image_size": 16}, {"dropout": 1.0}]
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match="must be at least"):
        LevelNetConfig(**wrong)  # type: ignore[arg-type]


def test_the_view_is_centred_on_the_body_and_keeps_its_scale() -> None:
    hu = np.full((200, 200), -1000, np.float32)
    body = np.zeros((200, 200), bool)
    body[120:150, 40:76] = True  # 30 by 36 mm, off the middle
    hu[body] = 400
    one = coarse_slice(hu, body, body, (1.0, 1.0), SETTINGS)
    view = level_view(one, SETTINGS)
    assert view.shape == (4, 32, 32)
    rows, columns = np.nonzero(view[3] > 127)
    assert (rows.mean(), columns.mean()) == pytest.approx((15.5, 15.5), abs=0.5)
    assert view[3].sum() / 255 * 36 == pytest.approx(body.sum(), rel=0.03)
    assert view[1].max() == pytest.approx(255 * 600 / 1200, rel=0.02)  # 400 HU of -200 to 1000


def test_without_a_mark_the_view_is_centred_on_the_image() -> None:
    hu = np.zeros((100, 100), np.float32)
    none = np.zeros(hu.shape, bool)
    one = coarse_slice(hu, none, none, (1.0, 1.0), SETTINGS)
    assert one.centre_mm == (0, 0)
    assert not level_view(one, SETTINGS)[2:].any()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return threshold_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Wide patients and slices of the chest and the pelvis, each with its place."""
    home = tmp_path_factory.mktemp("levels")
    cases = []
    for preset, count in ((Preset.RANDOMISED, 2), (Preset.ELSEWHERE, 2)):
        plan = CohortPlan(preset, cases=count, seed=7, slices=4, field_of_view_mm=400)
        rows = read_manifest(write_cohort(home / preset.value, plan)).cases
        for row in rows:
            number = int(row.patient_id.split("-")[-1][:6])
            cases.append(
                row.model_copy(
                    update={
                        "case_id": f"{preset.value}-{row.case_id}",
                        "patient_id": f"{preset.value}-{row.patient_id}",
                        "image": f"{preset.value}/{row.image}",
                        "mask": f"{preset.value}/{row.mask}" if row.mask else "",
                        "split": (Split.TRAIN, Split.VALIDATION)[number],
                    }
                )
            )
    write_manifest(cases, home / "manifest.csv")
    return read_manifest(home / "manifest.csv")


def test_every_slice_of_the_presets_has_its_place(placed: Manifest) -> None:
    elsewhere = [case for case in placed.cases if case.case_id.startswith("elsewhere")]
    assert {case.level for case in elsewhere} == {"above", "below"}
    wide = {case.level for case in placed.cases if case.case_id.startswith("randomised")}
    assert wide <= {*PLACES, None}


def test_views_are_drawn_from_seed_and_number_alone(placed: Manifest, bundle: Bundle) -> None:
    slices = list(read_slices(placed, placed.of(Split.TRAIN)))
    augmentation = Augmentation(rotation_deg=10, shift_mm=5, scale=(0.8, 1.25), strip=0.5)
    views = LevelViews(slices, bundle, SETTINGS, augmentation=augmentation, seed=1)
    again = LevelViews(slices, bundle, SETTINGS, augmentation=augmentation, seed=1)
    assert len(views) == sum(one.case.level is not None for one in slices)
    for number in (0, 5, 17):
        assert torch.equal(views[number][0], again[number][0])
        assert 0 <= float(views[number][0].min()) <= float(views[number][0].max()) <= 255
    assert not torch.equal(views[0][0], views[1][0])
    plain = LevelViews(slices, bundle, SETTINGS, augmentation=None, seed=1)
    assert [int(plain[index][1]) for index in range(len(plain))] == plain.places


@pytest.fixture(scope="module")
def level_run(placed: Manifest, tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Run:
    recipe = LevelRecipe(
        kind="levels",
        marks_from=str(bundle.folder),
        width=4,
        image_size=32,
        spacing_mm=6.0,
        batch=4,
        views_per_epoch=16,
        epochs=2,
        augmentation=AugmentationSection(rotation_deg=5),
    )
    return train(recipe, placed, tmp_path_factory.mktemp("runs") / "levels")


def test_a_run_of_levels_is_opened_again(level_run: Run) -> None:
    assert open_run(level_run.folder).recipe == level_run.recipe
    assert level_run.record["epochs"] == 2


def test_a_bundle_with_levels_names_them(level_run: Run, bundle: Bundle, tmp_path: Path) -> None:
    shutil.copytree(bundle.folder, tmp_path / "bundle")
    named = add_levels(load_bundle(tmp_path / "bundle"), level_run)
    assert named.settings.levels == LevelSettings(size=32, spacing_mm=6.0)
    assert named.settings.runs["levels"]["epochs"] == 2
    assert named.settings.metrics["onnx_difference"]["levels"] < 1e-4
    volume = Volume(np.full((3, 64, 64), -1000, np.float32), np.diag([5, 2, 2, 1.0]))
    marks = mark_volume(volume, named)
    chances = place_probabilities(volume, marks, named)
    assert chances.shape == (3, len(PLACES))
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-6)
    assert name_levels(volume, marks, named) is not None
    assert name_levels(volume, marks, bundle) is None


def _exported(runs: dict[str, Run], manifest: Manifest, out: Path) -> list[str]:
    """The command that exports some runs."""
    card = Path(__file__).parents[1] / "recipes" / "phantom-v1.toml"
    words = ["export", "--calibrate", str(manifest.folder / "splits.csv"), "--card", str(card)]
    for name, run in runs.items():
        words += [f"--{name}", str(run.folder)]
    return [*words, "--out", str(out)]


def test_the_command_exports_three_runs_to_a_bundle_that_names_levels(
    level_run: Run,
    segmenter_run: Run,
    classifier_run: Run,
    manifest: Manifest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics, "RESAMPLES", 40)  # intervals of three patients mean nothing
    runs = {"segmenter": segmenter_run, "classifier": classifier_run, "levels": level_run}
    result = CliRunner().invoke(app, _exported(runs, manifest, tmp_path / "bundle"))
    assert result.exit_code == 0, result.output
    assert "phantom-v1" in result.output
    exported = load_bundle(tmp_path / "bundle")
    assert exported.settings.levels == LevelSettings(size=32, spacing_mm=6.0)
    assert exported.settings.runs == {
        name: open_run(run.folder).record for name, run in runs.items()
    }
    assert exported.settings.metrics["onnx_difference"].keys() == runs.keys()
    assert "classification" in exported.settings.metrics
    views = np.random.default_rng(1).uniform(0, 255, (3, 4, 32, 32)).astype(np.float32)
    network = load_best(level_run)
    round_weights(network)
    with torch.no_grad():
        expected = network(torch.from_numpy(views)).numpy()
    np.testing.assert_allclose(exported.level_logits(views), expected, rtol=0, atol=PARITY)


def test_the_command_takes_no_other_run_for_levels(
    segmenter_run: Run, classifier_run: Run, manifest: Manifest, tmp_path: Path
) -> None:
    runs = {"segmenter": segmenter_run, "classifier": classifier_run, "levels": classifier_run}
    result = CliRunner().invoke(app, _exported(runs, manifest, tmp_path / "bundle"))
    assert result.exit_code == WRONG_USAGE
    assert "a run of LevelNet is needed, got a classifier's" in result.stderr
    assert not (tmp_path / "bundle").exists()


def test_a_bundle_whose_levels_are_gone_is_refused(
    level_run: Run, bundle: Bundle, tmp_path: Path
) -> None:
    shutil.copytree(bundle.folder, tmp_path / "bundle")
    named = add_levels(load_bundle(tmp_path / "bundle"), level_run)
    (named.folder / "levels.onnx").unlink()
    with pytest.raises(BundleError, match=r"levels\.onnx"):
        load_bundle(named.folder)


def test_levels_need_slices_that_have_one(placed: Manifest, level_run: Run, tmp_path: Path) -> None:
    bare = replace(
        placed, cases=tuple(case.model_copy(update={"level": None}) for case in placed.cases)
    )
    assert isinstance(level_run.recipe, LevelRecipe)
    with pytest.raises(RunError, match="LevelNet slices with a level"):
        train(level_run.recipe, bare, tmp_path / "run")
