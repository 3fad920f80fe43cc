"""What the networks see: views drawn from a seed and a number, inside their bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from torch import Tensor, distributed
from torch.testing import assert_close

from osteoscreen.cohort.manifest import Case, Manifest, Split
from osteoscreen.cohort.slices import LabelledSlice, read_slices
from osteoscreen.cohort.views import (
    Augmentation,
    ClassifierViews,
    SegmenterViews,
    ViewSampler,
    draw_pose,
)
from osteoscreen.findings import CONDITIONS, BoneCondition
from osteoscreen.screening.grid import Grid, grey, restore, sample, smooth
from osteoscreen.screening.roi import RoiSettings, cut_roi

WINDOW_HU = (-200.0, 1000.0)
STRONG = Augmentation(
    rotation_deg=20, shift_mm=40, scale=(0.8, 1.25), strip=0.5, degrade=0.5, mirror=True
)
ROI = RoiSettings(64, WINDOW_HU)


def _case(condition: BoneCondition | None = BoneCondition.LOW, patient: str = "1") -> Case:
    return Case(
        case_id=patient, patient_id=patient, image="x", condition=condition, split=Split.TRAIN
    )


def _slice(
    case: Case | None = None, *, size: int = 80, body: bool = True, hu: float = 300.0
) -> LabelledSlice:
    """A body of 12 x 20 mm with a process behind it, in soft tissue, pixels of 1 mm."""
    inside = np.zeros((size, size), bool)
    whole = inside.copy()
    middle = size // 2
    inside[middle - 6 : middle + 6, middle - 10 : middle + 10] = body
    whole[middle + 6 : middle + 12, middle - 2 : middle + 2] = body
    image = np.full((size, size), 40.0, np.float32)
    image[inside | whole] = hu
    return LabelledSlice(case or _case(), 0, image, inside, inside | whole, (1.0, 1.0))


def _segmenter(
    augmentation: Augmentation | None, *, seed: int = 3, slices: list[LabelledSlice] | None = None
) -> SegmenterViews:
    return SegmenterViews(
        iter(slices or [_slice(), _slice(hu=200)]),
        grid_size=64,
        spacing_mm=1.5,
        window_hu=WINDOW_HU,
        marks=("vertebra", "body"),
        augmentation=augmentation,
        seed=seed,
    )


def _classifier(
    augmentation: Augmentation | None,
    *,
    seed: int = 3,
    mark: str = "vertebra",
    fill: tuple[float, float] = (0.8, 1.0),
    slices: list[LabelledSlice] | None = None,
) -> ClassifierViews:
    return ClassifierViews(
        iter(slices or [_slice(), _slice(hu=200)]),
        ROI,
        mark=mark,
        augmentation=augmentation,
        fill=fill,
        seed=seed,
    )


Make = Callable[[int], SegmenterViews | ClassifierViews]


@pytest.mark.parametrize(
    "make",
    [lambda seed: _segmenter(STRONG, seed=seed), lambda seed: _classifier(STRONG, seed=seed)],
    ids=["segmenter", "classifier"],
)
def test_a_view_depends_on_seed_and_number_alone(make: Make) -> None:
    forwards, backwards, other = make(3), make(3), make(4)
    numbers = (0, 7, 123456)
    expected = [forwards[number] for number in numbers]
    for number, (image, target) in zip(numbers[::-1], expected[::-1]):
        for got, wanted in zip(backwards[number], (image, target)):
            assert_close(got, wanted, rtol=0, atol=0)
    assert not torch.equal(other[7][0], expected[1][0])
    assert not torch.equal(expected[0][0], expected[1][0])


def test_the_next_epoch_goes_on_where_the_last_one_ended() -> None:
    sampler = ViewSampler(5)
    seen = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        seen += list(sampler)
    assert seen == list(range(15))
    assert len(sampler) == 5


def test_processes_that_train_together_part_the_views(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = ViewSampler(7)
    sampler.set_epoch(2)
    whole = list(sampler)
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 3)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(distributed, "get_rank", lambda rank=rank: rank)
        assert len(sampler) == len(list(sampler))
        parts.append(list(sampler))
    assert whole == list(range(14, 21))
    assert sorted(number for part in parts for number in part) == whole[:6]
    assert {len(part) for part in parts} == {2}


def test_a_view_may_be_asked_for_twice_in_an_epoch() -> None:
    sampler = ViewSampler(4)
    sampler.set_epoch(2)
    assert list(islice(sampler, 2)) == [8, 9]
    assert list(sampler) == [8, 9, 10, 11]


def test_poses_stay_within_their_bounds_and_reach_them() -> None:
    rng = np.random.default_rng(0)
    poses = [draw_pose(rng, STRONG) for _ in range(2000)]
    turns = np.array([pose.rotation_deg for pose in poses])
    shifts = np.array([pose.shift_mm for pose in poses])
    scales = np.array([pose.scale for pose in poses])
    for values, bound in ((turns, 20), (shifts, 40), (np.log(scales), np.log(1.25))):
        assert np.abs(values).max() <= bound * (1 + 1e-12)
        assert np.abs(values).max() > 0.95 * bound
        # The mean of 2,000 even draws has a deviation of bound / 77; four of them.
        assert abs(values.mean()) < 4 * bound / np.sqrt(3 * 2000)


def test_no_augmentation_draws_the_identity() -> None:
    pose = draw_pose(np.random.default_rng(0), Augmentation())
    assert_allclose((pose.rotation_deg, *pose.shift_mm, pose.scale), (0, 0, 0, 1), atol=1e-15)


def test_a_plain_view_is_the_slice_on_the_grid() -> None:
    one = _slice()
    image, target = _segmenter(None)[0]
    assert image.shape == (1, 64, 64)
    assert target.shape == (2, 64, 64)
    grid = Grid(64, 1.5)
    filtered = smooth(one.hu, (1, 1), 1.5)
    # Half a grey step: the filtered slice is kept as whole HU (255 grey in 1,200 HU).
    expected = grey(sample(filtered, (1, 1), grid).astype(np.float32), WINDOW_HU)
    assert_allclose(image[0], expected, rtol=0, atol=255 / 1200 * 1.01)
    for channel, marked in enumerate((one.vertebra, one.body)):
        cover = sample(smooth(marked.astype(np.float32), (1, 1), 1.5), (1, 1), grid, outside=0)
        # Half a step: covers are kept as whole numbers up to 255, before and after sampling.
        assert_allclose(target[channel], cover, rtol=0, atol=1.01 / 255)
        assert target[channel].sum() * 1.5**2 == pytest.approx(marked.sum(), rel=0.01)


def test_marks_come_back_from_the_grid_better_than_a_yes_or_no_would() -> None:
    rows, columns = np.indices((80, 80))
    disc = (rows - 40.3) ** 2 + (columns - 39.6) ** 2 < 14.7**2
    one = replace(_slice(), hu=np.where(disc, 300, 40).astype(np.float32), vertebra=disc, body=disc)
    grid = Grid(64, 1.5)
    (cover, _) = _segmenter(None, slices=[one])[0][1]

    def dice(marks: NDArray[np.float32]) -> float:
        back = restore(marks, grid, (80, 80), (1, 1), 0.5)
        return float(2 * (back & disc).sum() / (back.sum() + disc.sum()))

    yes_or_no = sample(disc.astype(np.uint8), (1, 1), grid, order=0, outside=0)
    assert 1 - dice(cover.numpy()) < 0.5 * (1 - dice(yes_or_no.astype(np.float32)))


def test_the_body_lies_inside_the_vertebra_in_every_view() -> None:
    views = _segmenter(STRONG)
    for number in range(20):
        image, (vertebra, body) = views[number]
        assert (body <= vertebra).all()
        assert 0 <= image.min() <= image.max() <= 255
        assert 0 == vertebra.min() < vertebra.max() <= 1


def test_only_the_wanted_marks_are_given() -> None:
    views = SegmenterViews(
        iter([_slice()]), grid_size=64, spacing_mm=1.5, window_hu=WINDOW_HU, marks=("body",),
        augmentation=None, seed=0,
    )  # fmt: skip
    assert_close(views[0][1][0], _segmenter(None)[0][1][1], rtol=0, atol=0)


def test_without_a_spacing_the_whole_image_fits_the_grid() -> None:
    views = SegmenterViews(
        iter([_slice(size=80)]), grid_size=80, spacing_mm=None, window_hu=WINDOW_HU,
        marks=("vertebra",), augmentation=None, seed=0,
    )  # fmt: skip
    image, target = views[0]
    assert_allclose(image[0], grey(_slice(size=80).hu, WINDOW_HU), rtol=1e-6)
    assert_array_equal(target[0], _slice(size=80).vertebra)


def test_a_mirrored_view_is_the_plain_one_from_the_other_side() -> None:
    lopsided = _slice()
    lopsided.hu[:20, :20] = -800
    plain = _segmenter(None, slices=[lopsided])[0][0]
    views = _segmenter(Augmentation(mirror=True), slices=[lopsided])
    sides = [torch.equal(views[number][0], plain) for number in range(40)]
    assert 5 < sum(sides) < 35
    for number, is_plain in enumerate(sides):
        if not is_plain:
            assert_close(views[number][0], plain.flip(-1), rtol=0, atol=0)


def test_a_strip_keeps_columns_around_the_vertebra_and_nothing_else() -> None:
    plain, target = _segmenter(None, slices=[_slice()])[0]
    views = _segmenter(Augmentation(strip=1.0), slices=[_slice()])
    for number in range(10):
        image, marked = views[number]
        kept = (image[0] > 0).any(dim=0)
        columns = torch.nonzero(kept).ravel()
        assert kept[columns[0] : columns[-1] + 1].all()
        assert 2 * 0.09 * 64 - 2 <= len(columns) <= 2 * 0.25 * 64 + 1
        assert_close(image[:, :, kept], plain[:, :, kept], rtol=0, atol=0)
        assert_close(marked[:, :, kept], target[:, :, kept], rtol=0, atol=0)
        assert not marked[:, :, ~kept].any()


def test_degraded_views_move_no_mark() -> None:
    plain, target = _segmenter(None, slices=[_slice()])[0]
    views = _segmenter(Augmentation(degrade=1.0), slices=[_slice()])
    for number in range(5):
        image, marked = views[number]
        assert not torch.equal(image, plain)
        assert_close(marked, target, rtol=0, atol=0)


def _box_side(roi: Tensor) -> int:
    rows = torch.nonzero((roi[0] > 1).any(dim=1)).ravel()
    columns = torch.nonzero((roi[0] > 1).any(dim=0)).ravel()
    return int(max(rows[-1] - rows[0], columns[-1] - columns[0])) + 1


def test_the_vertebra_fills_its_share_of_every_roi() -> None:
    views = _classifier(Augmentation(), fill=(0.8, 1.0))
    shares = np.array([_box_side(views[number][0]) / 64 for number in range(60)])
    # Interpolation ends at the middle of the first and last of the mark's 20 pixels.
    assert shares.min() > 0.8 * 19 / 20 - 1 / 64
    assert shares.max() <= 1
    assert np.ptp(shares) > 0.12


@pytest.mark.parametrize("size", [32, 64, 224])
@pytest.mark.parametrize("mark", ["vertebra", "body"])
def test_a_test_roi_is_the_one_that_screening_cuts(mark: str, size: int) -> None:
    one = _slice()
    settings = RoiSettings(size, WINDOW_HU)
    roi, condition = ClassifierViews(iter([one]), settings, mark=mark, augmentation=None)[0]
    chosen = one.vertebra if mark == "vertebra" else one.body
    # The same sums in another place of the image: rounding of float32 greys up to 255.
    assert_allclose(roi[0], cut_roi(one.hu, chosen, one.spacing_mm, settings), rtol=0, atol=1e-3)
    assert condition == CONDITIONS.index(BoneCondition.LOW)


def test_a_roi_at_the_edge_of_the_image_is_the_one_that_screening_cuts() -> None:
    middle = _slice()
    one = replace(
        middle,
        spacing_mm=(0.7, 1.1),
        **{name: getattr(middle, name)[34:, 31:] for name in ("hu", "body", "vertebra")},
    )
    roi, _ = ClassifierViews(iter([one]), RoiSettings(16), mark="vertebra", augmentation=None)[0]
    expected = cut_roi(one.hu, one.vertebra, one.spacing_mm, RoiSettings(16))
    assert_allclose(roi[0], expected, rtol=0, atol=1e-3)


def test_a_turned_roi_is_the_one_of_the_whole_slice() -> None:
    augmentation = Augmentation(rotation_deg=15, shift_mm=6)
    one = _slice()
    views = _classifier(augmentation, slices=[one])
    for number in range(5):
        rng = np.random.default_rng([3, number])
        rng.integers(1)
        pose, fill = draw_pose(rng, augmentation), float(rng.uniform(0.8, 1.0))
        expected = cut_roi(one.hu, one.vertebra, one.spacing_mm, ROI, fill=fill, pose=pose)
        assert_allclose(views[number][0][0], expected, rtol=0, atol=1e-3)


def test_added_slices_are_drawn_like_those_from_the_start() -> None:
    slices = [_slice(), _slice(hu=200), _slice(hu=500)]
    for make in (_segmenter, _classifier):
        whole = make(STRONG, slices=slices)
        grown = make(STRONG, slices=slices[:1])
        grown.add(slices[1:])
        assert len(grown) == len(whole) == 3
        for number in range(6):
            for got, wanted in zip(grown[number], whole[number]):
                assert_close(got, wanted, rtol=0, atol=0)


def test_drawing_a_view_leaves_the_number_of_threads() -> None:
    torch.set_num_threads(2)
    try:
        one, two = _segmenter(STRONG)[1], _segmenter(STRONG)[1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    for got, wanted in zip(one, two):
        assert_close(got, wanted, rtol=0, atol=0)


def test_rois_of_views_show_the_vertebra_and_zeros() -> None:
    views = _classifier(Augmentation(rotation_deg=15, shift_mm=6))
    bone = float(grey(np.full(1, 300, np.float32), WINDOW_HU)[0])
    for number in range(20):
        roi, _ = views[number]
        assert roi.min() == 0
        assert roi.max() <= bone * 1.001


def test_the_body_mark_cuts_the_body_alone() -> None:
    whole, body = (_classifier(None, mark=mark)[0][0] for mark in ("vertebra", "body"))
    rows = [int((roi[0] > 1).any(dim=1).sum()) for roi in (whole, body)]
    assert rows[0] > rows[1]


def test_slices_without_mark_or_condition_are_left_out() -> None:
    slices = [
        _slice(_case(BoneCondition.NORMAL, "a")),
        _slice(_case(BoneCondition.NORMAL, "b"), body=False),
        _slice(_case(None, "c")),
        _slice(_case(BoneCondition.OSTEOPOROSIS, "d")),
    ]
    views = _classifier(None, slices=slices)
    assert len(views) == 2
    assert views.patients == ["a", "d"]
    assert views.conditions == [0, 2]
    assert [int(views[index][1]) for index in range(2)] == [0, 2]


def test_views_of_a_cohort_show_each_class_alike(manifest: Manifest) -> None:
    def slices() -> Iterator[LabelledSlice]:
        yield from read_slices(manifest, manifest.of(Split.TRAIN))

    views = ClassifierViews(slices(), ROI, mark="vertebra", augmentation=Augmentation(), seed=1)
    drawn = np.bincount([int(views[number][1]) for number in range(150)], minlength=3)
    # Even draws of three classes: 50 each with a deviation of 6; four of them.
    assert np.abs(drawn - 50).max() < 24
    assert _unique(views.conditions) == {0: 2, 1: 2, 2: 2}


def _unique(values: list[int]) -> dict[int, int]:
    found: NDArray[np.int64]
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist()))
