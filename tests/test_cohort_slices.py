"""Slices of a cohort: the right mask on the right slice, from DICOM and from NIfTI."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from osteoscreen.cohort.manifest import Case, Manifest, Split, read_manifest
from osteoscreen.cohort.slices import LabelledSlice, read_slices
from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.header import read_header
from osteoscreen.dicom.instance import SeriesHeader, write_ct_series
from osteoscreen.dicom.segment import NumberedSegments
from osteoscreen.dicom.segmentation import write_segmentation
from osteoscreen.dicom.series import read_series
from osteoscreen.errors import InputError, ManifestError
from osteoscreen.nifti import is_nifti, to_ras
from osteoscreen.phantom import draw_patient, draw_scan, render_slice
from osteoscreen.phantom.anatomy import streams
from osteoscreen.volume import Affine, Volume
from structure_sets import write_structure_set

AFFINE: Affine = np.array(
    [[0, 0, 0.8, -100], [0, 0.7, 0, -80], [2.5, 0, 0, 33], [0, 0, 0, 1]], dtype=np.float64
)
RAS: Affine = np.array(
    [[-0.8, 0, 0, 90], [0, -0.7, 0, 70], [0, 0, 2.5, -300], [0, 0, 0, 1]], dtype=np.float64
)
SHAPE = (4, 20, 24)


def _read(folder: Path, **changes: Any) -> list[LabelledSlice]:  # noqa: ANN401 - fields of Case
    row: dict[str, Any] = {"case_id": "1", "patient_id": "1", "image": "ct", "split": Split.TEST}
    case = Case(**(row | changes))
    return list(read_slices(Manifest(folder, (case,), ""), (case,)))


def _hu() -> NDArray[np.float32]:
    """Air in the first row, a number of its own in every other voxel."""
    hu = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE) % 1500 - 200
    hu[:, 0] = -1000
    return hu


def _labels() -> NDArray[np.uint8]:
    """Body and rest in the slices 1 and 2, elsewhere each time; nothing in 0 and 3."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[1, 3:8, 5:12] = 1
    labels[1, 8:12, 7:9] = 2
    labels[2, 4:10, 10:20] = 1
    labels[2, 10:18, 14:16] = 2
    return labels


def _dicom(folder: Path, labels: NDArray[np.uint8]) -> list[pydicom.Dataset]:
    header = SeriesHeader(
        patient_id="1",
        study_uid="2.25.1",
        series_uid="2.25.2",
        frame_of_reference_uid="2.25.3",
        study_date="20200101",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
    )
    files = write_ct_series(Volume(_hu(), AFFINE), header, folder / "ct")
    headers = [read_header(file) for file in files]
    marks = NumberedSegments(labels)
    write_segmentation(marks, headers, folder / "marks.dcm", algorithm="test", version="1")
    return headers


def _nifti(path: Path, array: NDArray[Any], affine: Affine = RAS) -> Path:
    """Write an array of axes (slice, row, column), which NIfTI stores in reverse."""
    turned = array.transpose(2, 1, 0)
    image: Any = nibabel.Nifti1Image(turned, affine)
    image.set_sform(affine, code=1)
    nibabel.save(image, path)
    return path


MASKED = {"mask": "marks.dcm", "mask_labels": "body=1;rest=2"}


def test_the_marks_of_a_synthetic_patient_are_those_that_were_drawn(manifest: Manifest) -> None:
    case = manifest.cases[3]
    number = int(case.patient_id[-6:])
    patient, rngs = draw_patient(5, number), streams(5, number)
    scan = draw_scan(
        rngs["scan"], is_randomised=False, trunk_half_width_mm=patient.trunk.half_width_mm
    )
    (one,) = read_slices(manifest, (case,))
    file = pydicom.dcmread(manifest.folder / case.image)
    drawn = render_slice(patient, scan, float(file.ImagePositionPatient[2]), rngs["noise"])
    assert_array_equal(one.body, drawn.body)
    assert_array_equal(one.vertebra, drawn.vertebra)
    assert case.level in one.levels
    for index, level in enumerate(drawn.levels):
        whole = (drawn.labels == 2 * index + 1) | (drawn.labels == 2 * index + 2)
        assert (level in one.levels) == whole.any()
        if level in one.levels:
            assert_array_equal(one.levels[level], whole)
    assert_allclose(one.spacing_mm, (scan.pixel_mm,) * 2, rtol=1e-9)
    assert_array_equal(one.hu, file.pixel_array.astype(np.float32) - 1024)


def test_a_body_is_bright_in_its_own_image(manifest: Manifest) -> None:
    for one in read_slices(manifest, manifest.cases[:4]):
        assert one.case.condition is not None
        assert (one.vertebra & one.body).sum() == one.body.sum() > 0
        fat_hu = -100
        assert np.median(one.hu[one.body]) > fat_hu + 100


def test_every_slice_of_a_series_gets_its_own_mark(tmp_path: Path) -> None:
    _dicom(tmp_path, _labels())
    slices = _read(tmp_path, **MASKED)
    assert [one.index for one in slices] == [0, 1, 2, 3]
    for one, hu, labels in zip(slices, _hu(), _labels(), strict=True):
        assert_array_equal(one.hu, hu)
        assert_array_equal(one.body, labels == 1)
        assert_array_equal(one.vertebra, labels > 0)
        assert_allclose(one.spacing_mm, (0.7, 0.8), rtol=1e-9)


def test_one_file_of_a_series_gets_the_mark_of_that_file(tmp_path: Path) -> None:
    _dicom(tmp_path, _labels())
    for index in range(4):
        (one,) = _read(tmp_path, image=f"ct/{index:04d}.dcm", **MASKED)
        assert_array_equal(one.vertebra, _labels()[index] > 0)


def test_without_a_mask_nothing_is_marked(tmp_path: Path) -> None:
    _dicom(tmp_path, _labels())
    slices = _read(tmp_path)
    assert len(slices) == 4
    assert not any(one.body.any() or one.vertebra.any() for one in slices)


@pytest.mark.parametrize(
    ("names", "body", "vertebra"),
    [("body=1;rest=2", (1,), (1, 2)), ("vertebra=1", (), (1,)), ("body=2;rest=1", (2,), (1, 2)),
     ("body=1", (1,), (1,)), ("body=1;vertebra=2", (1,), (1, 2)),
     ("body=1;body=2", (1, 2), (1, 2)), ("L2.body=1;L3.rest=2", (1,), (1, 2))],
)  # fmt: skip
def test_mask_labels_say_which_value_is_what(
    names: str, body: tuple[int, ...], vertebra: tuple[int, ...], tmp_path: Path
) -> None:
    _dicom(tmp_path, _labels())
    slices = _read(tmp_path, mask="marks.dcm", mask_labels=names)
    for one, labels in zip(slices, _labels(), strict=True):
        assert_array_equal(one.body, np.isin(labels, body))
        assert_array_equal(one.vertebra, np.isin(labels, vertebra))


def test_levels_are_told_where_the_mask_tells_them(tmp_path: Path) -> None:
    _dicom(tmp_path, _labels())
    names = "L3.body=1;L3.rest=2;L4.body=7"
    for one, labels in zip(
        _read(tmp_path, mask="marks.dcm", mask_labels=names), _labels(), strict=True
    ):
        assert list(one.levels) == (["L3"] if labels.any() else [])
        for mark in one.levels.values():
            assert_array_equal(mark, labels > 0)
    assert not any(one.levels for one in _read(tmp_path, **MASKED))


def test_a_nifti_case_of_a_manifest_is_read(tmp_path: Path) -> None:
    _nifti(tmp_path / "ct.nii.gz", _hu())
    _nifti(tmp_path / "marks.nii.gz", _labels())
    (tmp_path / "manifest.csv").write_text(
        "case_id,patient_id,image,mask,mask_labels,condition,split\n"
        "1,1,ct.nii.gz,marks.nii.gz,body=1;rest=2,osteoporosis,train\n"
    )
    manifest = read_manifest(tmp_path / "manifest.csv")
    slices = list(read_slices(manifest, manifest.of(Split.TRAIN)))
    for one, hu, labels in zip(slices, _hu(), _labels(), strict=True):
        assert_array_equal(one.hu, hu)
        assert_array_equal(one.body, labels == 1)
        assert_array_equal(one.vertebra, labels > 0)
        assert_allclose(one.spacing_mm, (0.7, 0.8), rtol=1e-6)  # the affine is float32


def test_image_and_mask_stand_up_together(tmp_path: Path) -> None:
    flipped = RAS.copy()
    flipped[2] = (0, 0, -2.5, -300 + 3 * 2.5)  # the slices fall
    flipped[0] = (0.8, 0, 0, 90 - 23 * 0.8)  # the columns run to the right
    _nifti(tmp_path / "ct.nii", _hu()[::-1, :, ::-1], flipped)
    _nifti(tmp_path / "marks.nii", _labels()[::-1, :, ::-1], flipped)
    slices = _read(tmp_path, image="ct.nii", mask="marks.nii", mask_labels="body=1;rest=2")
    for one, hu, labels in zip(slices, _hu(), _labels(), strict=True):
        assert_array_equal(one.hu, hu)
        assert_array_equal(one.vertebra, labels > 0)


def test_a_mask_that_is_stored_from_the_other_side_is_turned_into_place(tmp_path: Path) -> None:
    _nifti(tmp_path / "ct.nii", _hu())
    mirrored = RAS.copy()
    mirrored[0] = (0.8, 0, 0, 90 - 23 * 0.8)
    _nifti(tmp_path / "marks.nii", _labels()[:, :, ::-1], mirrored)
    slices = _read(tmp_path, image="ct.nii", mask="marks.nii", mask_labels="body=1;rest=2")
    for one, labels in zip(slices, _labels(), strict=True):
        assert_array_equal(one.body, labels == 1)
        assert_array_equal(one.vertebra, labels > 0)


def test_a_nifti_mask_of_another_grid_is_refused(tmp_path: Path) -> None:
    _nifti(tmp_path / "ct.nii", _hu())
    moved = RAS.copy()
    moved[:3, 3] += (3, 0, 4)
    _nifti(tmp_path / "marks.nii", _labels(), moved)
    with pytest.raises(ManifestError, match=r"case_id 1: .* image's grid, got corners up to 5\.0"):
        _read(tmp_path, image="ct.nii", mask="marks.nii", mask_labels="body=1")


def test_a_dicom_series_may_have_a_nifti_mask(tmp_path: Path) -> None:
    _dicom(tmp_path, _labels())
    _nifti(tmp_path / "marks.nii.gz", _labels(), to_ras(AFFINE))
    slices = _read(tmp_path, mask="marks.nii.gz", mask_labels="body=1;rest=2")
    for one, labels in zip(slices, _labels(), strict=True):
        assert_array_equal(one.body, labels == 1)
        assert_array_equal(one.vertebra, labels > 0)
    moved = to_ras(AFFINE)
    moved[:3, 3] += (0, 0, 2.5)
    _nifti(tmp_path / "marks.nii.gz", _labels(), moved)
    with pytest.raises(ManifestError, match=r"case_id 1: .* image's grid, got corners up to 2\.5"):
        _read(tmp_path, mask="marks.nii.gz", mask_labels="body=1")


def test_a_nifti_image_cannot_have_a_dicom_mask(tmp_path: Path) -> None:
    _dicom(tmp_path, _labels())
    _nifti(tmp_path / "ct.nii", _hu())
    with pytest.raises(ManifestError, match=r"case_id 1: .* must be a volume file, got marks\.dcm"):
        _read(tmp_path, image="ct.nii", **MASKED)


def test_a_dicom_series_may_have_a_structure_set(tmp_path: Path) -> None:
    """ROI 1 the body, ROI 2 the whole vertebra around it: the body stays on top."""
    _dicom(tmp_path, _labels())
    (found,) = find_series(tmp_path / "ct").series
    contours = [
        (2, 1, [(2.5, 4.5), (2.5, 11.5), (11.5, 11.5), (11.5, 4.5)]),
        (1, 1, [(2.5, 4.5), (2.5, 11.5), (7.5, 11.5), (7.5, 4.5)]),
    ]
    write_structure_set(tmp_path / "rs.dcm", read_series(found), contours, frame="2.25.3")
    slices = list(_read(tmp_path, mask="rs.dcm", mask_labels="L3.body=1;L3.vertebra=2"))
    assert [bool(one.vertebra.any()) for one in slices] == [False, True, False, False]
    body, vertebra = np.zeros(SHAPE[1:], bool), np.zeros(SHAPE[1:], bool)
    body[3:8, 5:12] = vertebra[3:12, 5:12] = True
    assert_array_equal(slices[1].body, body)
    assert_array_equal(slices[1].vertebra, vertebra)
    assert_array_equal(slices[1].levels["L3"], vertebra)


def test_a_nifti_mask_of_another_shape_is_refused(tmp_path: Path) -> None:
    _nifti(tmp_path / "ct.nii", _hu())
    _nifti(tmp_path / "marks.nii", _labels()[:, :, 1:])
    with pytest.raises(ManifestError, match=r"case_id 1: .*\(4, 20, 24\), got \(4, 20, 23\)"):
        _read(tmp_path, image="ct.nii", mask="marks.nii", mask_labels="body=1")


def test_a_nifti_image_needs_no_mask(tmp_path: Path) -> None:
    _nifti(tmp_path / "ct.nii", _hu())
    assert not any(one.vertebra.any() for one in _read(tmp_path, image="ct.nii"))


def test_a_segmentation_of_another_size_is_refused(tmp_path: Path) -> None:
    _dicom(tmp_path, _labels())
    file = tmp_path / "ct" / "0001.dcm"
    instance = pydicom.dcmread(file)
    instance.Rows -= 1
    instance.PixelData = instance.PixelData[: -2 * instance.Columns]
    instance.save_as(file)
    with pytest.raises(ManifestError, match=r"case_id 1: .*\(19, 24\), got \(20, 24\)"):
        _read(tmp_path, image="ct/0001.dcm", **MASKED)


def test_a_segmentation_of_another_series_is_refused(tmp_path: Path) -> None:
    _dicom(tmp_path, _labels())
    for file in (tmp_path / "ct").iterdir():
        instance = pydicom.dcmread(file)
        instance.SOPInstanceUID += "9"
        instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
        instance.save_as(file)
    with pytest.raises(ManifestError, match="some of them images of this case"):
        _read(tmp_path, **MASKED)


def test_a_segmentation_that_names_no_images_is_refused(tmp_path: Path) -> None:
    _dicom(tmp_path, _labels())
    instance = pydicom.dcmread(tmp_path / "marks.dcm")
    for frame in instance.PerFrameFunctionalGroupsSequence:
        del frame.DerivationImageSequence
    instance.save_as(tmp_path / "marks.dcm")
    with pytest.raises(ManifestError, match="must name its CT image"):
        _read(tmp_path, image="ct/0001.dcm", **MASKED)


def test_a_folder_without_ct_is_refused(tmp_path: Path) -> None:
    _dicom(tmp_path, _labels())
    (tmp_path / "other").mkdir()
    shutil.move(tmp_path / "marks.dcm", tmp_path / "other")
    with pytest.raises(ManifestError, match=r"case_id 1: image .* holds no CT series"):
        _read(tmp_path, image="other")


def test_a_mask_that_is_no_segmentation_is_refused(tmp_path: Path) -> None:
    _dicom(tmp_path, _labels())
    with pytest.raises(InputError, match="binary DICOM Segmentation"):
        _read(tmp_path, mask="ct/0000.dcm", mask_labels="body=1")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ"])
def test_nifti_files_are_known_by_their_names(name: str) -> None:
    assert is_nifti(Path("folder") / name)
    assert not is_nifti(Path("a.nii") / "a.dcm")
