"""Structure sets: contours on their slices, holes, overlaps, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.instance import SeriesHeader, write_ct_series
from osteoscreen.dicom.series import CTSeries, read_series
from osteoscreen.dicom.structure_set import is_structure_set, read_structure_set
from osteoscreen.errors import GeometryError, InputError
from osteoscreen.volume import Volume
from structure_sets import FRAME, Point, write_structure_set

SHAPE = (4, 48, 40)
AFFINE = np.array(
    [[0, 0, 0.8, -20.0], [0, 0.8, 0, -30.0], [3.0, 0, 0, 100.0], [0, 0, 0, 1]], dtype=float
)


def _square(low: float, high: float) -> list[Point]:
    return [(low, low), (low, high), (high, high), (high, low)]


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> CTSeries:
    """Four slices of 48 x 40 pixels."""
    folder = tmp_path_factory.mktemp("series")
    hu = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE) % 1500 - 900
    header = SeriesHeader(
        patient_id="A", study_uid="2.25.1", series_uid="2.25.2", frame_of_reference_uid=FRAME
    )
    write_ct_series(Volume(hu, AFFINE), header, folder)
    (found,) = find_series(folder).series
    return read_series(found)


def _filled(*contours: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Labels with a square from low to high, both included, for each (number, slice, low, high)."""
    labels = np.zeros(SHAPE, np.uint8)
    for number, at, low, high in contours:
        labels[at, low : high + 1, low : high + 1] = number
    return labels


def test_a_contour_holds_the_pixels_whose_centres_it_encloses(
    series: CTSeries, tmp_path: Path
) -> None:
    path = write_structure_set(tmp_path / "rs.dcm", series, [(3, 1, _square(9.5, 20.5))])
    assert is_structure_set(path)
    assert_array_equal(read_structure_set(path, series), _filled((3, 1, 10, 20)))


def test_a_contour_in_a_contour_is_a_hole(series: CTSeries, tmp_path: Path) -> None:
    """The spinal canal: inside the vertebra, and not of it."""
    contours = [(1, 2, _square(4.5, 30.5)), (1, 2, _square(14.5, 20.5))]
    found = read_structure_set(write_structure_set(tmp_path / "rs.dcm", series, contours), series)
    assert_array_equal(found, _filled((1, 2, 5, 30), (0, 2, 15, 20)))


def test_a_small_structure_lies_on_a_large_one(series: CTSeries, tmp_path: Path) -> None:
    contours = [(2, 0, _square(9.5, 20.5)), (1, 0, _square(4.5, 30.5)), (1, 1, _square(4.5, 30.5))]
    found = read_structure_set(write_structure_set(tmp_path / "rs.dcm", series, contours), series)
    assert_array_equal(found, _filled((1, 0, 5, 30), (1, 1, 5, 30), (2, 0, 10, 20)))


def test_a_round_contour_has_the_area_of_its_circle(series: CTSeries, tmp_path: Path) -> None:
    turns = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    circle = [(24 + 15 * np.sin(turn), 20 + 15 * np.cos(turn)) for turn in turns]
    path = write_structure_set(tmp_path / "rs.dcm", series, [(1, 3, circle)])
    # A rim of 94 pixels averages out to a few.
    assert read_structure_set(path, series).sum() == pytest.approx(np.pi * 15**2, abs=8)


def test_points_and_open_lines_enclose_nothing(series: CTSeries, tmp_path: Path) -> None:
    path = write_structure_set(
        tmp_path / "rs.dcm", series, [(1, 1, _square(5, 20))], kind="OPEN_PLANAR"
    )
    with pytest.raises(InputError, match="a closed contour that holds a pixel, it has none"):
        read_structure_set(path, series)


def test_a_contour_that_names_another_image_is_left_out(series: CTSeries, tmp_path: Path) -> None:
    """A structure set of the whole series beside some of its slices."""
    outside = write_structure_set(
        tmp_path / "other.dcm", series, [(1, 9, _square(5, 20))], image="2.25.555"
    )
    with pytest.raises(InputError, match="it has none"):
        read_structure_set(outside, series)
    own = str(series.headers[1].SOPInstanceUID)
    inside = write_structure_set(
        tmp_path / "own.dcm", series, [(1, 1, _square(9.5, 20.5))], image=own
    )
    assert_array_equal(read_structure_set(inside, series), _filled((1, 1, 10, 20)))


@pytest.mark.parametrize("lift", ["0.5", "4", "-1"])
def test_a_contour_between_or_beyond_the_slices_is_refused(
    series: CTSeries, tmp_path: Path, lift: str
) -> None:
    path = write_structure_set(tmp_path / "rs.dcm", series, [(1, 0, _square(5, 20))], lift=lift)
    with pytest.raises(GeometryError, match="must lie on one of the 4 slices, got one at slices"):
        read_structure_set(path, series)


def test_another_frame_of_reference_is_refused(series: CTSeries, tmp_path: Path) -> None:
    path = write_structure_set(
        tmp_path / "rs.dcm", series, [(1, 0, _square(5, 20))], frame="2.25.8"
    )
    with pytest.raises(GeometryError, match=r"frame of reference .* 2\.25\.777, got 2\.25\.8"):
        read_structure_set(path, series)


def test_a_number_that_a_byte_cannot_hold_is_refused(series: CTSeries, tmp_path: Path) -> None:
    path = write_structure_set(tmp_path / "rs.dcm", series, [(300, 0, _square(5, 20))])
    with pytest.raises(InputError, match="ROI numbers must be 1 to 255, got 300"):
        read_structure_set(path, series)


def test_a_ct_image_is_no_structure_set(series: CTSeries, tmp_path: Path) -> None:
    header = SeriesHeader(
        patient_id="A", study_uid="2.25.1", series_uid="2.25.2", frame_of_reference_uid=FRAME
    )
    write_ct_series(series.volume, header, tmp_path)
    image = next(tmp_path.glob("*.dcm"))
    assert not is_structure_set(image)
    with pytest.raises(InputError, match="must be an RT Structure Set, got CT"):
        read_structure_set(image, series)
