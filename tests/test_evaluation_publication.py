"""The folder of an evaluation: every table and figure, one page, and no number for nothing."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bundles import threshold_bundle
from osteoscreen import texts
from osteoscreen.bundle import Bundle
from osteoscreen.cohort.manifest import Case, Manifest, Split
from osteoscreen.cohort.slices import LabelledSlice
from osteoscreen.errors import LeakageError, ManifestError
from osteoscreen.evaluation import metrics
from osteoscreen.evaluation.experiment import OWN, figures_of, read_experiment
from osteoscreen.evaluation.metrics import UndefinedMetricWarning
from osteoscreen.evaluation.publication import evaluate_bundle
from osteoscreen.evaluation.readings import Shows, what_shows
from osteoscreen.evaluation.tables import siblings_table
from osteoscreen.findings import BoneCondition

TABLES = {f"table_{number}" for number in (1, 2, 3, 4, 6)}
FIGURES = {f"figure_{number}" for number in range(1, 10)}


@pytest.fixture(scope="module", autouse=True)
def _few_resamples() -> Any:  # noqa: ANN401 - a generator of a fixture
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(metrics, "RESAMPLES", 20)
        yield


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle that marks what is brighter than 200 HU and classifies by mean grey."""
    return threshold_bundle(tmp_path_factory.mktemp("threshold"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle, manifest: Manifest) -> Path:
    """Its evaluation on three patients of two slices."""
    home = tmp_path_factory.mktemp("evaluation") / "new"
    evaluate_bundle(bundle, manifest, home)
    return home


def test_every_table_and_figure_of_the_paper_is_there(folder: Path) -> None:
    assert {path.stem for path in (folder / "tables").iterdir()} >= TABLES
    for ending in ("png", "svg"):
        assert {path.stem for path in (folder / "figures").glob(f"*.{ending}")} >= FIGURES


def test_the_page_needs_no_other_file_and_says_what_it_is(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    for number in range(1, 10):
        assert f"Figure {number}. " in page
    for words in (
        "Research use only",
        "synthetic CT",
        "No result on this page can exclude osteoporosis",
    ):
        assert words in page
    assert "<script" not in page
    assert "http" not in page.split("</style>")[1].replace("http-equiv", "")
    figures = {path.stem for path in (folder / "figures").glob("*.png")}
    assert page.count("data:image/png;base64,") == len(figures)


def test_tables_hold_the_figures(folder: Path) -> None:
    figures = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    with (folder / "tables" / "table_4.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    said = figures["protocol"]["classifiers"][OWN]
    assert [row["Bone condition"] for row in rows] == [texts.LABELS[c] for c in BoneCondition]
    for row, condition in zip(rows, BoneCondition):
        assert row["144 images"] == str(said["precision"][condition.value])
        assert float(row["AUC: 3 patients"]) == figures["classification"]["auc"][condition.value]
    with (folder / "tables" / "table_2.csv").open(newline="", encoding="utf-8") as stream:
        total = list(csv.DictReader(stream))[-1]
    assert total == {
        "Bone condition": "Total", "paper: train": "150", "paper: test": "63",
        "protocol: test": "3", "cohort: train": "3", "cohort: validation": "3",
        "cohort: calibration": "3", "cohort: test": "3",
    }  # fmt: skip


def test_a_cohort_without_a_class_says_so_and_shows_no_number(
    bundle: Bundle, manifest: Manifest, tmp_path: Path
) -> None:
    kept = tuple(c for c in manifest.cases if c.condition is not BoneCondition.OSTEOPOROSIS)
    with pytest.warns(UndefinedMetricWarning):
        figures = evaluate_bundle(bundle, replace(manifest, cases=kept), tmp_path)
    assert figures["classification"]["macro_auc"] == "undefined: no osteoporosis case"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "undefined: no osteoporosis case" in page
    assert "NaN" not in (tmp_path / "metrics.json").read_text(encoding="utf-8")
    assert ">nan<" not in page


def test_a_cohort_without_conditions_shows_the_marks_alone(
    bundle: Bundle, manifest: Manifest, tmp_path: Path
) -> None:
    bare = tuple(c.model_copy(update={"condition": None, "t_score": None}) for c in manifest.cases)
    figures = evaluate_bundle(bundle, replace(manifest, cases=bare), tmp_path)
    assert "classification" not in figures
    assert not {"classifiers", "groups"} & figures.keys()
    assert figures["segmentation"]["vertebra_dice_score"]["slices"] == 6
    names = {path.stem for path in (tmp_path / "tables").iterdir()}
    assert names == {"table_1", "table_2", "table_3", "slices"}


def test_a_cohort_of_test_patients_alone_is_measured_without_what_must_be_fitted(
    bundle: Bundle, manifest: Manifest, tmp_path: Path
) -> None:
    figures = evaluate_bundle(bundle, replace(manifest, cases=manifest.of(Split.TEST)), tmp_path)
    assert figures["classification"]["patients"] == 3
    regressions = [name for name in figures["classifiers"] if name.startswith("Regression")]
    assert len(regressions) == 3
    for name in regressions:
        assert figures["classifiers"][name]["source"].startswith("undefined: no")
    assert "undefined: no" in (tmp_path / "tables" / "classifiers.csv").read_text("utf-8")


def test_a_cohort_without_a_test_split_is_refused(
    bundle: Bundle, manifest: Manifest, tmp_path: Path
) -> None:
    with pytest.raises(ManifestError, match="test split, the manifest has none"):
        evaluate_bundle(bundle, replace(manifest, cases=manifest.of(Split.TRAIN)), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_is_fitted_on_must_not_come_back_in_test(bundle: Bundle, manifest: Manifest) -> None:
    test = manifest.of(Split.TEST)
    twin = test[0].model_copy(
        update={"split": Split.CALIBRATION, "patient_id": "twin", "case_id": "twin"}
    )
    with pytest.raises(LeakageError, match="calibration and test"):
        read_experiment(bundle, replace(manifest, cases=(twin, *test)))


def test_a_rival_that_is_the_bundle_itself_is_equal_in_everything(
    bundle: Bundle, manifest: Manifest
) -> None:
    experiment = read_experiment(bundle, manifest, rivals={"itself": bundle})
    same = replace(experiment, temperatures=dict.fromkeys(experiment.temperatures, 1.0))
    figures = figures_of(same)
    own, rival = figures["classifiers"][OWN], figures["classifiers"]["itself"]
    for name in ("accuracy", "auc", "macro_auc", "weighted_kappa", "confusion"):
        assert own[name] == rival[name]
    images = figures["protocol"]["classifiers"]
    assert images[OWN] == images["itself"]
    run = {"epochs": 2, "recipe": {"views_per_epoch": 100}}
    runs: dict[str, Any] = dict.fromkeys((OWN, "itself"), run)
    table = siblings_table(figures | {"runs": runs}, {OWN: "bcc-net", "itself": ""})
    assert table.rows[0][1:3] == (0.7665, 0.9167)
    assert table.rows[0][3:] == table.rows[1][3:]
    # Equal is not above.
    twins = siblings_table(figures | {"runs": runs}, {OWN: "bcc-net", "itself": "densenet-1"})
    assert "It is not as in the paper: BCC-Net is not above itself" in twins.note


def test_scores_by_slice_are_those_of_the_slices(bundle: Bundle, manifest: Manifest) -> None:
    experiment = read_experiment(bundle, manifest)
    found = figures_of(experiment)["segmentation_by"]
    assert "middle" in found
    assert not {"end", "disc", "nothing"} & found.keys()
    dice = [one["vertebra_dice_score"] for one in experiment.test.overlaps]
    assert set(experiment.test.shows) == {Shows.MIDDLE}
    assert_allclose(found["middle"]["vertebra_dice_score"]["mean"], np.mean(dice))


def test_what_a_slice_shows_by_its_masks() -> None:
    case = Case(case_id="a", patient_id="a", image="x", split=Split.TEST)
    empty = np.zeros((60, 60), bool)
    one, other, arch = empty.copy(), empty.copy(), empty.copy()
    one[5:30, 5:30], other[32:50, 5:30], arch[52:58, 5:30] = True, True, True

    def shows(body: Any, vertebra: Any, **levels: Any) -> Shows:  # noqa: ANN401 - masks
        plain = np.zeros((60, 60), np.float32)
        return what_shows(LabelledSlice(case, 0, plain, body, vertebra, (1.0, 1.0), levels))

    assert shows(empty, empty) is Shows.NOTHING
    assert shows(empty, arch) is Shows.DISC
    assert shows(one, one | arch) is Shows.MIDDLE
    assert shows(other, other) is Shows.END  # 450 mm2
    assert shows(one | other, one | other, L1=one, L2=other) is Shows.END
