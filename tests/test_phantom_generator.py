"""The whole phantom: patients, exact labels, and slices that agree with each other."""

from __future__ import annotations

import dataclasses
import functools
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy import ndimage

from osteoscreen.findings import CONDITIONS, condition_of_t_score
from osteoscreen.phantom import Mode, Patient, Scan, SliceImage, draw_patient, render_slice
from osteoscreen.phantom.anatomy import STREAMS, streams
from osteoscreen.phantom.field import SPLINE_SD, SmoothField
from osteoscreen.phantom.generator import BODY, REST, SPINE_WARP, SUB_PLANES, WARP_MM
from osteoscreen.phantom.spine import LEVELS
from osteoscreen.phantom.tissue import AIR_HU
from osteoscreen.phantom.vertebra import Vertebra

IDEAL = Scan(
    matrix=128,
    field_of_view_mm=400.0,
    centre_mm=(0.0, -45.0),
    thickness_mm=3.0,
    kvp=120,
    tube_current_ma=200,
    blur_mm=0.0,
    sharpening=0.0,
    noise_hu=0.0,
    offset_hu=0.0,
    manufacturer="SYNTHETIC PHANTOM",
    model="Ingenuity CT",
    kernel="B30f",
    is_round=False,
)
"""A scanner that only rounds."""
CLOSE = dataclasses.replace(IDEAL, field_of_view_mm=128.0, centre_mm=(0.0, 20.0))
"""Pixels of 1 mm around the spine."""
CLINICAL = dataclasses.replace(IDEAL, blur_mm=0.6, sharpening=0.2, noise_hu=15.0, offset_hu=3.0)

SEED = 31


@functools.cache
def _patient(case: int = 0, mode: Mode = Mode.COHORT) -> Patient:
    return draw_patient(SEED, case, mode)


def _height(patient: Patient, level: str) -> float:
    return patient.vertebra(level).centre_mm[2]


def _render(patient: Patient, scan: Scan, z_mm: float, seed: int = 0) -> SliceImage:
    return render_slice(patient, scan, z_mm, np.random.default_rng(seed))


def _still(patient: Patient) -> Patient:
    """The same patient before the warp."""

    def rest(field: SmoothField) -> SmoothField:
        return dataclasses.replace(field, lattice=np.zeros_like(field.lattice))

    one, two, three, four = patient.warps
    return dataclasses.replace(patient, warps=(rest(one), rest(two), rest(three), rest(four)))


def _core(labels: NDArray[np.uint8], margin: int) -> NDArray[np.bool_]:
    return np.asarray(ndimage.binary_erosion(labels == BODY, iterations=margin), dtype=bool)


@pytest.mark.parametrize("mode", list(Mode))
def test_the_same_seed_gives_the_same_patient_to_the_last_bit(mode: Mode) -> None:
    one, other = draw_patient(SEED, 3, mode), draw_patient(SEED, 3, mode)
    assert one.bone == other.bone
    assert one.trunk == other.trunk
    assert one.tissues == other.tissues
    for z in (0.0, 100.0):
        first, second = _render(one, CLINICAL, z), _render(other, CLINICAL, z)
        assert_array_equal(first.hu, second.hu)
        assert_array_equal(first.labels, second.labels)


def test_another_case_or_another_cohort_is_another_patient() -> None:
    one = draw_patient(SEED, 3)
    for other in (draw_patient(SEED, 6), draw_patient(SEED + 1, 3)):
        assert one.bone.t_score != other.bone.t_score
        assert one.trunk.half_width_mm != other.trunk.half_width_mm
        assert not np.array_equal(one.warps[0].lattice, other.warps[0].lattice)
        assert not np.array_equal(_render(one, IDEAL, 0.0).hu, _render(other, IDEAL, 0.0).hu)


def test_a_slice_does_not_depend_on_the_slices_before_it() -> None:
    patient = draw_patient(SEED, 1)
    fresh = _render(patient, CLINICAL, 10.0)
    _render(patient, CLINICAL, -40.0)
    assert_array_equal(_render(patient, CLINICAL, 10.0).hu, fresh.hu)


def test_only_the_noise_depends_on_the_random_numbers_of_a_slice() -> None:
    patient = _patient()
    one, other = _render(patient, CLINICAL, 0.0, 1), _render(patient, CLINICAL, 0.0, 2)
    assert_array_equal(one.labels, other.labels)
    assert not np.array_equal(one.hu, other.hu)
    # Two independent noises of 15 HU, weaker towards the edges.
    assert 5 < (one.hu - other.hu).std() < 15 * np.sqrt(2)
    assert_array_equal(_render(patient, IDEAL, 0.0, 1).hu, _render(patient, IDEAL, 0.0, 2).hu)


def test_each_part_of_a_patient_has_a_stream_of_its_own() -> None:
    first = {name: rng.random() for name, rng in streams(SEED, 0).items()}
    assert tuple(first) == STREAMS
    assert len(set(first.values())) == len(STREAMS)
    assert first == {name: rng.random() for name, rng in streams(SEED, 0).items()}
    assert first["bone"] != streams(SEED, 1)["bone"].random()


def test_classes_take_turns_unless_one_is_asked_for() -> None:
    patients = [draw_patient(SEED, case) for case in range(3)]
    patients += [draw_patient(SEED, 0, condition_index=index) for index in range(3)]
    assert [patient.bone.condition_index for patient in patients] == [0, 1, 2, 0, 1, 2]
    for patient in patients:
        implied = condition_of_t_score(patient.bone.t_score)
        assert CONDITIONS.index(implied) == patient.bone.condition_index


@pytest.mark.parametrize("mode", list(Mode))
def test_a_patient_is_a_person(mode: Mode) -> None:
    for case in range(4):
        patient = _patient(case, mode)
        assert patient.sex in {"F", "M"}
        assert 22 <= patient.age <= 92
        assert tuple(vertebra.level for vertebra in patient.vertebrae) == LEVELS
        assert patient.trunk.half_width_mm > 90


def test_there_is_no_vertebra_of_an_unknown_name() -> None:
    with pytest.raises(KeyError, match="C1"):
        _patient().vertebra("C1")


def test_contrast_is_given_in_randomised_patients_only() -> None:
    assert not any(_patient(case).has_contrast for case in range(4))
    randomised = [_patient(case, Mode.RANDOMISED) for case in range(8)]
    assert {patient.has_contrast for patient in randomised} == {True, False}
    for patient in randomised:
        raised = patient.tissues.aorta - patient.tissues.blood
        assert (raised != 0) == patient.has_contrast


def test_a_thick_slice_is_the_mean_of_its_sub_planes() -> None:
    patient, z = _patient(1), _height(_patient(1), "L2") + 9.0
    thick = _render(patient, dataclasses.replace(CLOSE, thickness_mm=5.0), z)
    thin_scan = dataclasses.replace(CLOSE, thickness_mm=0.0)
    offsets = (np.arange(SUB_PLANES) - (SUB_PLANES - 1) / 2) * 5.0 / SUB_PLANES
    thin = [_render(patient, thin_scan, z + offset) for offset in offsets]
    bodies = np.sum([image.labels == BODY for image in thin], axis=0)
    bones = np.sum([image.labels > 0 for image in thin], axis=0)
    expected = np.where(2 * bodies >= SUB_PLANES, BODY, np.where(2 * bones >= SUB_PLANES, REST, 0))
    assert_array_equal(thick.labels, expected)
    # Where all is bone nothing else shows through: only both roundings remain.
    whole = bones == SUB_PLANES
    mean = np.mean([image.hu for image in thin], axis=0)
    assert whole.sum() > 300
    assert_allclose(thick.hu[whole], mean[whole], atol=1.0)


def test_partial_volume_exists_only_in_thick_slices() -> None:
    patient, z = _patient(1), _height(_patient(1), "L2") + 13.0
    values = []
    for thickness in (0.0, 5.0):
        image = _render(patient, dataclasses.replace(CLOSE, thickness_mm=thickness), z)
        cortex = np.rint(patient.bone.cortex_hu)
        values.append(float((np.abs(image.hu - cortex) <= 1).mean()))
    assert values[1] < values[0]


def _is_in_body(vertebra: Vertebra, place: tuple[float, float, float]) -> bool:
    """Whether one point lies in a body, worked in plain numbers."""
    d = np.array(place) - np.array(vertebra.centre_mm)
    u, v, w = (float(np.dot(axis, d)) for axis in vertebra.axes.astype(float))
    squeeze = 1 - vertebra.waist * (1 - min((2 * w / vertebra.height_mm) ** 2, 1))
    dent = 1 - vertebra.notch * np.exp(-((u / (0.24 * vertebra.width_mm)) ** 2)) if v > 0 else 1
    n = vertebra.exponent
    relative = abs(u / (vertebra.width_mm / 2 * squeeze)) ** n
    relative = (relative + abs(v / (vertebra.depth_mm / 2 * squeeze * dent)) ** n) ** (1 / n)
    for spur in vertebra.osteophytes:
        turn = (np.arctan2(v, u) - spur.angle + np.pi) % (2 * np.pi) - np.pi
        rim = vertebra.height_mm / 2 * (1 if spur.upper else -1)
        size = spur.size_mm * np.exp(-((turn / 0.35) ** 2) - ((w - rim) / 3.0) ** 2)
        relative /= 1 + size / max(np.hypot(u, v), 8)
    dip = vertebra.concavity_mm * (1 - min(relative, 1) ** 2)
    return bool(relative < 1 and abs(w) < vertebra.height_mm / 2 - dip)


@pytest.mark.parametrize("level", ["T12", "L2", "L4"])
def test_the_label_of_a_body_has_the_area_of_a_monte_carlo_count(level: str) -> None:
    patient = _still(_patient(2))
    vertebra = patient.vertebra(level)
    x, y, z = vertebra.centre_mm
    scan = dataclasses.replace(CLOSE, thickness_mm=0.0, centre_mm=(x, y))
    image = _render(patient, dataclasses.replace(scan, field_of_view_mm=96.0), z)
    area = (image.labels == BODY).sum() * 0.75**2
    points = np.random.default_rng(0).uniform(-32, 32, (12_000, 2))
    hits = sum(_is_in_body(vertebra, (x + u, y + v, z)) for u, v in points)
    # About 3500 hits: 1.4 % of standard error, and as much again of pixel edges.
    assert_allclose(area, hits / 12_000 * 64**2, rtol=0.045)


def test_the_spine_follows_the_warp_by_its_share_and_the_trunk_in_full() -> None:
    still = _still(_patient(1))
    first, second, third, fourth = still.warps
    # A lattice of one value is a field of one value: everything moves to the right by 12 mm.
    pushed = dataclasses.replace(
        first, lattice=np.full_like(first.lattice, 12.0 / WARP_MM[0] * SPLINE_SD)
    )
    moved = dataclasses.replace(still, warps=(pushed, second, third, fourth))
    wide = dataclasses.replace(IDEAL, field_of_view_mm=500.0, matrix=250)
    trunks, bodies = [], []
    for patient in (still, moved):
        image = _render(patient, wide, _height(patient, "L3"))
        trunks.append(float(np.nonzero(np.abs(image.hu) < 300)[1].mean()) * wide.pixel_mm)
        bodies.append(float(np.nonzero(image.labels == BODY)[1].mean()) * wide.pixel_mm)
    # A fraction of a pixel of 2 mm, which averages out over an outline.
    assert_allclose(trunks[0] - trunks[1], 12.0, atol=1.0)
    assert_allclose(bodies[0] - bodies[1], 12.0 * SPINE_WARP, atol=0.5)
    assert 0 < SPINE_WARP < 0.5


@pytest.mark.parametrize("case", [0, 1])
def test_the_vertebra_has_the_same_area_at_two_fields_of_view(case: int) -> None:
    patient = _patient(case)
    z = _height(patient, "L3")
    areas = []
    for field_of_view in (150.0, 220.0):
        scan = dataclasses.replace(CLOSE, matrix=192, field_of_view_mm=field_of_view)
        labels = _render(patient, scan, z).labels
        areas.append([(labels == value).sum() * scan.pixel_mm**2 for value in (BODY, REST)])
    # Body: 1200 mm2 in pixels of 1.3 mm2 at most. The rest is thin, so its edge counts for more.
    assert_allclose(areas[0][0], areas[1][0], rtol=0.015)
    assert_allclose(areas[0][1], areas[1][1], rtol=0.06)


def test_two_fields_of_view_agree_at_the_pixels_they_share() -> None:
    patient = _patient(1)
    wide = dataclasses.replace(IDEAL, matrix=100, field_of_view_mm=400.0, centre_mm=(0.0, -44.0))
    small = dataclasses.replace(wide, matrix=50, field_of_view_mm=200.0)
    for level in ("L1", "L4"):
        one = _render(patient, wide, _height(patient, level))
        other = _render(patient, small, _height(patient, level))
        assert_array_equal(one.labels[25:75, 25:75], other.labels)
        # An organ may be cut short at the edge of its window, which the image's middle decides.
        assert (np.abs(one.hu[25:75, 25:75] - other.hu) <= 1).mean() > 0.98


@pytest.mark.parametrize("kvp", [80, 100, 140])
def test_the_tube_voltage_scales_bone_and_leaves_soft_tissue(kvp: int) -> None:
    patient = _patient()
    scan = dataclasses.replace(CLOSE, kvp=kvp)
    before, after = _render(patient, CLOSE, 0.0).hu, _render(patient, scan, 0.0).hu
    bone = before > 130
    gain = {80: 1.24, 100: 1.08, 140: 0.95}[kvp]
    # Both are rounded to whole HU and the bone is measured from 100 HU up.
    assert_allclose(after[bone], 100 + (before[bone] - 100) * gain, atol=1.2)
    assert_array_equal(after[before < 99], before[before < 99])
    assert np.sign(after[bone].mean() - before[bone].mean()) == np.sign(gain - 1)


@pytest.mark.parametrize("mode", list(Mode))
def test_stored_values_are_whole_and_fit_twelve_bits(mode: Mode) -> None:
    image = _render(_patient(1, mode), dataclasses.replace(CLINICAL, sharpening=1.0), 60.0)
    assert image.hu.dtype == np.float32
    assert image.labels.dtype == np.uint8
    assert image.hu.shape == image.labels.shape == (128, 128)
    assert_array_equal(image.hu, np.rint(image.hu))
    assert image.hu.min() >= -1024
    assert image.hu.max() <= 3071
    assert set(np.unique(image.labels)) <= {0, BODY, REST}


def test_the_height_of_a_slice_is_recorded() -> None:
    assert _render(_patient(), IDEAL, 12.5).z_mm == 12.5


@pytest.mark.parametrize("case", [0, 1, 2])
def test_every_vertebra_but_the_sacrum_is_labelled_at_its_centre(case: int) -> None:
    patient = _patient(case)
    for vertebra in patient.vertebrae:
        x, y, z = vertebra.centre_mm
        scan = dataclasses.replace(CLOSE, matrix=32, field_of_view_mm=32.0, centre_mm=(x, y))
        image = _render(patient, scan, z)
        middle = image.labels[10:22, 10:22]
        assert (middle == (0 if vertebra.level == "S1" else BODY)).all()
        assert image.hu[10:22, 10:22].mean() > 30


def test_body_and_rest_are_both_marked_and_denser_than_what_surrounds_them() -> None:
    for mode in Mode:
        patient = _patient(1, mode)
        image = _render(patient, CLOSE, _height(patient, "L3"))
        body, rest = image.labels == BODY, image.labels == REST
        assert body.sum() > 700
        assert rest.sum() > 150
        around = ndimage.binary_dilation(body | rest, iterations=6) & ~body & ~rest
        assert image.hu[body].mean() > image.hu[around].mean() + 30
        assert image.hu[rest].mean() > image.hu[around].mean() + 100
        # The arch lies behind the body.
        assert np.nonzero(rest)[0].mean() > np.nonzero(body)[0].mean() + 15


def test_trabecular_attenuation_in_the_image_is_that_of_the_patient() -> None:
    found, truth = [], []
    for case in range(6):
        patient = _patient(case)
        vertebra = patient.vertebra("L2")
        image = _render(patient, CLOSE, vertebra.centre_mm[2] + 6.0)
        found.append(float(image.hu[_core(image.labels, 4)].mean()))
        truth.append(vertebra.trabecular_hu)
    # Sclerosis under the endplates adds, the vein takes away: some HU either way.
    assert_allclose(found, truth, atol=20)
    assert abs(np.mean(np.subtract(found, truth))) < 10
    assert np.corrcoef(found, truth)[0, 1] > 0.97


def test_neighbouring_slices_agree() -> None:
    patient = _patient(2)
    thin = dataclasses.replace(IDEAL, thickness_mm=1.0)
    for z in (-60.0, 0.0, 60.0, 100.0):
        near, next_, far = (_render(patient, thin, z + step).hu.ravel() for step in (0, 1, 25))
        close = np.corrcoef(near, next_)[0, 1]
        assert close > 0.97
        assert close > np.corrcoef(near, far)[0, 1] + 0.01


def test_labels_change_little_from_slice_to_slice() -> None:
    patient = _patient(1)
    thin = dataclasses.replace(CLOSE, thickness_mm=1.0)
    one, other = (_render(patient, thin, z).labels == BODY for z in (0.0, 1.0))
    assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.97


def test_right_is_left_in_the_image() -> None:
    for case in range(3):
        patient = _patient(case)
        tissues = dataclasses.replace(patient.tissues, liver=1500.0)
        image = _render(
            dataclasses.replace(patient, tissues=tissues), IDEAL, _height(patient, "T12")
        )
        columns = np.nonzero(image.hu > 1400)[1]
        assert len(columns) > 100
        assert columns.mean() < 64 - 8


def test_a_slice_shows_the_whole_anatomy() -> None:
    patient = _patient()
    tissues, found = patient.tissues, np.zeros(4096, bool)
    scan = dataclasses.replace(IDEAL, matrix=160, field_of_view_mm=480.0)
    for level in LEVELS[2:]:
        found[_render(patient, scan, _height(patient, level)).hu.astype(int) + 1024] = True
    at = {
        "air": AIR_HU,
        "gas": -950,
        "table": -890,
        "fat": tissues.fat,
        "skin": tissues.skin,
        "muscle": tissues.muscle,
        "kidney": tissues.kidney,
        "aorta": tissues.aorta,
        "thecal sac": tissues.thecal_sac,
        "disc": tissues.disc,
        "cortex": patient.bone.cortex_hu,
    }
    missing = [
        name for name, hu in at.items() if not found[round(hu) + 1023 : round(hu) + 1026].any()
    ]
    assert not missing


def test_a_slice_far_from_the_spine_shows_no_bone_label() -> None:
    patient = _patient()
    beside = dataclasses.replace(CLOSE, matrix=32, field_of_view_mm=64.0, centre_mm=(400.0, 20.0))
    image = _render(patient, beside, 0.0)
    assert not image.labels.any()


def test_the_phantom_needs_no_pytorch() -> None:
    code = (
        "import sys, osteoscreen.phantom; "
        "sys.exit(any(name.split('.')[0] == 'torch' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
