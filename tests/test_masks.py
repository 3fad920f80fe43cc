"""Marks from elsewhere: whose labels they are, and that a result follows them."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
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
from osteoscreen.dicom.segment import body_segment, number_vertebrae, whole_segment
from osteoscreen.dicom.segmentation import write_segmentation
from osteoscreen.dicom.series import read_series
from osteoscreen.errors import InputError, RefusalCode
from osteoscreen.findings import LeftOut, ReservationCode
from osteoscreen.screening.given import has_odd_count
from osteoscreen.volume import Volume
from osteoscreen.workflow import screen_path

AFFINE = np.array([[0, 0, 1.0, -40], [0, 1.0, 0, -40], [3, 0, 0, 10], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return threshold_bundle(tmp_path_factory.mktemp("bundle"))


@dataclass(frozen=True, eq=False)
class Spine:
    """Three vertebrae of 9 slices, parted by 3, as a NIfTI file and as a DICOM series.

    Args:
        labels: Number of each body from below; 10 more for its arch.
        image: The NIfTI file.
        files: The slices of the series.
    """

    labels: NDArray[np.uint8]
    image: Path
    files: tuple[Path, ...]

    @property
    def series(self) -> Path:
        """Folder of the series."""
        return self.files[0].parent

    @property
    def marks(self) -> NDArray[np.uint8]:
        """Bodies and the rest, as osteoscreen writes them."""
        return np.where(self.labels > 10, 2, self.labels > 0).astype(np.uint8)

    def mask(self, values: NDArray[np.uint8]) -> Path:
        """Write a mask as NIfTI on the grid of the image."""
        return _nifti(self.image.with_name("mask.nii.gz"), values)

    def named(self, values: tuple[int, int, int]) -> NDArray[np.uint8]:
        """Whole vertebrae, numbered from below."""
        return np.array([0, *values], np.uint8)[self.labels % 10]

    def segmentation(self, levels: tuple[str, str, str] = ("", "", "")) -> Path:
        """Write the marks as a DICOM segmentation of the series."""
        path = self.image.with_name("seg.dcm")
        headers = read_series(find_series(self.series).series[0]).headers
        marks = number_vertebrae(self.marks, self.labels % 10, levels)
        write_segmentation(marks, headers, path, algorithm="a", version="1")
        return path


@pytest.fixture
def spine(tmp_path: Path) -> Spine:
    z, y, x = np.indices((36, 80, 80))
    number = (z // 12 + 1) * (z % 12 < 9)
    body = (np.hypot((y - 35) / 15, (x - 40) / 20) <= 1) & (number > 0)
    arch = (np.abs(x - 40) < 6) & (y > 50) & (y < 70) & (number > 0)
    hu = np.full(z.shape, -1000, np.float32)
    hu[:, 5:75, 5:75] = 40
    for k, value in ((1, 300), (2, 250), (3, 260)):
        hu[(body | arch) & (number == k)] = value
    labels = np.where(body, number, np.where(arch, number + 10, 0)).astype(np.uint8)
    header = SeriesHeader(
        patient_id="1", study_uid="2.25.1", series_uid="2.25.2", frame_of_reference_uid="2.25.3"
    )
    files = write_ct_series(Volume(hu, AFFINE), header, tmp_path / "ct")
    return Spine(labels, _nifti(tmp_path / "ct.nii.gz", hu), files)


def _nifti(path: Path, values: NDArray[np.generic]) -> Path:
    affine = np.diag([-1.0, -1, 1, 1]) @ AFFINE[:, [2, 1, 0, 3]]
    nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0), affine), path)
    return path


@pytest.mark.parametrize("values", [(29, 30, 31), (22, 21, 20)])
def test_labels_of_other_programs_name_the_vertebrae(
    values: tuple[int, int, int], spine: Spine, bundle: Bundle
) -> None:
    result = screen_path(spine.image, bundle=bundle, mask=spine.mask(spine.named(values)))
    assert [one.level for one in result.levels] == ["L1", "L2", "L3"]
    assert [one.confidence for one in result.levels] == [None, None, None]
    assert [one.attenuation_hu for one in result.levels] == [260, 250, 300]
    assert result.levels[2].left_out is LeftOut.CUT  # the series begins within it
    assert result.attenuation_hu == 255
    codes = {one.code for one in result.reservations}
    assert ReservationCode.MARKS_GIVEN in codes
    assert ReservationCode.LEVELS_UNKNOWN not in codes


def test_own_marks_come_back_as_a_mask(spine: Spine, bundle: Bundle) -> None:
    result = screen_path(spine.image, bundle=bundle, mask=spine.mask(spine.marks))
    assert result.status == "screened"
    assert {one.code for one in result.reservations} >= {
        ReservationCode.MARKS_GIVEN,
        ReservationCode.LEVELS_UNKNOWN,
    }


def test_a_dicom_segmentation_names_the_vertebrae_by_its_codes(
    spine: Spine, bundle: Bundle
) -> None:
    mask = spine.segmentation(("L4", "L3", "L2"))
    result = screen_path(spine.series, bundle=bundle, mask=mask)
    assert [one.level for one in result.levels] == ["L2", "L3", "L4"]
    assert [one.attenuation_hu for one in result.levels] == [260, 250, 300]


def test_segments_are_each_vertebra_from_the_head_down_and_then_each_body(spine: Spine) -> None:
    numbered = number_vertebrae(spine.marks, spine.labels % 10, ("L4", "L3", "L2"))
    assert numbered.segments == tuple(
        part(level) for part in (whole_segment, body_segment) for level in ("L2", "L3", "L4")
    )
    assert numbered.within is not None
    assert ((numbered.within > 0) == (spine.marks == 1)).all()
    assert ((numbered.labels > 0) == (spine.marks > 0)).all()
    inside = numbered.within > 0
    assert (numbered.within[inside] == numbered.labels[inside] + 3).all()


@pytest.mark.parametrize("values", [(3, 4, 5), (26, 27, 28), (50, 60, 70), (0, 0, 0)])
def test_labels_of_nobody_known_are_refused(
    values: tuple[int, int, int], spine: Spine, bundle: Bundle
) -> None:
    with pytest.raises(InputError, match="labels must be") as caught:
        screen_path(spine.image, bundle=bundle, mask=spine.mask(spine.named(values)))
    assert caught.value.code is RefusalCode.MASK_MISMATCH


def test_a_mask_on_another_grid_is_refused(spine: Spine, bundle: Bundle) -> None:
    mask = spine.mask(spine.named((22, 21, 20))[:, :-1])
    with pytest.raises(InputError, match="the image's shape") as caught:
        screen_path(spine.image, bundle=bundle, mask=mask)
    assert caught.value.code is RefusalCode.MASK_MISMATCH


def test_one_label_is_a_whole_vertebra_and_no_body(spine: Spine, bundle: Bundle) -> None:
    own = screen_path(spine.image, bundle=bundle)
    given = screen_path(spine.image, bundle=bundle, mask=spine.mask(spine.named((1, 1, 1))))
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
    change: dict[str, list[float]], spine: Spine, bundle: Bundle
) -> None:
    mask = spine.segmentation()
    for one in spine.files:
        instance = pydicom.dcmread(one)
        for keyword, value in change.items():
            kept = instance.ImagePositionPatient[2:] if len(value) == 3 else []
            setattr(instance, keyword, [*value[:2], *kept] if kept else value)
        instance.save_as(one)
    with pytest.raises(InputError, match="frame must lie on its slice") as caught:
        screen_path(spine.series, bundle=bundle, mask=mask)
    assert caught.value.code is RefusalCode.MASK_MISMATCH


def test_the_package_screens_one_study(spine: Spine, bundle: Bundle) -> None:
    result = osteoscreen.screen(str(spine.image), bundle=bundle.folder)
    unlike = {"timing_s"}
    assert result.model_dump(exclude=unlike) == screen_path(spine.image, bundle=bundle).model_dump(
        exclude=unlike
    )


def test_the_package_refuses_with_a_code(spine: Spine, tmp_path: Path, bundle: Bundle) -> None:
    with pytest.raises(InputError, match="must exist") as caught:
        osteoscreen.screen(tmp_path / "nowhere", bundle=bundle.folder)
    assert caught.value.code is RefusalCode.NO_INPUT
    other = SeriesHeader(
        patient_id="2", study_uid="2.25.9", series_uid="2.25.19", frame_of_reference_uid="2.25.3"
    )
    write_ct_series(read_series(find_series(spine.series).series[0]).volume, other, tmp_path / "b")
    with pytest.raises(InputError, match="one study") as caught:
        osteoscreen.screen(tmp_path, bundle=bundle.folder)
    assert caught.value.code is RefusalCode.SEVERAL_STUDIES


def test_pydicom_reads_the_levels_of_a_segmentation(spine: Spine) -> None:
    segmentation = pydicom.dcmread(spine.segmentation(("L4", "", "")))
    assert "L4 body" in [one.SegmentLabel for one in segmentation.SegmentSequence]


def test_what_is_wrong_in_an_archive_is_told_of_its_entry(
    spine: Spine, tmp_path: Path, bundle: Bundle
) -> None:
    cut = spine.files[3]
    cut.write_bytes(cut.read_bytes()[:-3000])
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as made:
        for file in spine.files:
            made.write(file, file.name)
    with pytest.raises(InputError) as caught:
        screen_path(tmp_path / "study.zip", bundle=bundle)
    assert caught.value.code is RefusalCode.TRUNCATED
    assert f"{tmp_path}/study.zip/{cut.name}: " in str(caught.value)


@pytest.mark.parametrize(
    ("names", "is_odd"),
    [
        (("S1", "L5", "L4", "L3"), False),
        (("L5", "L4"), False),
        (("S1", "L6", "L5", "L4"), True),
        (("S1", "L4", "L3", "L2"), True),
        (("L3", "L2", "L1", "T12"), False),
    ],
)
def test_given_names_tell_how_many_lumbar_vertebrae_there_are(
    names: tuple[str, ...], is_odd: bool
) -> None:
    assert has_odd_count(names) is is_odd
