"""NIfTI: the same values at the same places, labels on the same grid, refusals for the rest."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from osteoscreen.errors import GeometryError, InputError, RefusalCode
from osteoscreen.nifti import read_labels, read_labels_on, read_nifti, write_labels
from osteoscreen.volume import stand

REAL = Path(__file__).parents[2] / "shared" / "real"

RAS = np.array([[-0.8, 0, 0, 90], [0, 0.7, 0, -70], [0, 0, 2.5, -300], [0, 0, 0, 1.0]])


def _values() -> NDArray[np.int16]:
    return np.random.default_rng(3).integers(-1024, 1500, (6, 5, 4)).astype(np.int16)


def _write(path: Path, array: NDArray[Any], affine: NDArray[np.float64] = RAS) -> Path:
    image: Any = nibabel.Nifti1Image(array, affine)
    image.set_sform(affine, code=1)
    nibabel.save(image, path)
    return path


def test_every_voxel_keeps_its_value_and_its_place(tmp_path: Path) -> None:
    values = _values()
    volume = read_nifti(_write(tmp_path / "ct.nii.gz", values))
    assert volume.hu.shape == (4, 5, 6)
    for index in np.ndindex(6, 5, 4):
        place = volume.affine @ (*index[::-1], 1)
        ras = RAS @ (*index, 1)
        assert_allclose(place[:3] * (-1, -1, 1), ras[:3], rtol=0, atol=1e-4)  # float32 affine
        assert_allclose(volume.hu[index[::-1]], values[index])


def test_a_scaled_file_is_read_in_hu(tmp_path: Path) -> None:
    image: Any = nibabel.Nifti1Image(_values().astype(np.float32), RAS)
    image.set_data_dtype(np.int16)
    nibabel.save(image, tmp_path / "ct.nii")
    # int16 over 2,500 HU: steps of 0.04 HU
    assert_allclose(
        read_nifti(tmp_path / "ct.nii").hu.transpose(2, 1, 0), _values(), rtol=0, atol=0.05
    )


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (1, -1, -1), (-1, 1, -1)])
def test_the_patient_stands_the_same_whatever_the_storage(
    signs: tuple[int, int, int], tmp_path: Path
) -> None:
    values = _values()
    reference, _ = stand(read_nifti(_write(tmp_path / "a.nii", values)))
    flipped = values[:: signs[0], :: signs[1], :: signs[2]]
    affine = RAS.copy()
    for axis, sign in enumerate(signs):
        if sign < 0:
            affine[:, 3] += (values.shape[axis] - 1) * affine[:, axis]
            affine[:, axis] *= -1
    standing, _ = stand(read_nifti(_write(tmp_path / "b.nii", flipped, affine)))
    assert_array_equal(standing.hu, reference.hu)
    assert_allclose(standing.affine, reference.affine, rtol=0, atol=1e-4)


def test_labels_overlay_the_file_that_was_read(tmp_path: Path) -> None:
    values = _values()
    oblique = RAS.copy()
    oblique[:3, :3] = oblique[:3, :3] @ np.array([[1, 0.1, 0], [-0.1, 1, 0.2], [0, -0.2, 1]])
    path = _write(tmp_path / "ct.nii.gz", values, oblique)
    volume = read_nifti(path)
    write_labels((volume.hu > 300).astype(np.uint8), volume, tmp_path / "labels.nii.gz")
    labels: Any = nibabel.load(tmp_path / "labels.nii.gz")
    source: Any = nibabel.load(path)
    assert_array_equal(np.asarray(labels.dataobj), values > 300)
    assert_array_equal(labels.affine, source.affine)
    assert labels.get_data_dtype() == np.uint8
    assert labels.header["sform_code"] == 1


def test_written_labels_are_read_back(tmp_path: Path) -> None:
    volume = read_nifti(_write(tmp_path / "ct.nii", _values()))
    labels = np.random.default_rng(5).integers(0, 3, volume.hu.shape).astype(np.uint8)
    write_labels(labels, volume, tmp_path / "labels.nii.gz")
    assert_array_equal(read_labels(tmp_path / "labels.nii.gz"), labels)


@pytest.mark.parametrize("value", [-1.0, 0.5, 256.0])
def test_values_that_are_no_labels_are_refused(value: float, tmp_path: Path) -> None:
    path = _write(tmp_path / "labels.nii", np.full((6, 5, 4), value, dtype=np.float32))
    with pytest.raises(InputError, match="whole numbers") as caught:
        read_labels(path)
    assert caught.value.code is RefusalCode.UNSUPPORTED_FORMAT


def test_labels_of_another_shape_are_refused(tmp_path: Path) -> None:
    volume = read_nifti(_write(tmp_path / "ct.nii", _values()))
    with pytest.raises(ValueError, match=r"must have shape \(4, 5, 6\), got \(6, 5, 4\)"):
        write_labels(np.zeros((6, 5, 4), dtype=np.uint8), volume, tmp_path / "labels.nii")


def _refused(path: Path, code: RefusalCode, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        read_nifti(path)
    assert caught.value.code is code
    assert caught.value.source == path


@pytest.mark.parametrize(
    "array",
    [
        _values() % 50,
        _values() % 256,
        _values() + 1024,
        (_values() / 4096 + 0.5).astype(np.float32),
        np.where(_values() > 0, np.nan, _values()).astype(np.float32),
        np.full((6, 5, 4), -1000, np.int16),
    ],
    ids=["labels", "grey", "stored values", "0 to 1", "nan", "air"],
)
def test_values_that_are_no_hounsfield_units_are_refused(
    array: NDArray[Any], tmp_path: Path
) -> None:
    _refused(_write(tmp_path / "ct.nii.gz", array), RefusalCode.NOT_HU, "must be")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    _refused(tmp_path / "nowhere.nii", RefusalCode.NO_INPUT, "must exist")


def test_four_axes_are_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "ct.nii", _values()[..., None].repeat(2, axis=3))
    _refused(path, RefusalCode.UNSUPPORTED_FORMAT, "three axes")


def test_colours_are_refused(tmp_path: Path) -> None:
    colours = np.zeros((6, 5, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    _refused(_write(tmp_path / "ct.nii", colours), RefusalCode.UNSUPPORTED_FORMAT, "plain numbers")


def test_an_image_without_orientation_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "ct.nii", _values())
    image: Any = nibabel.load(path)
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    nibabel.save(image, path)
    with pytest.raises(GeometryError, match="sform or the qform"):
        read_nifti(path)


def test_a_flat_affine_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "ct.nii", _values())
    content = bytearray(path.read_bytes())
    content[312:328] = bytes(16)  # srow_z
    path.write_bytes(content)
    with pytest.raises(GeometryError, match="invertible"):
        read_nifti(path)


def test_metres_are_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "ct.nii", _values())
    image: Any = nibabel.load(path)
    image.header.set_xyzt_units("meter")
    nibabel.save(image, path)
    _refused(path, RefusalCode.NO_SPACING, "got meter")


def test_a_huge_axis_is_refused_before_reading(tmp_path: Path) -> None:
    path = _write(tmp_path / "ct.nii", _values())
    content = bytearray(path.read_bytes())
    content[42:48] = np.array([32767, 32767, 32767], dtype="<i2").tobytes()
    path.write_bytes(content)
    _refused(path, RefusalCode.TOO_LARGE, "32767")


def test_an_image_that_claims_too_much_for_its_size_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "ct.nii.gz", _values())
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[42:48] = np.array([512, 512, 200], dtype="<i2").tobytes()
    path.write_bytes(gzip.compress(content))
    _refused(path, RefusalCode.TOO_LARGE, "more than 100 times its size, .* 104857600 bytes")


def test_extensions_of_a_header_are_never_inflated(tmp_path: Path) -> None:
    path = _write(tmp_path / "ct.nii", _values())
    content = bytearray(path.read_bytes())
    content[348:] = b"\x01\0\0\0" + np.array([-8, 6], dtype="<i4").tobytes() + bytes(8)
    content[108:112] = np.array([368], dtype="<f4").tobytes()  # vox_offset
    content += _values().tobytes(order="F")
    packed = path.with_suffix(".nii.gz")
    packed.write_bytes(gzip.compress(content))
    assert_array_equal(read_nifti(packed).hu, _values().transpose(2, 1, 0))


@pytest.mark.parametrize(
    ("offset", "code"),
    [
        (2.0**30, RefusalCode.TOO_LARGE),
        (np.inf, RefusalCode.UNSUPPORTED_FORMAT),
        (np.nan, RefusalCode.UNSUPPORTED_FORMAT),
    ],
)
def test_voxels_that_begin_far_away_are_refused(
    offset: float, code: RefusalCode, tmp_path: Path
) -> None:
    path = _write(tmp_path / "ct.nii", _values())
    content = bytearray(path.read_bytes())
    content[108:112] = np.array([offset], dtype="<f4").tobytes()
    path.write_bytes(content)
    _refused(path, code, "must be")


def test_a_mask_that_is_larger_than_its_image_is_not_read(tmp_path: Path) -> None:
    standing, _ = stand(read_nifti(_write(tmp_path / "ct.nii", _values())))
    mask = _write(tmp_path / "mask.nii", np.zeros((9, 9, 9), np.uint8))
    mask.write_bytes(mask.read_bytes()[:400])  # reading its labels would be TRUNCATED
    with pytest.raises(GeometryError, match=r"got \(9, 9, 9\)") as caught:
        read_labels_on(mask, standing)
    assert caught.value.code is RefusalCode.MASK_MISMATCH


@pytest.mark.parametrize("kept", [20, 100, 300])
def test_a_truncated_archive_is_refused(kept: int, tmp_path: Path) -> None:
    path = _write(tmp_path / "ct.nii.gz", np.tile(_values(), (4, 4, 4)))
    path.write_bytes(path.read_bytes()[:kept])
    _refused(path, RefusalCode.TRUNCATED, "ended in")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "ct.nii", _values())
    path.write_bytes(path.read_bytes()[:-10])
    _refused(path, RefusalCode.TRUNCATED, "voxels must be complete")


@pytest.mark.parametrize(
    ("name", "is_zipped"),
    [("ct.nii", False), ("ct.nii.gz", False), ("ct.nii.gz", True), ("ct.png", False)],
)
def test_another_format_is_refused(name: str, is_zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / name
    content = b"not an image " * 100
    path.write_bytes(gzip.compress(content) if is_zipped else content)
    _refused(path, RefusalCode.UNSUPPORTED_FORMAT, "must be NIfTI")


def test_another_format_that_nibabel_reads_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ct.mgz"
    nibabel.save(
        nibabel.MGHImage(_values().astype(np.int32), RAS),
        path,
    )
    _refused(path, RefusalCode.UNSUPPORTED_FORMAT, "must be NIfTI")


@pytest.mark.skipif(not REAL.exists(), reason="the real CT data is not here")
@pytest.mark.parametrize("name", ["ts_lumbar/ct.nii.gz", "verse014/ct.nii.gz"])
def test_real_ct_is_read_and_stands(name: str) -> None:
    standing, _ = stand(read_nifti(REAL / name))
    assert standing.hu.min() < -900
    assert standing.tilt_deg < 30


@pytest.mark.skipif(not REAL.exists(), reason="the real CT data is not here")
@pytest.mark.parametrize(
    "name", ["ts_lumbar/vertebrae.nii.gz", "ts_lumbar/vertebral_bodies.nii.gz"]
)
def test_a_real_label_map_is_refused(name: str) -> None:
    _refused(REAL / name, RefusalCode.NOT_HU, "values must be HU")
