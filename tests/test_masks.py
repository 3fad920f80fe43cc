"""Marks from elsewhere: whose labels they are, and that a result follows them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

import osteoscreen
from bundles import threshold_bundle
from osteoscreen.bundle import Bundle
from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.instance import SeriesHeader, write_ct_series
from osteoscreen.dicom.segment import body_segment, number_segments, rest_segment
from osteoscreen.dicom.segmentation import write_segmentation
from osteoscreen.dicom.series import read_series
from osteoscreen.errors import InputError, RefusalCode
from osteoscreen.findings import LeftOut, ReservationCode
from osteoscreen.volume import Volume
from osteoscreen.workflow import screen_path

AFFINE = np.array([[0, 0, 1.0, -40], [0, 1.0, 0, -40], [3, 0, 0, 10], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return threshold_bundle(tmp_path_factory.mktemp("bundle"))


def _spine() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Three vertebrae of 9 slices, parted by 3; their number from below, and their HU."""
    z, y, x = np.indices((36, 80, 80))
    number = (z // 12 + 1) * (z % 12 < 9)
    body = (np.hypot((y - 35) / 15, (x - 40) / 20) <= 1) & (number > 0)
    arch = (np.abs(x - 40) < 6) & (y > 50) & (y < 70) & (number > 0)
    hu = np.full(z.shape, -1000, np.float32)
    hu[:, 5:75, 5:75] = 40
    for k, value in ((1, 300), (2, 250), (3, 260)):
        hu[(body | arch) & (number == k)] = value
    labels = np.where(body, number, np.where(arch, number + 10, 0)).astype(np.uint8)
    return hu, labels


def _nifti(path: Path, values: NDArray[np.generic]) -> Path:
    affine = np.diag([-1.0, -1, 1, 1]) @ AFFINE[:, [2, 1, 0, 3]]
    nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0), affine), path)
    return path


def _named(labels: NDArray[np.uint8], values: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Whole vertebrae, numbered from below."""
    found = np.zeros_like(labels)
    for k, value in enumerate(values, start=1):
        found[(labels == k) | (labels == k + 10)] = value
    return found


@pytest.mark.parametrize("values", [(29, 30, 31), (22, 21, 20)])
def test_labels_of_other_programs_name_the_vertebrae(
    values: tuple[int, int, int], tmp_path: Path, bundle: Bundle
) -> None:
    hu, labels = _spine()
    image = _nifti(tmp_path / "ct.nii.gz", hu)
    mask = _nifti(tmp_path / "mask.nii.gz", _named(labels, values))
    result = screen_path(image, bundle=bundle, mask=mask)
    assert [one.level for one in result.levels] == ["L1", "L2", "L3"]
    assert [one.confidence for one in result.levels] == [None, None, None]
    assert [one.attenuation_hu for one in result.levels] == [260, 250, 300]
    assert result.levels[2].left_out is LeftOut.CUT  # the series begins within it
    assert result.attenuation_hu == 255
    codes = {one.code for one in result.reservations}
    assert ReservationCode.MARKS_GIVEN in codes
    assert ReservationCode.LEVELS_UNKNOWN not in codes


def test_own_marks_come_back_as_a_mask(tmp_path: Path, bundle: Bundle) -> None:
    hu, labels = _spine()
    image = _nifti(tmp_path / "ct.nii.gz", hu)
    own = np.where(labels > 10, 2, labels > 0).astype(np.uint8)
    mask = _nifti(tmp_path / "mask.nii.gz", own)
    result = screen_path(image, bundle=bundle, mask=mask)
    assert result.status == "screened"
    assert {one.code for one in result.reservations} >= {
        ReservationCode.MARKS_GIVEN,
        ReservationCode.LEVELS_UNKNOWN,
    }


def test_a_dicom_segmentation_names_the_vertebrae_by_its_codes(
    tmp_path: Path, bundle: Bundle
) -> None:
    hu, labels = _spine()
    header = SeriesHeader(
        patient_id="1", study_uid="2.25.1", series_uid="2.25.2", frame_of_reference_uid="2.25.3"
    )
    write_ct_series(Volume(hu, AFFINE), header, tmp_path / "ct")
    headers = read_series(find_series(tmp_path / "ct").series[0]).headers
    marks = np.where(labels > 10, 2, labels > 0).astype(np.uint8)
    numbered, segments = number_segments(marks, labels % 10, ("L4", "L3", "L2"))
    assert segments == tuple(
        part(level) for level in ("L2", "L3", "L4") for part in (body_segment, rest_segment)
    )
    write_segmentation(
        numbered, headers, tmp_path / "seg.dcm", algorithm="a", version="1", segments=segments
    )
    result = screen_path(tmp_path / "ct", bundle=bundle, mask=tmp_path / "seg.dcm")
    assert [one.level for one in result.levels] == ["L2", "L3", "L4"]
    assert [one.attenuation_hu for one in result.levels] == [260, 250, 300]


@pytest.mark.parametrize("values", [(3, 4, 5), (26, 27, 28), (50, 60, 70)])
def test_labels_of_nobody_known_are_refused(
    values: tuple[int, int, int], tmp_path: Path, bundle: Bundle
) -> None:
    hu, labels = _spine()
    image = _nifti(tmp_path / "ct.nii.gz", hu)
    mask = _nifti(tmp_path / "mask.nii.gz", _named(labels, values))
    with pytest.raises(InputError, match="labels must be") as caught:
        screen_path(image, bundle=bundle, mask=mask)
    assert caught.value.code is RefusalCode.MASK_MISMATCH


def test_a_mask_on_another_grid_is_refused(tmp_path: Path, bundle: Bundle) -> None:
    hu, labels = _spine()
    image = _nifti(tmp_path / "ct.nii.gz", hu)
    mask = _nifti(tmp_path / "mask.nii.gz", _named(labels, (22, 21, 20))[:, :-1])
    with pytest.raises(InputError, match="the image's shape") as caught:
        screen_path(image, bundle=bundle, mask=mask)
    assert caught.value.code is RefusalCode.MASK_MISMATCH


def test_one_label_is_a_whole_vertebra_and_no_body(tmp_path: Path, bundle: Bundle) -> None:
    hu, labels = _spine()
    image = _nifti(tmp_path / "ct.nii.gz", hu)
    mask = _nifti(tmp_path / "mask.nii.gz", (labels > 0).astype(np.uint8))
    own = screen_path(image, bundle=bundle)
    given = screen_path(image, bundle=bundle, mask=mask)
    # The bundle's bodies are all that is bright: within the mask they are the same.
    assert [one.mark_area_mm2 for one in given.slices] == [
        pytest.approx(one.mark_area_mm2, rel=0.1) for one in own.slices
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"ImagePositionPatient": [-40, -30, 10]},
        {"PixelSpacing": [1.0, 1.1]},
        {"ImageOrientationPatient": [-1, 0, 0, 0, 1, 0]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_segmentation_that_lies_elsewhere_is_refused(
    change: dict[str, list[float]], tmp_path: Path, bundle: Bundle
) -> None:
    hu, labels = _spine()
    header = SeriesHeader(
        patient_id="1", study_uid="2.25.1", series_uid="2.25.2", frame_of_reference_uid="2.25.3"
    )
    write_ct_series(Volume(hu, AFFINE), header, tmp_path / "ct")
    headers = read_series(find_series(tmp_path / "ct").series[0]).headers
    write_segmentation(
        (labels > 0).astype(np.uint8), headers, tmp_path / "seg.dcm", algorithm="a", version="1"
    )
    for one in sorted((tmp_path / "ct").iterdir()):
        instance = pydicom.dcmread(one)
        for keyword, value in change.items():
            kept = instance.ImagePositionPatient[2:] if len(value) == 3 else []
            setattr(instance, keyword, [*value[:2], *kept] if kept else value)
        instance.save_as(one)
    with pytest.raises(InputError, match="frame must lie on its slice") as caught:
        screen_path(tmp_path / "ct", bundle=bundle, mask=tmp_path / "seg.dcm")
    assert caught.value.code is RefusalCode.MASK_MISMATCH


def test_an_empty_mask_is_refused(tmp_path: Path, bundle: Bundle) -> None:
    hu, labels = _spine()
    image = _nifti(tmp_path / "ct.nii.gz", hu)
    mask = _nifti(tmp_path / "mask.nii.gz", np.zeros_like(labels))
    with pytest.raises(InputError, match="labels must be"):
        screen_path(image, bundle=bundle, mask=mask)


def test_the_package_screens_one_study(tmp_path: Path, bundle: Bundle) -> None:
    hu, _ = _spine()
    image = _nifti(tmp_path / "ct.nii.gz", hu)
    result = osteoscreen.screen(str(image), bundle=bundle.folder)
    unlike = {"timing_s"}
    assert result.model_dump(exclude=unlike) == screen_path(image, bundle=bundle).model_dump(
        exclude=unlike
    )


def test_the_package_refuses_with_a_code(tmp_path: Path, bundle: Bundle) -> None:
    with pytest.raises(InputError, match="must exist") as caught:
        osteoscreen.screen(tmp_path / "nowhere", bundle=bundle.folder)
    assert caught.value.code is RefusalCode.NO_INPUT
    hu, _ = _spine()
    for number in (1, 2):
        header = SeriesHeader(
            patient_id=str(number), study_uid=f"2.25.{number}", series_uid=f"2.25.1{number}",
            frame_of_reference_uid="2.25.3",
        )  # fmt: skip
        write_ct_series(Volume(hu, AFFINE), header, tmp_path / f"ct{number}")
    with pytest.raises(InputError, match="one study") as caught:
        osteoscreen.screen(tmp_path, bundle=bundle.folder)
    assert caught.value.code is RefusalCode.SEVERAL_STUDIES


def test_pydicom_reads_the_levels_of_a_segmentation(tmp_path: Path) -> None:
    hu, labels = _spine()
    header = SeriesHeader(
        patient_id="1", study_uid="2.25.1", series_uid="2.25.2", frame_of_reference_uid="2.25.3"
    )
    write_ct_series(Volume(hu, AFFINE), header, tmp_path / "ct")
    headers = read_series(find_series(tmp_path / "ct").series[0]).headers
    numbered, segments = number_segments((labels > 0).astype(np.uint8), labels % 10, ("L4", "", ""))
    write_segmentation(
        numbered, headers, tmp_path / "seg.dcm", algorithm="a", version="1", segments=segments
    )
    found = [one.SegmentLabel for one in pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence]
    assert "L4 body" in found


def test_what_is_wrong_in_an_archive_is_told_of_its_entry(tmp_path: Path, bundle: Bundle) -> None:
    hu, _ = _spine()
    header = SeriesHeader(
        patient_id="1", study_uid="2.25.1", series_uid="2.25.2", frame_of_reference_uid="2.25.3"
    )
    files = write_ct_series(Volume(hu, AFFINE), header, tmp_path / "ct")
    files[3].write_bytes(files[3].read_bytes()[:-3000])
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as made:
        for file in files:
            made.write(file, file.name)
    with pytest.raises(InputError) as caught:
        screen_path(tmp_path / "study.zip", bundle=bundle)
    assert caught.value.code is RefusalCode.TRUNCATED
    assert f"{tmp_path}/study.zip/{files[3].name}: " in str(caught.value)
