"""Leakage: what was trained on must not come back in test.

A manifest keeps a patient in one split. That does not help where one patient has two pseudonyms, a
series was filed twice, or a slice was exported again with other noise: so series are compared by
their identifiers and slices by what they show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from osteoscreen.cohort.slices import LabelledSlice
from osteoscreen.errors import LeakageError

GRID = 32
"""Rows and columns of a fingerprint."""
WINDOW_HU = (-200.0, 500.0)
"""What a fingerprint tells apart: fat to bone. Air outside the patient is one value."""
NEAR_HU = 12.0
"""Root mean square distance of two fingerprints below which two slices are the same one. Slices of
different synthetic patients are 29 HU apart and more (2,400 slices, calibrated and randomised), the
same slice with other noise 1 to 5 HU."""
BLANK_GREY = 4.0
"""Standard deviation of a fingerprint, of 255, below which a slice shows nothing: air, a padded
margin. Such slices of any two patients are alike."""
TOLD = 5
"""Leaks that a message names; it counts the others."""


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """What some slices are and show.

    Args:
        cases: Case of each slice.
        patients: Patient of each slice.
        series: Identifier of the series of each slice.
        images: Shape (slices, 1024), the slice on a coarse grid, 0 to 255 over the window.
    """

    cases: tuple[str, ...]
    patients: tuple[str, ...]
    series: tuple[str, ...]
    images: NDArray[np.uint8]


NONE = Fingerprints((), (), (), np.zeros((0, GRID * GRID), np.uint8))


class Watch:
    """Takes the fingerprints of slices on their way to whoever reads them."""

    def __init__(self) -> None:
        self._taken: list[tuple[str, str, str, NDArray[np.uint8]]] = []

    def passing(self, slices: Iterable[LabelledSlice]) -> Iterator[LabelledSlice]:
        """Yield the slices one by one, each after its fingerprint was taken."""
        for one in slices:
            self._taken.append((one.case.case_id, one.case.patient_id, one.series, _coarse(one.hu)))
            yield one

    @property
    def seen(self) -> Fingerprints:
        """All that has passed."""
        if not self._taken:
            return NONE
        cases, patients, series, images = zip(*self._taken)
        return Fingerprints(cases, patients, series, np.stack(images))


def _coarse(hu: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Average a slice over the cells of the grid; a small image repeats its pixels."""
    low, high = WINDOW_HU
    grey = (np.clip(hu, low, high) - low) * (255 / (high - low))
    for axis in (0, 1):
        length = grey.shape[axis]
        if length < GRID:
            grey = np.repeat(grey, -(-GRID // length), axis)
        starts = np.linspace(0, grey.shape[axis], GRID + 1).astype(int)
        grey = np.moveaxis(np.add.reduceat(grey, starts[:-1], axis), axis, -1)
        grey = np.moveaxis(grey / np.diff(starts), -1, axis)
    return np.asarray(np.rint(grey), np.uint8).ravel()


def check_leakage(one: Fingerprints, other: Fingerprints, names: tuple[str, str]) -> None:
    """Refuse slices on both sides of a split.

    Args:
        one: Slices of the one side.
        other: Slices of the other side.
        names: What the sides are called.
    Raises:
        LeakageError: Naming the first cases that share a patient or a series, or show nearly the
            same image, and counting the others.
    """
    leaks = [
        *_shared("patient", one.cases, one.patients, other.cases, other.patients),
        *_shared("series", one.cases, one.series, other.cases, other.series),
        *_alike(one, other),
    ]
    if leaks:
        more = f" and {len(leaks) - TOLD} more" if len(leaks) > TOLD else ""
        raise LeakageError(
            f"{names[0]} and {names[1]} must not share images: " + "; ".join(leaks[:TOLD]) + more
        )


def _shared(
    what: str, cases: Sequence[str], keys: Sequence[str], others: Sequence[str],
    other_keys: Sequence[str],
) -> list[str]:  # fmt: skip
    known = dict(zip(other_keys, others))
    found = {
        key: f"cases {case} and {known[key]} are of one {what}"
        for case, key in zip(cases, keys)
        if key and key in known
    }
    return list(found.values())


def _alike(one: Fingerprints, other: Fingerprints) -> list[str]:
    rows, other_rows = (
        np.flatnonzero(side.images.std(axis=1) >= BLANK_GREY) for side in (one, other)
    )
    if not len(rows) or not len(other_rows):
        return []
    images, others = one.images[rows].astype(np.float32), other.images[other_rows]
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(images)
    away, nearest = search.kneighbors(others.astype(np.float32))
    low, high = WINDOW_HU
    apart_hu = away[:, 0] / GRID * (high - low) / 255
    return [
        f"cases {one.cases[rows[nearest[index, 0]]]} and {other.cases[other_rows[index]]} show "
        f"nearly the same image, {apart_hu[index]:.1f} HU apart"
        for index in np.flatnonzero(apart_hu < NEAR_HU)
    ]


def write_fingerprints(seen: Fingerprints, path: Path) -> None:
    """Write fingerprints to a file, at once.

    Args:
        seen: What to keep.
        path: File ending in ``.npz``.
    """
    part = path.with_suffix(".part.npz")
    np.savez_compressed(
        part, cases=seen.cases, patients=seen.patients, series=seen.series, images=seen.images
    )
    part.replace(path)


def read_fingerprints(path: Path) -> Fingerprints:
    """Read what ``write_fingerprints`` wrote."""
    with np.load(path) as stored:
        texts = [tuple(map(str, stored[name])) for name in ("cases", "patients", "series")]
        return Fingerprints(texts[0], texts[1], texts[2], stored["images"])
