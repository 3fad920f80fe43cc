"""What LevelNet sees in training: slices that MS-Net has marked, each with its place."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from osteoscreen.bundle import PLACES, Bundle, LevelSettings
from osteoscreen.cohort.slices import LabelledSlice
from osteoscreen.cohort.views import Augmentation, draw_pose
from osteoscreen.screening.grid import FloatArray
from osteoscreen.screening.level_view import CoarseSlice, coarse_slice, level_view
from osteoscreen.screening.marking import mark_volume
from osteoscreen.volume import Volume

OFFSET_HU = 15.0
"""Spread of the HU by which a view is brighter: what scanners differ by."""
NARROW_MM = (38.0, 140.0)
"""Half the width of the narrow fields of view that are cut."""
ROUND_SHARE = 0.4
"""Narrow fields that are round; the others are rectangles."""
CENTRE_MM = 8.0
"""How far the middle of a narrow field lies from the vertebra, as a spread."""


class LevelViews(Dataset[tuple[Tensor, Tensor]]):
    """Views of slices with their place; ``add`` takes slices that come later.

    Args:
        slices: Labelled slices; those whose case names no level are left out.
        bundle: Its MS-Net marks the slices, as it will when the levels are named.
        settings: Size and windows of the view.
        augmentation: ``None`` gives each slice once, as it is; ``strip`` is the share of views with
            a narrow field of view.
        seed: Seed of the views.
    """

    def __init__(
        self,
        slices: Iterable[LabelledSlice],
        bundle: Bundle,
        settings: LevelSettings,
        *,
        augmentation: Augmentation | None,
        seed: int,
    ) -> None:
        self._bundle, self._settings = bundle, settings
        self._augmentation, self._seed = augmentation, seed
        self._slices: list[tuple[CoarseSlice, int]] = []
        self.add(slices)

    def add(self, slices: Iterable[LabelledSlice]) -> None:
        """Put slices behind those that are there; views drawn from now on may show them."""
        for one in slices:
            if one.case.level in PLACES:
                self._slices.append((self._prepare(one), PLACES.index(one.case.level)))

    def _prepare(self, one: LabelledSlice) -> CoarseSlice:
        volume = Volume(one.hu[None], np.diag([1.0, *one.spacing_mm, 1.0]))
        marks = mark_volume(volume, self._bundle)
        return coarse_slice(
            one.hu, marks.vertebra[0], marks.body[0], one.spacing_mm, self._settings
        )

    def __len__(self) -> int:
        return len(self._slices)

    def __getitem__(self, number: int) -> tuple[Float[Tensor, "4 size size"], Tensor]:
        if self._augmentation is None:
            one, place = self._slices[number]
            view = level_view(one, self._settings)
        else:
            rng = np.random.default_rng([self._seed, number])
            one, place = self._slices[int(rng.integers(len(self._slices)))]
            view = self._disturbed(one, self._augmentation, rng)
        return torch.from_numpy(view), torch.tensor(place)

    def _disturbed(
        self, one: CoarseSlice, augmentation: Augmentation, rng: np.random.Generator
    ) -> FloatArray:
        shifted = CoarseSlice(
            (one.hu + np.int16(rng.normal(0, OFFSET_HU))).astype(np.int16),
            one.marks,
            one.centre_mm,
            one.spacing_mm,
        )
        view = level_view(shifted, self._settings, pose=draw_pose(rng, augmentation))
        if rng.random() < augmentation.strip:
            view = view * _narrow_field(self._settings, rng)
        return view.astype(np.float32)

    @property
    def places(self) -> list[int]:
        """Place of every slice, as an index of ``PLACES``."""
        return [place for _, place in self._slices]


def _narrow_field(settings: LevelSettings, rng: np.random.Generator) -> FloatArray:
    """Draw a round or rectangular field of view, 1 inside."""
    axis_mm = settings.spacing_mm * (np.arange(settings.size) - (settings.size - 1) / 2)
    rows, columns = np.meshgrid(
        axis_mm - rng.normal(0, CENTRE_MM), axis_mm - rng.normal(0, CENTRE_MM), indexing="ij"
    )
    if rng.random() < ROUND_SHARE:
        inside = np.hypot(rows, columns) < rng.uniform(*NARROW_MM)
    else:
        half_rows, half_columns = rng.uniform(*NARROW_MM, 2)
        inside = (np.abs(rows) < half_rows) & (np.abs(columns) < half_columns)
    return np.asarray(inside, dtype=np.float32)
