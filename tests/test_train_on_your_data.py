"""A hospital's own data, from masks of three kinds and DXA T-scores to a screened study.

Follows docs/train_on_your_data.md step by step. The hospital's patients are synthetic; their
conditions are not told, they follow from the T-scores.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from skimage.measure import find_contours
from typer.testing import CliRunner

from osteoscreen import texts
from osteoscreen.bundle import load_bundle
from osteoscreen.cli import app
from osteoscreen.cohort.manifest import Case, Manifest, Split, read_manifest, write_manifest
from osteoscreen.cohort.slices import LabelledSlice, read_slices
from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.series import read_series
from osteoscreen.evaluation import metrics
from osteoscreen.findings import condition_of_t_score
from osteoscreen.nifti import write_labels
from osteoscreen.training.recipe import ClassifierRecipe, SegmenterRecipe
from structure_sets import Contour, write_structure_set

CARD = """
name = "our-hospital"
version = "1"

[trained_on]
is_synthetic = false
description = "Twelve patients of our department."
kvp = [120.0, 120.0]
thickness_mm = [2.5, 5.0]
"""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> Path:
    """The manifest of a hospital: single slices with a SEG, an RTSTRUCT or a NIfTI mask each."""
    folder = tmp_path_factory.mktemp("hospital")
    cases = []
    for index, case in enumerate(manifest.cases):
        assert case.t_score is not None
        image = manifest.folder / case.image
        (one,) = read_slices(manifest, (case,))
        kept: dict[str, str] = [_as_it_is, _as_structure_set, _as_nifti][index % 3](
            one, manifest, folder / case.case_id
        )
        plain = {"case_id": case.case_id, "patient_id": case.patient_id, "image": str(image)}
        cases.append(
            Case.model_validate(plain | kept | {"split": case.split, "t_score": case.t_score})
        )
    write_manifest(cases, folder / "manifest.csv")
    _forget_conditions(folder / "manifest.csv")
    return folder / "manifest.csv"


def _as_it_is(one: LabelledSlice, manifest: Manifest, _: Path) -> dict[str, str]:
    return {"mask": str(manifest.folder / one.case.mask), "mask_labels": one.case.mask_labels}


def _as_structure_set(one: LabelledSlice, manifest: Manifest, name: Path) -> dict[str, str]:
    (found,) = find_series(manifest.folder / one.case.image).series
    series = read_series(found)
    contours: list[Contour] = [
        (number, 0, [(float(row) - 1, float(column) - 1) for row, column in line])
        for number, mask in ((1, one.body), (2, one.vertebra))
        for line in find_contours(np.pad(mask, 1).astype(float), 0.5)
    ]
    frame = str(series.headers[0].FrameOfReferenceUID)
    path = write_structure_set(name.with_suffix(".dcm"), series, contours, frame=frame)
    return {"mask": str(path), "mask_labels": "body=1;vertebra=2"}


def _as_nifti(one: LabelledSlice, manifest: Manifest, name: Path) -> dict[str, str]:
    (found,) = find_series(manifest.folder / one.case.image).series
    labels = np.where(one.body, 1, np.where(one.vertebra, 2, 0)).astype(np.uint8)
    path = name.with_suffix(".nii.gz")
    write_labels(labels[None], read_series(found).volume, path)
    return {"mask": str(path), "mask_labels": "body=1;rest=2"}


def _forget_conditions(path: Path) -> None:
    """Leave the T-score alone to tell the condition."""
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"condition": ""} for row in rows)


def test_masks_of_all_three_kinds_say_the_same(hospital: Path, manifest: Manifest) -> None:
    own = read_manifest(hospital)
    for before, after in zip(
        read_slices(manifest, manifest.cases), read_slices(own, own.cases), strict=True
    ):
        assert after.case.t_score is not None
        assert after.case.condition is condition_of_t_score(after.case.t_score)
        np.testing.assert_array_equal(after.hu, before.hu)
        # A contour runs half-way between two pixel centres: nothing is lost.
        assert (after.body == before.body).mean() > 0.9999
        assert (after.vertebra == before.vertebra).mean() > 0.9999


def test_from_the_manifest_to_a_screened_study(
    hospital: Path,
    segmenter_recipe: SegmenterRecipe,
    classifier_recipe: ClassifierRecipe,
    manifest: Manifest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics, "RESAMPLES", 40)
    for kind, recipe in (("segmenter", segmenter_recipe), ("classifier", classifier_recipe)):
        path = tmp_path / f"{kind}.toml"
        path.write_text(_toml(recipe.model_dump(mode="json", exclude_none=True)))
        _run(
            "train", kind, "--cohort", str(hospital), "--recipe", str(path),
            "--out", str(tmp_path / kind), "--workers", "2",
        )  # fmt: skip
        assert json.loads((tmp_path / kind / "run.json").read_text("utf-8"))["workers"] == 2
    (tmp_path / "card.toml").write_text(CARD)
    bundle = tmp_path / "our-bundle"
    _run(
        "export", "--segmenter", str(tmp_path / "segmenter"),
        "--classifier", str(tmp_path / "classifier"), "--calibrate", str(hospital),
        "--card", str(tmp_path / "card.toml"), "--out", str(bundle),
    )  # fmt: skip
    assert texts.OWN_DATA_NOTICE in (bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    _run(
        "evaluate", "--cohort", str(hospital), "--bundle", str(bundle),
        "--out", str(tmp_path / "figures"),
    )  # fmt: skip
    figures = json.loads((tmp_path / "figures" / "metrics.json").read_text(encoding="utf-8"))
    assert figures["patients"] == 3
    assert figures["segmentation"] == load_bundle(bundle).settings.metrics["segmentation"]
    study = manifest.folder / manifest.of(Split.TEST)[0].image
    result = CliRunner().invoke(
        app, ["screen", str(study), "--bundle", str(bundle), "--out", str(tmp_path / "screened")]
    )
    with (tmp_path / "screened" / "summary.csv").open(newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    # So small a network may mark nothing: then that is what the row must say.
    assert (result.exit_code, row["status"], row["code"]) in (
        (0, "screened", ""),
        (3, "refused", "NO_LUMBAR"),
    )


def _run(*arguments: str) -> None:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output


def _toml(values: dict[str, object], table: str = "") -> str:
    """Write a recipe; its one table comes last."""
    lines = [f"[{table}]"] if table else []
    lines += [
        f"{name} = {json.dumps(value)}"
        for name, value in values.items()
        if not isinstance(value, dict)
    ]
    for name, value in values.items():
        if isinstance(value, dict):
            lines.append(_toml(value, name))
    return "\n".join(lines) + "\n"
