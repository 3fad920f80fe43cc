"""What the networks see in training: augmented views of labelled slices, as torch datasets.

A view is drawn from (seed, number of the view) alone, so a resumed training sees what an
uninterrupted one would have seen. Parameters are drawn in one function and applied in another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from monai.transforms.compose import Compose
from monai.transforms.intensity.array import (
    RandGaussianNoise,
    RandGaussianSharpen,
    RandGaussianSmooth,
    RandShiftIntensity,
)
from monai.transforms.spatial.array import RandSimulateLowResolution
from numpy.typing import NDArray
from torch import Tensor, distributed
from torch.utils.data import Dataset, Sampler

from osteoscreen.cohort.slices import LabelledSlice
from osteoscreen.findings import CONDITIONS
from osteoscreen.screening.grid import AIR_HU, Grid, Pose, grey, sample, smooth
from osteoscreen.screening.roi import TEST_FILL, RoiSettings, cut_roi

MARKS = ("vertebra", "body")
"""The marks that MS-Net can make, in order of its output channels."""


@dataclass(frozen=True)
class Augmentation:
    """How far a view may differ from its slice.

    Args:
        rotation_deg: Largest turn.
        shift_mm: Largest shift along rows and columns.
        scale: Smallest and largest magnification.
        strip: Share of views cut to a narrow strip, as spine reconstructions are.
        degrade: Share of views with each of: low resolution, blur, sharpening, noise, offset.
        mirror: Whether left and right may be exchanged.
    """

    rotation_deg: float = 0.0
    shift_mm: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    strip: float = 0.0
    degrade: float = 0.0
    mirror: bool = False


def draw_pose(rng: np.random.Generator, augmentation: Augmentation) -> Pose:
    """Draw a turn, a shift and a magnification; the magnification is even in its logarithm."""
    turn = augmentation.rotation_deg * rng.uniform(-1, 1)
    shift = augmentation.shift_mm * rng.uniform(-1, 1, 2)
    low, high = np.log(augmentation.scale)
    return Pose(
        float(turn), (float(shift[0]), float(shift[1])), float(np.exp(rng.uniform(low, high)))
    )


FULL = 255
"""A pixel of the grid that a mark covers whole, as it is kept in memory."""


@dataclass(frozen=True, eq=False)
class _MarkedSlice:
    """A slice for MS-Net as it is kept in memory, low-passed for the grid.

    Args:
        hu: Shape (rows, columns).
        cover: How far each mark covers a pixel, 0 to ``FULL``, in the box outside of which none
            does; shape (marks, rows and columns of the box).
        box: Rows and columns of the box.
        spacing_mm: Pixel spacing (row, column).
    """

    hu: NDArray[np.int16]
    cover: NDArray[np.uint8]
    box: tuple[slice, slice]
    spacing_mm: tuple[float, float]

    def covers(self) -> NDArray[np.uint8]:
        """Return the covers of the whole slice, shape (marks, rows, columns)."""
        whole = np.zeros((len(self.cover), *self.hu.shape), np.uint8)
        whole[:, self.box[0], self.box[1]] = self.cover
        return whole


class SegmenterViews(Dataset[tuple[Tensor, Tensor]]):
    """Grey slices on MS-Net's grid with their marks; ``add`` takes slices that come later.

    A mark is the share of each pixel that it covers, because a pixel of the grid is larger than one
    of the image: brought back to the image, covers cut at one half give the mask again to a Dice
    index of 0.99, yes and no to one of 0.96 (docs/method.md).

    Args:
        slices: Labelled slices.
        grid_size: Rows and columns.
        spacing_mm: Pixel spacing of the grid; ``None`` fits each image to the grid, as the paper.
        window_hu: Window that becomes grey 0..255.
        marks: Which marks to give, of ``MARKS``.
        augmentation: ``None`` gives each slice once, as it is.
        seed: Seed of the views.
    """

    def __init__(  # noqa: PLR0913 - keyword-only settings of one recipe
        self,
        slices: Iterable[LabelledSlice],
        *,
        grid_size: int,
        spacing_mm: float | None,
        window_hu: tuple[float, float],
        marks: Sequence[str],
        augmentation: Augmentation | None,
        seed: int,
    ) -> None:
        self._slices: list[_MarkedSlice] = []
        self._grid_size, self._spacing_mm = grid_size, spacing_mm
        self._window_hu, self._marks = window_hu, tuple(marks)
        self._augmentation, self._seed = augmentation, seed
        share = augmentation.degrade if augmentation else 0.0
        self._degrade = Compose(
            [
                RandSimulateLowResolution(
                    prob=share,
                    downsample_mode="area",
                    upsample_mode="bilinear",
                    zoom_range=(0.4, 1.0),
                ),
                RandGaussianSmooth((0.2, 0.9), (0.2, 0.9), prob=share),
                RandGaussianSharpen(prob=share * 0.5, alpha=(2.0, 8.0)),
                RandGaussianNoise(prob=share, std=40.0),
                RandShiftIntensity(25.0, prob=share),
            ]
        )
        self.add(slices)

    def add(self, slices: Iterable[LabelledSlice]) -> None:
        """Put slices behind those that are there; views drawn from now on may show them."""
        self._slices.extend(self._prepare(one) for one in slices)

    def __len__(self) -> int:
        return len(self._slices)

    def __getitem__(
        self, number: int
    ) -> tuple[Float[Tensor, "1 size size"], Float[Tensor, "marks size size"]]:
        if self._augmentation is None:
            return self._view(self._slices[number], Pose(), None)
        rng = np.random.default_rng([self._seed, number])
        one = self._slices[int(rng.integers(len(self._slices)))]
        return self._view(one, draw_pose(rng, self._augmentation), rng)

    def _target_mm(self, shape: tuple[int, ...], spacing_mm: tuple[float, float]) -> float:
        """Pixel spacing of the grid for an image."""
        return self._spacing_mm or max(shape) * max(spacing_mm) / self._grid_size

    def _prepare(self, one: LabelledSlice) -> _MarkedSlice:
        target_mm = self._target_mm(one.hu.shape, one.spacing_mm)
        known = {"vertebra": one.vertebra, "body": one.body}
        cover = np.rint(
            [
                smooth(FULL * known[name].astype(np.float32), one.spacing_mm, target_mm)
                for name in self._marks
            ]
        ).astype(np.uint8)
        rows, columns = (np.flatnonzero(cover.any(axis=axes)) for axes in ((0, 2), (0, 1)))
        box = tuple(
            slice(int(e[0]), int(e[-1]) + 1) if len(e) else slice(0) for e in (rows, columns)
        )
        return _MarkedSlice(
            smooth(one.hu, one.spacing_mm, target_mm).astype(np.int16),
            cover[:, box[0], box[1]].copy(),
            (box[0], box[1]),
            one.spacing_mm,
        )

    def _view(
        self, one: _MarkedSlice, pose: Pose, rng: np.random.Generator | None
    ) -> tuple[Tensor, Tensor]:
        grid = Grid(self._grid_size, self._target_mm(one.hu.shape, one.spacing_mm))
        hu = sample(one.hu, one.spacing_mm, grid, pose=pose, outside=AIR_HU).astype(np.float32)
        target = np.stack(
            [sample(mark, one.spacing_mm, grid, pose=pose, outside=0) for mark in one.covers()]
        ).astype(np.float32)
        target /= FULL
        if rng is not None and self._augmentation is not None:
            hu, target = self._disturb(hu, target, rng, self._augmentation)
        return torch.from_numpy(grey(hu, self._window_hu)[None]), torch.from_numpy(target)

    def _disturb(
        self,
        hu: NDArray[np.float32],
        target: NDArray[np.float32],
        rng: np.random.Generator,
        augmentation: Augmentation,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if rng.random() < augmentation.strip:
            hu, target = _cut_strip(hu, target, rng)
        if augmentation.degrade:
            self._degrade.set_random_state(seed=int(rng.integers(2**32)))
            with _one_thread():
                hu = np.asarray(self._degrade(torch.from_numpy(hu[None]))[0], dtype=np.float32)
        if augmentation.mirror and rng.random() < 0.5:
            hu, target = hu[:, ::-1], target[:, :, ::-1]
        return np.ascontiguousarray(hu), np.ascontiguousarray(target)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep PyTorch to one thread: it waits longer for a second one than a slice takes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _cut_strip(
    hu: NDArray[np.float32], target: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Keep a strip of columns around the vertebra; beyond it there is no image."""
    columns = np.flatnonzero(target.any(axis=(0, 1)))
    middle = columns.mean() if len(columns) else hu.shape[1] / 2
    half = rng.uniform(0.09, 0.25) * hu.shape[1]
    away = np.abs(np.arange(hu.shape[1]) - middle - rng.normal(0, 0.02 * hu.shape[1])) > half
    hu, target = hu.copy(), target.copy()
    hu[:, away] = AIR_HU
    target[:, :, away] = 0
    return hu, target


@dataclass(frozen=True, eq=False)
class _MarkedCrop:
    """What a roi can see of a slice, as it is kept in memory.

    Args:
        hu, mark: Shape (rows, columns).
        spacing_mm: Pixel spacing (row, column).
        condition: Class index.
    """

    hu: NDArray[np.int16]
    mark: NDArray[np.bool_]
    spacing_mm: tuple[float, float]
    condition: int


class ClassifierViews(Dataset[tuple[Tensor, Tensor]]):
    """Rois with their class, cut on the reference marks (paper, section 3.1).

    ``add`` takes slices that come later.

    Args:
        slices: Labelled slices; those without a mark or without a condition are left out.
        settings: Size and window of the roi.
        mark: Which mark cuts the roi, ``"vertebra"`` or ``"body"``.
        augmentation: Turn and shift; the scaling of the paper is ``fill``.
        fill: Smallest and largest share of the roi that the vertebra fills.
        seed: Seed of the views; ``None`` gives each slice once, as in test.
    """

    def __init__(
        self,
        slices: Iterable[LabelledSlice],
        settings: RoiSettings,
        *,
        mark: str,
        augmentation: Augmentation | None,
        fill: tuple[float, float] = (TEST_FILL, TEST_FILL),
        seed: int = 0,
    ) -> None:
        self._settings, self._mark, self._augmentation = settings, mark, augmentation
        self._fill, self._seed = fill, seed
        self._slices: list[_MarkedCrop] = []
        self.patients: list[str] = []
        self.add(slices)

    def add(self, slices: Iterable[LabelledSlice]) -> None:
        """Put slices behind those that are there; views drawn from now on may show them."""
        smallest_fill = min(TEST_FILL, *self._fill)
        for one in slices:
            chosen = one.body if self._mark == "body" else one.vertebra
            if chosen.any() and one.case.condition is not None:
                self._slices.append(_crop(one, chosen, self._settings.size, smallest_fill))
                self.patients.append(one.case.patient_id)

    def __len__(self) -> int:
        return len(self._slices)

    def __getitem__(self, number: int) -> tuple[Float[Tensor, "1 size size"], Tensor]:
        pose, fill = Pose(), TEST_FILL
        if self._augmentation is None:
            one = self._slices[number]
        else:
            rng = np.random.default_rng([self._seed, number])
            one = self._slices[int(rng.integers(len(self._slices)))]
            pose, fill = draw_pose(rng, self._augmentation), float(rng.uniform(*self._fill))
        roi = cut_roi(
            one.hu.astype(np.float32),
            one.mark,
            one.spacing_mm,
            self._settings,
            fill=fill,
            pose=pose,
        )
        return torch.from_numpy(roi[None]), torch.tensor(one.condition)

    @property
    def conditions(self) -> list[int]:
        """Class index of every slice."""
        return [one.condition for one in self._slices]


def _crop(one: LabelledSlice, mark: NDArray[np.bool_], size: int, fill: float) -> _MarkedCrop:
    """Keep what a roi can see: the mark, and around it as far as it is smoothed.

    Outside the mark all is 0, yet ``cut_roi`` carries the rim beyond it: its Gaussian, with half
    the width of a roi pixel, ends after four deviations, and the interpolation a pixel later.
    """
    box = [np.flatnonzero(mark.any(axis=axis))[[0, -1]] for axis in (1, 0)]
    side_mm = max((high - low + 1) * mm for (low, high), mm in zip(box, one.spacing_mm)) / fill
    rows, columns = (
        slice(max(0, low - margin), high + 1 + margin)
        for (low, high), margin in (
            (ends, 2 + int(np.ceil(2 * side_mm / size / mm)))
            for ends, mm in zip(box, one.spacing_mm)
        )
    )
    assert one.case.condition is not None
    return _MarkedCrop(
        one.hu[rows, columns].astype(np.int16),
        mark[rows, columns].copy(),
        one.spacing_mm,
        CONDITIONS.index(one.case.condition),
    )


class ViewSampler(Sampler[int]):
    """Numbers of the views of one epoch; epoch 2 goes on where epoch 1 ended.

    Where several processes train one network, each draws its share of the views, as many as every
    other one; together they draw each view once, but for a rest that cannot be parted.

    Args:
        views: Views an epoch, of all processes.
    """

    def __init__(self, views: int) -> None:
        self._views, self._epoch = views, 0

    def __len__(self) -> int:
        return self._views // _place_among_processes()[1]

    def __iter__(self) -> Iterator[int]:
        rank, processes = _place_among_processes()
        start = self._epoch * self._views
        # As many each, or some would wait for the others for ever.
        end = start + self._views // processes * processes
        return iter(range(start + rank, end, processes))

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next; Lightning calls this."""
        self._epoch = epoch


def _place_among_processes() -> tuple[int, int]:
    """Return which of the processes that train together this one is, and how many there are."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
