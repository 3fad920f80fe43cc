"""The paper's own test (sections 3.1, 3.4 and 3.5): images made of images by augmentation.

Each test patient gives 12 turned and shifted images to MS-Net, 756 of 63 patients, and 48 scaled,
turned and shifted rois to BCC-Net, 3,024, cut on the marks of MS-Net. Images of one patient are
counted as if they were of different ones, so the figures look surer than they are; the honest
figures are one result a patient.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from osteoscreen.bundle import Bundle, ClassifierSettings
from osteoscreen.cohort.leakage import NONE, Fingerprints, Watch
from osteoscreen.cohort.manifest import Case, Manifest, Split
from osteoscreen.cohort.slices import LabelledSlice, read_slices
from osteoscreen.cohort.views import Augmentation, draw_pose
from osteoscreen.evaluation.readings import overlaps_of, to_volume
from osteoscreen.findings import CONDITIONS
from osteoscreen.screening.grid import AIR_HU, Grid, Pose, sample
from osteoscreen.screening.marking import Marks, mark_volume
from osteoscreen.screening.roi import RoiSettings, cut_roi
from osteoscreen.screening.slices import choose_slices

Kind = TypeVar("Kind")

PATIENTS = 21
"""Test patients a class (Table 2)."""
MARKED_VIEWS, CLASSIFIED_VIEWS = 12, 48
"""Images a test patient: 756 and 3,024 of 63 patients (section 3.1)."""
MARKED = Augmentation(rotation_deg=15, shift_mm=20)
CLASSIFIED = Augmentation(rotation_deg=15, shift_mm=6)
"""Turns and shifts, unstated in the paper: those of ``recipes/paper``."""
FILL = (0.8, 1.0)
"""Share of the roi that the vertebra fills (section 3.1)."""


@dataclass(frozen=True, eq=False)
class ProtocolReadings:
    """What a bundle says of the augmented images.

    Args:
        cases: Rows of the manifest that the images are made of.
        overlaps: Scores of each image that MS-Net marked, by ``mark.score``.
        truth: Class index of each roi.
        logits: Of each roi by each classifier; ``""`` is the bundle's own.
        seen: Fingerprints of the slices that the images were made of.
    """

    cases: tuple[Case, ...]
    overlaps: tuple[Mapping[str, float], ...]
    truth: NDArray[np.int64]
    logits: Mapping[str, NDArray[np.float64]]
    seen: Fingerprints = NONE


def protocol_cases(manifest: Manifest) -> tuple[Case, ...]:
    """Return the rows of the first 21 test patients of each class, by patient."""
    chosen: dict[str, list[Case]] = {}
    counts = dict.fromkeys(CONDITIONS, 0)
    for case in manifest.of(Split.TEST):
        if case.condition is None:
            continue
        if case.patient_id not in chosen:
            if counts[case.condition] == PATIENTS:
                continue
            counts[case.condition] += 1
        chosen.setdefault(case.patient_id, []).append(case)
    return tuple(case for cases in chosen.values() for case in cases)


def read_protocol(
    bundle: Bundle,
    manifest: Manifest,
    *,
    rivals: Mapping[str, Bundle] | None = None,
    advance: Callable[[int], None] | None = None,
) -> ProtocolReadings:
    """Run both networks on the augmented images of the first 21 test patients of each class.

    Args:
        bundle: Model bundle.
        manifest: Cohort.
        rivals: Bundles whose classifiers read the same rois, by name.
        advance: Called with the number of patients just read.
    Returns: The readings. A patient in whom nothing is marked gives no roi.
    """
    networks = {"": bundle, **(rivals or {})}
    overlaps: list[dict[str, float]] = []
    truth: list[int] = []
    logits: dict[str, list[NDArray[np.float64]]] = {
        name: [np.zeros((0, len(CONDITIONS)))] for name in networks
    }
    cases = protocol_cases(manifest)
    watch = Watch()
    slices = watch.passing(read_slices(manifest, cases))
    for patient, group in groupby(slices, key=lambda one: one.case.patient_id):
        seen = list(group)
        rng = np.random.default_rng(zlib.crc32(patient.encode()))
        overlaps += _mark_views(bundle, seen, rng)
        rois = list(_classified_views(bundle, seen, rng))
        condition = seen[0].case.condition
        assert condition is not None
        truth += [CONDITIONS.index(condition)] * len(rois)
        for name, values in _classify(networks, rois).items():
            logits[name].append(values)
        if advance:
            advance(1)
    return ProtocolReadings(
        cases=cases,
        overlaps=tuple(overlaps),
        truth=np.array(truth, np.int64),
        logits={name: np.concatenate(parts) for name, parts in logits.items()},
        seen=watch.seen,
    )


def _mark_views(
    bundle: Bundle, seen: list[LabelledSlice], rng: np.random.Generator
) -> list[dict[str, float]]:
    """Mark the turned and shifted images of a patient, its slices by turns."""
    found = []
    marked = [one for one in seen if one.vertebra.any()]
    for one in _by_turns(marked, MARKED_VIEWS):
        pose = draw_pose(rng, MARKED)
        view = _turn(one, pose)
        marks = mark_volume(to_volume([view]), bundle)
        found.append(overlaps_of(bundle, marks, 0, view))
    return found


def _turn(one: LabelledSlice, pose: Pose) -> LabelledSlice:
    """Turn and shift a slice on a square matrix of its own pixels."""
    size, spacing_mm = max(one.hu.shape), min(one.spacing_mm)
    grid = Grid(size, spacing_mm)
    masks = (
        sample(mask.astype(np.uint8), one.spacing_mm, grid, pose=pose, order=0, outside=0) > 0
        for mask in (one.body, one.vertebra)
    )
    body, vertebra = masks
    return replace(
        one,
        hu=sample(one.hu, one.spacing_mm, grid, pose=pose, outside=AIR_HU),
        body=body,
        vertebra=vertebra,
        spacing_mm=(spacing_mm, spacing_mm),
        levels={},
    )


@dataclass(frozen=True, eq=False)
class _RoiView:
    """A slice with its marks, and how its roi is turned, shifted and filled."""

    one: LabelledSlice
    marks: Marks
    pose: Pose
    fill: float


def _classified_views(
    bundle: Bundle, seen: list[LabelledSlice], rng: np.random.Generator
) -> Iterator[_RoiView]:
    """Yield the views of a patient for BCC-Net, its slices by turns."""
    marked = []
    for _, group in groupby(seen, key=lambda one: one.case.case_id):
        case = list(group)
        volume = to_volume(case)
        marks = mark_volume(volume, bundle)
        for index in choose_slices(volume, marks, bundle):
            here = slice(index, index + 1)
            marked.append((case[index], Marks(marks.vertebra[here], marks.body[here])))
    for one, own in _by_turns(marked, CLASSIFIED_VIEWS):
        yield _RoiView(one, own, draw_pose(rng, CLASSIFIED), float(rng.uniform(*FILL)))


def _by_turns(slices: Sequence[Kind], views: int) -> Iterator[Kind]:
    """Yield the slices of a patient for so many views: each by turns, or evenly some of many."""
    count = len(slices)
    for number in range(views if count else 0):
        yield slices[number % count if count <= views else number * count // views]


def _classify(
    networks: Mapping[str, Bundle], views: list[_RoiView]
) -> dict[str, NDArray[np.float64]]:
    """Classify the views of a patient by every network; nothing without a view."""
    rois: dict[tuple[object, ...], NDArray[np.float32]] = {}
    found = {}
    for name, bundle in networks.items():
        settings = bundle.settings.classifier
        if views:
            if settings.sees not in rois:
                rois[settings.sees] = np.stack([_cut(view, settings) for view in views])
            found[name] = bundle.logits(rois[settings.sees]).astype(np.float64)
    return found


def _cut(view: _RoiView, settings: ClassifierSettings) -> NDArray[np.float32]:
    return cut_roi(
        view.one.hu,
        (view.marks.body if settings.mark == "body" else view.marks.vertebra)[0],
        view.one.spacing_mm,
        RoiSettings(settings.size, settings.window_hu),
        fill=view.fill,
        pose=view.pose,
    )
