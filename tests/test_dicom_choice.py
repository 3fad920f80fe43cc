"""Which series of a study is screened, and the reasons that go with it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path

import pytest

from osteoscreen.dicom.choice import choose_series
from osteoscreen.dicom.discovery import SeriesFiles
from osteoscreen.dicom.frame import Frame
from osteoscreen.dicom.kernel import Kernel, kernel_of


def _series(uid: str, count: int = 60, **changes: object) -> SeriesFiles:
    plain = SeriesFiles(
        series_uid=uid,
        study_uid="2.25.1",
        modality="CT",
        description="",
        frames=tuple(Frame(Path(f"{uid}-{index}")) for index in range(count)),
        image_types=(("ORIGINAL", "PRIMARY", "AXIAL"),),
        kernel="B30f",
        thickness_mm=3.0,
        length_mm=300.0,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


BEST = _series("best")
WORSE = {
    "is_axial": (_series("1", 400, is_axial=False), "it is not axial"),
    "is_original": (
        _series("2", 400, image_types=(("DERIVED", "SECONDARY", "AXIAL"),)),
        "it is derived",
    ),
    "reach": (_series("3", 400, length_mm=100.0), "it covers less"),
    "is_trunk": (_series("4", 400, body_part="HEAD"), "it names another body region"),
    "is_thin": (_series("5", 400, thickness_mm=10.0), "too thick, or of unknown thickness"),
    "unknown": (_series("6", 400, thickness_mm=None), "too thick, or of unknown thickness"),
    "kernel": (_series("7", 400, kernel="B70f"), "its kernel is sharper, or unknown"),
    "is_plain": (_series("8", 400, has_contrast=True), "a contrast agent is recorded"),
    "length_mm": (_series("9", 400, length_mm=250.0), "it covers less"),
    "slices": (_series("10", 59), "it has fewer slices"),
    "key": (_series("aest"), "both fit alike"),
}


@pytest.mark.parametrize("name", WORSE)
def test_each_question_decides_and_is_the_reason(name: str) -> None:
    worse, reason = WORSE[name]
    choice = choose_series([worse, BEST])
    assert choice.chosen is BEST
    assert reason in choice.skipped[worse.key]
    assert choice.reason(BEST).startswith(
        "the best of 2 CT series: axial, original, 60 slices over 300"
    )


def test_an_earlier_question_weighs_more_than_all_later_ones() -> None:
    names = [name for name in WORSE if name != "unknown"]
    for earlier, later in pairwise(names):
        first, second = WORSE[earlier][0], WORSE[later][0]
        assert choose_series([first, second]).chosen is second, (earlier, later)


def test_the_choice_does_not_depend_on_the_order() -> None:
    found = [BEST, *(one for one, _ in list(WORSE.values())[-3:])]
    assert {choose_series(order).chosen for order in permutations(found)} == {BEST}


def test_only_ct_slices_are_chosen() -> None:
    found = [
        _series("1", modality="MR"),
        _series("2", modality=""),
        _series("3", image_types=(("ORIGINAL", "PRIMARY", "LOCALIZER"),)),
        _series("4", image_types=(("DERIVED", "SECONDARY", "MIP"),)),
        _series("5", image_types=(("DERIVED", "PRIMARY", "AXIAL", "VMI_40KEV"),)),
        _series("6", image_types=(("DERIVED", "SECONDARY", "AXIAL", "AVERAGE"),)),
        _series("7", image_types=(("DERIVED", "PRIMARY", "AXIAL", "MONO_70KEV"),)),
    ]
    choice = choose_series(found)
    assert choice.chosen is None
    assert choice.ranked == ()
    assert choice.skipped == {
        "1": "modality MR, not CT",
        "2": "modality unknown, not CT",
        "3": "image type LOCALIZER, not CT slices",
        "4": "image type MIP, not CT slices",
        "5": "image type VMI_40KEV, not conventional CT",
        "6": "image type AVERAGE, not CT slices",
        "7": "image type MONO_70KEV, not conventional CT",
    }


def test_one_series_alone_is_the_only_one() -> None:
    assert choose_series([BEST]).reason(BEST).startswith("the only CT: axial")


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("B30f", Kernel.SOFT),
        ("Br40f 3", Kernel.SOFT),
        ("I31f 3", Kernel.SOFT),
        ("STANDARD", Kernel.SOFT),
        ("SOFT", Kernel.SOFT),
        ("B", Kernel.SOFT),
        ("C", Kernel.SOFT),
        ("FC08", Kernel.SOFT),
        ("B70f", Kernel.SHARP),
        ("I70f 3", Kernel.SHARP),
        ("Br64", Kernel.SHARP),
        ("Hr68h 3", Kernel.SHARP),
        ("BONEPLUS", Kernel.SHARP),
        ("LUNG", Kernel.SHARP),
        ("Bl57", Kernel.SHARP),
        ("YC", Kernel.SHARP),
        ("FC52", Kernel.SHARP),
        ("", Kernel.UNKNOWN),
        (" ", Kernel.UNKNOWN),
    ],
)
def test_a_kernel_is_rated_by_its_name(name: str, kernel: Kernel) -> None:
    assert kernel_of(name) is kernel
