"""A synthetic cohort on disk: CT as DICOM, marks as DICOM SEG, truth in the manifest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteoscreen.cohort.manifest import Case, Split, write_manifest
from osteoscreen.dicom.header import read_header
from osteoscreen.dicom.instance import (
    PixelFormat,
    PrivateElement,
    SeriesHeader,
    derived_uid,
    write_ct_slices,
)
from osteoscreen.dicom.segmentation import write_segmentation
from osteoscreen.findings import CONDITIONS
from osteoscreen.phantom import (
    Mode,
    Patient,
    Scan,
    SliceImage,
    draw_patient,
    draw_scan,
    render_slice,
)
from osteoscreen.phantom.anatomy import GENERATOR_VERSION, streams
from osteoscreen.volume import Affine, Volume

MARKS, TRUTH = "marks.dcm", "truth.json"

MARK_LABELS = "body=1;rest=2"
"""Segments of every mask that is written here."""

PAPER_TRAIN, PAPER_TEST = 50, 21
"""Patients a class in Table 2 of the paper."""

BODY_MIDDLE = 0.2
"""Slices at a level lie within this share of the body's height from its middle."""

PELVIS_MM = 45.0
"""How far below the middle of S1 the scattered slices begin: pelvis without a vertebra to mark."""

STUDY_DATE = "20200101"
"""One fixed date: a synthetic patient has no history."""


class Preset(StrEnum):
    """What a cohort is for."""

    COHORT = "cohort"
    """Calibrated patients, slices through the middle of L1 to L4: for BCC-Net."""
    RANDOMISED = "randomised"
    """Wide anatomy and acquisition, slices anywhere from T10 to the pelvis: for MS-Net."""
    PAPER = "paper"
    """As ``cohort``, with the patients and the split of the paper's Table 2."""


@dataclass(frozen=True)
class CohortPlan:
    """What to generate.

    Args:
        preset: What the cohort is for.
        cases: Number of patients.
        seed: Seed of the cohort.
        slices: Slices a patient.
        is_series: A contiguous series from T12 to S1 instead of single slices.
    """

    preset: Preset
    cases: int
    seed: int
    slices: int = 4
    is_series: bool = False


def write_cohort(
    folder: Path, plan: CohortPlan, *, workers: int = 1, done: Callable[[int], None] | None = None
) -> Path:
    """Generate a cohort; patients that are already there are kept, so a stopped run goes on.

    Args:
        folder: Where to write; made if it does not exist.
        plan: What to generate.
        workers: Processes.
        done: Called with the number of finished patients after each one.
    Returns: The manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    work = partial(write_patient, folder, plan)
    rows: dict[int, list[Case]] = {}
    for number, cases in _each(work, plan.cases, workers):
        rows[number] = cases
        if done:
            done(len(rows))
    manifest = folder / "manifest.csv"
    write_manifest((case for number in sorted(rows) for case in rows[number]), manifest)
    return manifest


def _each(
    work: Callable[[int], list[Case]], patients: int, workers: int
) -> Iterator[tuple[int, list[Case]]]:
    """Do the work of every patient; with several workers in the order in which they finish."""
    if workers == 1:
        for number in range(patients):
            yield number, work(number)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(work, number): number for number in range(patients)}
        for future in as_completed(futures):
            yield futures[future], future.result()


def write_patient(
    folder: Path,
    plan: CohortPlan,
    number: int,
    *,
    done: Callable[[int, int], None] | None = None,
) -> list[Case]:
    """Generate one patient: ``NAME/ct/*.dcm``, ``NAME/marks.dcm`` and ``NAME/truth.json``.

    Args:
        folder: Folder of the cohort.
        plan: What to generate.
        number: Number of the patient, from 0.
        done: Called with the slices made and the slices in all after each one.
    Returns: The patient's rows of the manifest.
    """
    name = patient_name(plan.seed, number)
    home = folder / name
    known = _finished(home, plan)
    if known is not None:
        return known
    mode = Mode.RANDOMISED if plan.preset is Preset.RANDOMISED else Mode.COHORT
    patient = draw_patient(plan.seed, number, mode)
    rngs = streams(plan.seed, number)
    scan = draw_scan(
        rngs["scan"],
        is_randomised=mode is Mode.RANDOMISED,
        trunk_half_width_mm=patient.trunk.half_width_mm,
        cohort_seed=plan.seed,
    )
    places = slice_places(patient, scan, plan, rngs["slices"])
    images = []
    for _, height_mm in places:
        images.append(render_slice(patient, scan, height_mm, rngs["noise"]))
        if done:
            done(len(images), len(places))
    # What another plan or a stopped run left would join the new series.
    if home.exists():
        shutil.rmtree(home)
    header = replace(
        series_header(name, patient, scan), series_uid=_series_uid(name, patient.mode, plan)
    )
    is_marked = _write_images(home, header, scan, images)
    levels = [level for level, _ in places]
    rows = _rows(patient, scan, plan, levels, f"{name}/{MARKS}" if is_marked else "")
    _finish(home, plan, rows)
    return rows


def patient_name(seed: int, number: int) -> str:
    """Return the identifier of a synthetic patient, such as SYN-0002-000017."""
    return f"SYN-{seed:04d}-{number:06d}"


def _series_uid(name: str, mode: Mode, plan: CohortPlan) -> str:
    """Other images of the same person, by another plan, are another series."""
    images = "series" if plan.is_series else f"{plan.slices} slices"
    return derived_uid(f"{name}/{mode}/{GENERATOR_VERSION}/{images}")


def _finished(home: Path, plan: CohortPlan) -> list[Case] | None:
    """The rows of a patient that this plan has made whole already."""
    truth = home / TRUTH
    if not truth.is_file():
        return None
    known = json.loads(truth.read_text(encoding="utf-8"))
    if known["made_by"] != _made_by(plan):
        return None
    return [Case.model_validate(row) for row in known["rows"]]


def _finish(home: Path, plan: CohortPlan, rows: list[Case]) -> None:
    """Write the truth last and at once: where it stands, the patient is whole."""
    record = {"made_by": _made_by(plan), "rows": [row.model_dump(mode="json") for row in rows]}
    part = home / f"{TRUTH}.part"
    part.write_text(json.dumps(record, indent=1), encoding="utf-8")
    part.replace(home / TRUTH)


def _made_by(plan: CohortPlan) -> dict[str, object]:
    """What a patient depends on; the size of the cohort is not part of it."""
    settings = {name: value for name, value in asdict(plan).items() if name != "cases"}
    return {"generator_version": GENERATOR_VERSION, **settings}


def slice_places(
    patient: Patient, scan: Scan, plan: CohortPlan, rng: np.random.Generator
) -> list[tuple[str | None, float]]:
    """Choose where to cut.

    Args:
        patient: Who.
        scan: How; a series is cut at its thickness.
        plan: Which slices are wanted.
        rng: Source of the heights.
    Returns: Pairs of level (where one is meant) and height in mm, falling.
    """
    if plan.is_series:
        low = patient.spine.vertebra("S1").centre_mm[2]
        high = patient.spine.vertebra("T12").centre_mm[2]
        return [(None, float(z)) for z in np.arange(high, low, -scan.thickness_mm)]
    if plan.preset is Preset.RANDOMISED:
        low = patient.spine.vertebra("S1").centre_mm[2] - PELVIS_MM
        high = patient.spine.vertebra("T10").centre_mm[2]
        heights = np.sort(rng.uniform(low, high, plan.slices))[::-1]
        return [(None, float(z)) for z in heights]
    levels = [f"L{1 + index % 4}" for index in range(plan.slices)]
    places: list[tuple[str | None, float]] = []
    for level in sorted(levels):
        vertebra = patient.spine.vertebra(level)
        off = rng.uniform(-BODY_MIDDLE, BODY_MIDDLE) * vertebra.height_mm
        places.append((level, float(vertebra.centre_mm[2] + off)))
    return sorted(places, key=lambda place: -place[1])


def slice_volume(scan: Scan, image: SliceImage) -> Volume:
    """Give one simulated slice its place: the patient frame of the phantom is LPS."""
    y_axis, x_axis = scan.axes_mm()
    affine: Affine = np.eye(4)
    affine[:3, 0] = (0, 0, scan.thickness_mm)
    affine[:3, 1] = (0, scan.pixel_mm, 0)
    affine[:3, 2] = (scan.pixel_mm, 0, 0)
    affine[:3, 3] = (x_axis[0], y_axis[0], image.z_mm)
    return Volume(image.hu[None], affine)


def series_header(name: str, patient: Patient, scan: Scan) -> SeriesHeader:
    """Header of a synthetic series: it says that it is synthetic, and keeps the truth out."""
    person = f"{name}/{patient.mode}/{GENERATOR_VERSION}"
    written = scan.convention
    return SeriesHeader(
        patient_id=name,
        patient_name=f"{name}^SYNTHETIC",
        sex="F" if patient.person.sex == "F" else "M",
        age=patient.person.age,
        study_uid=derived_uid(f"{person}/study"),
        series_uid=derived_uid(f"{person}/ct"),
        frame_of_reference_uid=derived_uid(f"{person}/frame"),
        study_date=STUDY_DATE,
        study_description="Synthetic phantom, no patient",
        series_description="Synthetic lumbar CT",
        manufacturer=scan.manufacturer,
        model=scan.model,
        kernel=scan.kernel,
        kvp=scan.kvp,
        tube_current_ma=scan.tube_current_ma,
        thickness_mm=scan.thickness_mm,
        contrast_agent="SYNTHETIC" if patient.has_contrast else None,
        image_type=written.image_types,
        pixels=PixelFormat(
            intercept_hu=written.intercept_hu,
            is_signed=written.is_signed,
            bits=written.bits,
            padding_value=written.padding_value,
        ),
        private=tuple(PrivateElement(**asdict(tag)) for tag in written.private),
    )


def _write_images(home: Path, header: SeriesHeader, scan: Scan, images: list[SliceImage]) -> bool:
    """Write CT and marks; return whether there is a mark: slices through discs may have none."""
    files = write_ct_slices([slice_volume(scan, image) for image in images], header, home / "ct")
    return write_segmentation(
        np.stack([_two_marks(image) for image in images]),
        [read_header(file) for file in files],
        home / MARKS,
        algorithm="osteoscreen phantom",
        version=str(GENERATOR_VERSION),
        series_uid=derived_uid(f"{header.series_uid}/marks"),
        manual=True,
    )


def _two_marks(image: SliceImage) -> NDArray[np.uint8]:
    return np.where(image.body, 1, np.where(image.vertebra, 2, 0)).astype(np.uint8)


def _rows(
    patient: Patient, scan: Scan, plan: CohortPlan, levels: list[str | None], mask: str
) -> list[Case]:
    name = patient_name(plan.seed, patient.case)
    images = (
        [f"{name}/ct"]
        if plan.is_series
        else [f"{name}/ct/{index:04d}.dcm" for index in range(len(levels))]
    )
    return [
        Case(
            case_id=name if plan.is_series else f"{name}-{index}",
            patient_id=name,
            image=image,
            mask=mask,
            mask_labels=MARK_LABELS if mask else "",
            condition=CONDITIONS[patient.bone.condition_index],
            split=split_of(plan.preset, patient.case),
            t_score=patient.bone.t_score,
            vbmd_mg_cm3=patient.bone.vbmd_mg_cm3,
            age=patient.person.age,
            sex="F" if patient.person.sex == "F" else "M",
            scanner=scan.model,
            level=None if plan.is_series else levels[index],
        )
        for index, image in enumerate(images)
    ]


def split_of(preset: Preset, number: int) -> Split:
    """Return the split of a patient; three in a row, one of each class, share it.

    Args:
        preset: ``PAPER`` gives the paper's Table 2 to the first 213 patients; otherwise 60, 10, 10
            and 20 % of every 30 patients train, validate, calibrate and test.
        number: Number of the patient, from 0.
    """
    turn = number // 3
    if preset is Preset.PAPER:
        return Split.TRAIN if turn < PAPER_TRAIN else Split.TEST
    order = (Split.TRAIN,) * 6 + (Split.VALIDATION, Split.CALIBRATION, Split.TEST, Split.TEST)
    return order[turn % len(order)]
