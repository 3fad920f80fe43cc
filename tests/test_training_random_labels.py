"""A training on labels drawn by lot must end at chance: else something of the test leaks in."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from osteoscreen.cohort.manifest import Case, Manifest, Split, read_manifest, write_manifest
from osteoscreen.cohort.slices import read_slices
from osteoscreen.cohort.views import ClassifierViews
from osteoscreen.evaluation.metrics import auc_scores
from osteoscreen.findings import CONDITIONS
from osteoscreen.screening.roi import RoiSettings
from osteoscreen.training.recipe import AugmentationSection, ClassifierRecipe
from osteoscreen.training.run import load_best, train

SIZE, PATIENTS = 48, 180
CLASS_HU = (260.0, 160.0, 60.0)
SPLITS = (Split.TRAIN,) * 3 + (Split.VALIDATION,) * 1 + (Split.TEST,) * 2
CHANCE_SD = 0.055
"""Of a macro AUC of 20 patients a class without any skill (drawn 1,000 times)."""


def _write_cohort(folder: Path, *, is_by_lot: bool) -> Manifest:
    """Discs as bright as their class, a patient each; their labels true or exchanged by lot."""
    rng = np.random.default_rng(4)
    row, column = np.indices((SIZE, SIZE))
    classes = np.arange(PATIENTS) % 3
    told = rng.permutation(classes) if is_by_lot else classes
    cases = []
    for number in range(PATIENTS):
        # Each patient has a place and a background of its own, or the images would be alike.
        middle = SIZE / 2 + rng.uniform(-6, 6, 2)
        disc = (row - middle[0]) ** 2 + (column - middle[1]) ** 2 < rng.uniform(9, 13) ** 2
        tissue = rng.normal(0, 120, (6, 6)).repeat(8, 0).repeat(8, 1)
        hu = np.where(disc, CLASS_HU[classes[number]], tissue) + rng.normal(0, 15, (SIZE, SIZE))
        hu[0] = -1000
        for name, values in (("image", hu.astype(np.int16)), ("mask", disc.astype(np.uint8))):
            file = nibabel.Nifti1Image(values[:, :, None], np.diag([-2.0, -2.0, 3.0, 1.0]))
            file.header.set_xyzt_units("mm")
            nibabel.save(file, folder / f"{number}-{name}.nii")
        cases.append(
            Case(
                case_id=str(number), patient_id=str(number), image=f"{number}-image.nii",
                mask=f"{number}-mask.nii", mask_labels="body=1",
                condition=CONDITIONS[told[number]], split=SPLITS[number // 3 % len(SPLITS)],
            )
        )  # fmt: skip
    write_manifest(cases, folder / "manifest.csv")
    return read_manifest(folder / "manifest.csv")


def _test_auc(folder: Path, *, is_by_lot: bool) -> float:
    folder.mkdir()
    manifest = _write_cohort(folder, is_by_lot=is_by_lot)
    recipe = ClassifierRecipe(
        kind="classifier", image_size=32, dropout=0.0, weight_decay=5e-4, batch=30,
        views_per_epoch=600, epochs=3, bn_recalibrate=4,
        augmentation=AugmentationSection(rotation_deg=15, shift_mm=2),
    )  # fmt: skip
    network = load_best(train(recipe, manifest, folder / "run"))
    views = ClassifierViews(
        read_slices(manifest, manifest.of(Split.TEST)),
        RoiSettings(32, recipe.window_hu),
        mark=recipe.mark,
        augmentation=None,
    )
    images = torch.stack([views[number][0] for number in range(len(views))])
    with torch.no_grad():
        scores = torch.softmax(network(images), dim=1).double().numpy()
    return float(auc_scores(np.array(views.conditions), scores).mean())


@pytest.mark.slow
def test_labels_drawn_by_lot_end_at_chance_and_true_ones_do_not(tmp_path: Path) -> None:
    by_lot = _test_auc(tmp_path / "lot", is_by_lot=True)
    assert abs(by_lot - 0.5) < 3 * CHANCE_SD
    assert _test_auc(tmp_path / "true", is_by_lot=False) > 0.95
