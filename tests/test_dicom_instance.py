"""CT instances as each simulated maker writes them: written, read back, compared, validated."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.testing import assert_array_equal

from osteoscreen.dicom.choice import choose_series
from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.instance import (
    PixelFormat,
    PrivateElement,
    SeriesHeader,
    write_ct_series,
)
from osteoscreen.dicom.series import read_series
from osteoscreen.phantom.fleet import MANUFACTURER, SCANNERS
from osteoscreen.phantom.scanner import Scan, acquire
from osteoscreen.volume import Affine, Volume

AIR_HU = -1024

AFFINE: Affine = np.array([[0, 0, 0.8, -25], [0, 0.8, 0, -25], [3.0, 0, 0, 0], [0, 0, 0, 1]])


def _header(name: str) -> SeriesHeader:
    scanner = SCANNERS[name]
    written = scanner.convention
    return SeriesHeader(
        patient_id="SYN-0001",
        patient_name="SYN-0001^SYNTHETIC",
        sex="F",
        age=66,
        study_uid="2.25.11",
        series_uid="2.25.12",
        frame_of_reference_uid="2.25.13",
        study_date="20200101",
        study_description="Synthetic phantom, no patient",
        series_description="Synthetic lumbar CT",
        manufacturer=MANUFACTURER,
        model=scanner.model,
        kernel=scanner.kernels[0].name,
        kvp=120,
        tube_current_ma=180,
        image_type=written.image_types,
        pixels=PixelFormat(
            intercept_hu=written.intercept_hu,
            is_signed=written.is_signed,
            bits=written.bits,
            padding_value=written.padding_value,
        ),
        private=tuple(PrivateElement(**asdict(tag)) for tag in written.private),
    )


def _slices(name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Three round slices with air, tissue and metal, so that every end of the scale is met."""
    scan = Scan(
        matrix=64,
        field_of_view_mm=51.2,
        centre_mm=(0.0, 0.0),
        thickness_mm=3.0,
        kvp=120,
        tube_current_ma=180,
        blur_mm=0.5,
        sharpening=0.0,
        noise_hu=12.0,
        offset_hu=0.0,
        manufacturer=MANUFACTURER,
        model=SCANNERS[name].model,
        kernel="",
        is_round=True,
        convention=SCANNERS[name].convention,
    )
    hu = np.full((64, 64), 40, np.float32)
    hu[:20] = -1000
    hu[30:34, 30:34] = 9000
    return np.stack([acquire(scan, np.random.default_rng(seed), hu) for seed in range(3)])


@pytest.mark.parametrize("name", SCANNERS)
def test_every_makers_series_is_read_back_with_padding_as_air(name: str, tmp_path: Path) -> None:
    hu = _slices(name)
    files = write_ct_series(Volume(hu, AFFINE), _header(name), tmp_path)
    padding_hu = SCANNERS[name].convention.padding_hu
    assert hu[0, 0, 0] == padding_hu
    chosen = choose_series(find_series(tmp_path).series).chosen
    assert chosen is not None
    series = read_series(chosen)
    assert_array_equal(series.volume.hu, np.where(hu == padding_hu, AIR_HU, hu))
    assert series.volume.hu.max() == 3071
    assert series.acquisition.kernel == SCANNERS[name].kernels[0].name
    assert series.acquisition.manufacturer == "SYNTHETIC PHANTOM"
    image = pydicom.dcmread(files[0])
    assert_array_equal(image.pixel_array + float(image.RescaleIntercept), hu[0])


@pytest.mark.parametrize("name", SCANNERS)
def test_headers_follow_the_convention(name: str, tmp_path: Path) -> None:
    (file, *_) = write_ct_series(Volume(_slices(name), AFFINE), _header(name), tmp_path)
    image, convention = pydicom.dcmread(file), SCANNERS[name].convention
    assert image.PixelRepresentation == int(convention.is_signed)
    assert (image.BitsStored, image.HighBit) == (convention.bits, convention.bits - 1)
    assert image.RescaleIntercept == convention.intercept_hu
    assert image.get("PixelPaddingValue") == convention.padding_value
    assert tuple(image.ImageType) == convention.image_types
    for tag in convention.private:
        element = image.private_block(tag.group, tag.creator)[tag.element]
        assert (element.VR, str(element.value)) == (tag.vr, tag.value)


def test_a_makers_private_attributes_share_one_block(tmp_path: Path) -> None:
    (file, *_) = write_ct_series(Volume(_slices("ge"), AFFINE), _header("ge"), tmp_path)
    creators = [one.value for one in pydicom.dcmread(file) if one.tag.is_private_creator]
    assert creators == ["GEMS_ACQU_01"]


def test_values_near_the_padding_are_clipped_and_not_taken_for_it(tmp_path: Path) -> None:
    hu = np.array([[[-3024.0, -3023.0, -1025.0, 5000.0]]], np.float32)
    header = replace(_header("ge"), thickness_mm=3.0)
    (file,) = write_ct_series(Volume(hu, AFFINE), header, tmp_path)
    assert_array_equal(pydicom.dcmread(file).pixel_array, [[-2000, 0, 0, 4095]])


def test_without_padding_nothing_leaves_the_scale(tmp_path: Path) -> None:
    hu = np.array([[[-3024.0, -1024.0, 3071.0, 5000.0]]], np.float32)
    (file,) = write_ct_series(Volume(hu, AFFINE), _header("siemens"), tmp_path)
    assert_array_equal(pydicom.dcmread(file).pixel_array, [[0, 0, 4095, 4095]])


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
@pytest.mark.parametrize("name", SCANNERS)
def test_dciodvfy_finds_no_error_in_any_makers_slice(name: str, tmp_path: Path) -> None:
    for file in write_ct_series(Volume(_slices(name), AFFINE), _header(name), tmp_path):
        checked = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        assert "Error" not in checked.stderr


@pytest.mark.skipif(shutil.which("dcentvfy") is None, reason="dcentvfy is not installed")
@pytest.mark.parametrize("name", SCANNERS)
def test_dcentvfy_finds_one_consistent_series(name: str, tmp_path: Path) -> None:
    files = write_ct_series(Volume(_slices(name), AFFINE), _header(name), tmp_path)
    checked = subprocess.run(["dcentvfy", *map(str, files)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert "Error" not in checked.stdout + checked.stderr
