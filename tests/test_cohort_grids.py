"""Masks of another grid, told from headers, all at once and before anything is trained."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom import dcmread

from osteoscreen.cohort.grids import grid_error, mask_errors
from osteoscreen.cohort.manifest import (
    Case,
    Manifest,
    Split,
    class_errors,
    read_manifest,
    write_manifest,
)
from osteoscreen.errors import ManifestError
from osteoscreen.findings import BoneCondition

AFFINE = np.diag([0.8, 0.8, 3.0, 1.0])


def _nifti(path: Path, shape: tuple[int, int, int] = (20, 30, 4), *, shift_mm: float = 0.0) -> Path:
    affine = AFFINE.copy()
    affine[0, 3] = shift_mm
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.int16), affine), path)
    return path


def _case(image: str, mask: str, **changes: object) -> Case:
    row = {
        "case_id": image, "patient_id": image, "image": image, "mask": mask,
        "mask_labels": "body=1", "split": "train", "condition": "osteoporosis",
    }  # fmt: skip
    return Case.model_validate(row | changes)


def test_a_mask_on_the_grid_of_its_image_is_fine_in_any_axis_order(tmp_path: Path) -> None:
    _nifti(tmp_path / "a.nii")
    image = nibabel.Nifti1Image(np.zeros((20, 30, 4), np.int16), AFFINE)
    turned = image.as_reoriented(np.array([[2, 1], [0, -1], [1, 1]]))
    nibabel.save(turned, tmp_path / "m.nii")
    nibabel.save(nibabel.as_closest_canonical(turned), tmp_path / "n.nii")
    for mask in ("m.nii", "n.nii"):
        assert grid_error(tmp_path, _case("a.nii", mask)) is None


def test_a_mask_of_another_shape_or_place_is_told(tmp_path: Path) -> None:
    _nifti(tmp_path / "a.nii")
    _nifti(tmp_path / "small.nii", (20, 20, 4))
    _nifti(tmp_path / "away.nii", shift_mm=5.0)
    (tmp_path / "m.dcm").touch()
    assert grid_error(tmp_path, _case("a.nii", "small.nii")) == (
        "the mask must have the image's shape (4, 20, 30), got (4, 20, 20)"
    )
    assert "corners up to 5.0 mm away" in str(grid_error(tmp_path, _case("a.nii", "away.nii")))
    assert "must be a volume file, got m.dcm" in str(grid_error(tmp_path, _case("a.nii", "m.dcm")))


def test_a_damaged_header_is_told(tmp_path: Path) -> None:
    _nifti(tmp_path / "a.nii")
    (tmp_path / "m.nii").write_bytes(b"no NIfTI")
    assert "must be NIfTI" in str(grid_error(tmp_path, _case("a.nii", "m.nii")))


def test_a_segmentation_of_its_own_images_is_fine_and_another_matrix_is_not(
    manifest: Manifest, tmp_path: Path
) -> None:
    case = manifest.cases[0]
    assert grid_error(manifest.folder, case) is None
    as_folder = case.model_copy(update={"image": str(Path(case.image).parent)})
    assert grid_error(manifest.folder, as_folder) is None
    other = dcmread(manifest.folder / case.mask)
    other.Rows = 256
    other.save_as(tmp_path / "other.dcm")
    wrong = case.model_copy(
        update={"image": str(manifest.folder / case.image), "mask": str(tmp_path / "other.dcm")}
    )
    assert grid_error(tmp_path, wrong) == (
        "the mask must have the image's matrix (512, 512), got (256, 512)"
    )


def test_all_errors_of_a_manifest_are_told_at_once_with_row_and_column(tmp_path: Path) -> None:
    _nifti(tmp_path / "a.nii")
    _nifti(tmp_path / "b.nii")
    _nifti(tmp_path / "m.nii")
    _nifti(tmp_path / "small.nii", (20, 20, 4))
    path = tmp_path / "manifest.csv"
    write_manifest([_case("a.nii", "small.nii"), _case("b.nii", "m.nii")], path)
    lines = path.read_text("utf-8").splitlines()
    columns = lines[0].split(",")

    def row(**values: str) -> str:
        return ",".join(values.get(name, "") for name in columns)

    known = {"image": "b.nii", "mask": "m.nii", "mask_labels": "body=1", "split": "train"}
    lines += [
        row(**known | {"case_id": "c", "patient_id": "c", "condition": "brittle"}),
        row(**known | {"case_id": "d", "patient_id": "d", "image": "gone.nii"}),
        row(**known | {"case_id": "e", "patient_id": "a.nii", "split": "test"}),
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    with pytest.raises(ManifestError) as caught:
        read_manifest(path, checks=(mask_errors, class_errors))
    message = str(caught.value)
    for wanted in (
        "row 2, column mask: the mask must have the image's shape",
        "row 4, column condition: ",
        "row 5, column image: gone.nii does not exist",
        "row 6, column split: patient_id a.nii is in test here and in train in row 2",
        "column condition: a classifier needs every class, train has no case of normal_bone_mass",
        "validation has no case of osteoporosis",
    ):
        assert wanted in message
    assert "row 3" not in message


def test_a_cohort_with_every_class_lacks_none() -> None:
    cases = {
        number: _case("a", "", case_id=str(number), split=split, condition=condition)
        for number, (split, condition) in enumerate(
            (split, condition)
            for split in (Split.TRAIN, Split.VALIDATION)
            for condition in BoneCondition
        )
    }
    assert class_errors(Path(), cases) == []
    del cases[0]
    (error,) = class_errors(Path(), cases)
    assert error.endswith("train has no case of normal_bone_mass")
