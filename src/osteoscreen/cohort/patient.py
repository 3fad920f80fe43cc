"""One synthetic patient on disk: CT as DICOM, marks as DICOM SEG, and the truth beside them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from osteoscreen.cohort.latents import Plain, latents_of
from osteoscreen.cohort.manifest import Case
from osteoscreen.cohort.mask_labels import MaskLabel, Part, format_mask_labels
from osteoscreen.cohort.places import Place, slice_places
from osteoscreen.cohort.plan import CohortPlan, Preset, split_of
from osteoscreen.cohort.record import part_of
from osteoscreen.dicom.header import read_header
from osteoscreen.dicom.instance import (
    PixelFormat,
    PrivateElement,
    SeriesHeader,
    derived_uid,
    write_ct_slices,
)
from osteoscreen.dicom.segment import NumberedSegments, body_segment, rest_segment
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
from osteoscreen.phantom.anatomy import GENERATOR_VERSION, streams, with_chest
from osteoscreen.phantom.protocol import scanner_named
from osteoscreen.volume import Affine, Volume

CT, MARKS, TRUTH = "ct", "marks.dcm", "truth.json"

STUDY_DATE = "20200101"
"""One fixed date: a synthetic patient has no history."""


@dataclass(frozen=True)
class Record:
    """What is known of a finished patient.

    Args:
        rows: Its rows of the manifest.
        truth: Everything that was drawn, as ``latents_of`` tells it.
    """

    rows: tuple[Case, ...]
    truth: dict[str, Plain]


def write_patient(
    folder: Path,
    plan: CohortPlan,
    number: int,
    *,
    done: Callable[[int, int], None] | None = None,
) -> Record:
    """Generate one patient: ``NAME/ct/*.dcm``, ``NAME/marks.dcm`` and ``NAME/truth.json``.

    Args:
        folder: Folder of the cohort.
        plan: What to generate.
        number: Number of the patient, from 0.
        done: Called with the slices made and the slices in all after each one.
    Returns: The patient; one that this plan has made already is left as it is.
    """
    home = folder / plan.patient_name(number)
    known = read_patient(folder, plan, number)
    if known is not None:
        return known
    mode = Mode.COHORT if plan.is_calibrated else Mode.RANDOMISED
    patient = draw_patient(plan.seed, number, mode, age=plan.age)
    rngs = streams(plan.seed, number)
    if plan.preset is Preset.ELSEWHERE:
        patient = with_chest(patient, rngs["organ"])
    scan = _scan_of(patient, plan, rngs["scan"])
    places = slice_places(patient, scan, plan, rngs["slices"])
    # Made aside and moved at once: where a patient's folder stands, the patient is whole.
    aside = part_of(home)
    for old in (aside, home):
        if old.exists():
            shutil.rmtree(old)
    images = (render_slice(patient, scan, place.z_mm, rngs["noise"]) for place in places)
    labels = _write_images(
        aside,
        _header(home.name, patient, scan, plan),
        scan,
        _told(images, len(places), done),
        tuple(one.level for one in patient.spine.vertebrae),
    )
    rows = _rows(patient, scan, plan, places, labels)
    record = Record(tuple(rows), latents_of(patient, scan, places))
    (aside / TRUTH).write_text(_dump(record, plan), encoding="utf-8")
    aside.rename(home)
    return record


class _Spine(BaseModel):
    model_config = ConfigDict(extra="allow")

    vertebrae: list[dict[str, object]]


class _Truth(BaseModel):
    """What ``truth.json`` must hold to be a whole one; the rest depends on the generator."""

    model_config = ConfigDict(extra="allow")

    made_by: dict[str, object]
    rows: tuple[Case, ...] = Field(min_length=1)
    levels: dict[str, tuple[float, float, float]]
    slices: tuple[Place, ...]
    spine: _Spine


def read_patient(folder: Path, plan: CohortPlan, number: int) -> Record | None:
    """Read a patient that this plan has made already.

    Args:
        folder: Folder of the cohort.
        plan: What is to be generated.
        number: Number of the patient, from 0.
    Returns: The patient; ``None`` if there is none, or if something damaged it: its truth cannot be
        read, or a file that it names is gone.
    """
    name = plan.patient_name(number)
    try:
        known = json.loads((folder / name / TRUTH).read_text(encoding="utf-8"))
        truth = _Truth.model_validate(known)
    except (OSError, ValueError):
        return None
    if truth.made_by != plan.makes() or not _is_whole(folder, name, truth):
        return None
    rest = {key: one for key, one in known.items() if key not in ("made_by", "rows")}
    return Record(truth.rows, rest)


def _is_whole(folder: Path, name: str, truth: _Truth) -> bool:
    """Whether a truth is this patient's and tells all, and its images and marks are there."""
    parts = {one.name for one in fields(Patient)} - {"spine"} | {"scan"}
    files = {path for row in truth.rows for path in (row.image, row.mask) if path}
    images = list((folder / name / CT).glob("*.dcm"))
    return (
        parts <= (truth.model_extra or {}).keys()
        and all(row.patient_id == name for row in truth.rows)
        and all((folder / file).exists() for file in files)
        and len(images) == len(truth.slices)
    )


def _dump(record: Record, plan: CohortPlan) -> str:
    rows = [row.model_dump(mode="json") for row in record.rows]
    return json.dumps({"made_by": plan.makes(), "rows": rows, **record.truth}, indent=1)


def _scan_of(patient: Patient, plan: CohortPlan, rng: np.random.Generator) -> Scan:
    """Draw how a patient is imaged, with what the plan fixes."""
    scanner = plan.scanner_of(patient.case)
    return draw_scan(
        rng,
        None if scanner is None else scanner_named(scanner),
        is_randomised=patient.mode is Mode.RANDOMISED,
        trunk_half_width_mm=patient.trunk.half_width_mm,
        cohort_seed=plan.seed,
        protocol=plan.protocol(),
    )


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


def _header(name: str, patient: Patient, scan: Scan, plan: CohortPlan) -> SeriesHeader:
    """Other images of the same person, by another plan, are another series."""
    made_by = json.dumps(plan.makes(), sort_keys=True)
    return replace(
        series_header(name, patient, scan), series_uid=derived_uid(f"{name}/ct/{made_by}")
    )


def _told(
    images: Iterable[SliceImage], total: int, done: Callable[[int, int], None] | None
) -> Iterator[SliceImage]:
    for number, image in enumerate(images, start=1):
        yield image
        if done:
            done(number, total)


def _write_images(
    home: Path,
    header: SeriesHeader,
    scan: Scan,
    images: Iterable[SliceImage],
    levels: tuple[str, ...],
) -> tuple[MaskLabel, ...]:
    """Write CT and marks; slices through discs may have no mark, then there is no mask.

    A long series would fill the memory: of each slice that is written only the marks are kept.
    """
    drawn: list[NDArray[np.uint8]] = []

    def slices() -> Iterator[Volume]:
        for image in images:
            drawn.append(image.labels)
            yield slice_volume(scan, image)

    files = write_ct_slices(slices(), header, home / CT)
    marks, labels = number_marks(np.stack(drawn), levels)
    write_segmentation(
        NumberedSegments(
            marks,
            tuple(
                (body_segment if label.part is Part.BODY else rest_segment)(label.level or "")
                for label in labels
            ),
        ),
        [read_header(file) for file in files],
        home / MARKS,
        algorithm="osteoscreen phantom",
        version=str(GENERATOR_VERSION),
        series_uid=derived_uid(f"{header.series_uid}/marks"),
        made="MANUAL",
    )
    return labels


def number_marks(
    drawn: NDArray[np.uint8], names: tuple[str, ...]
) -> tuple[NDArray[np.uint8], tuple[MaskLabel, ...]]:
    """Number the parts of vertebrae that some slices of one patient show, from 1.

    Args:
        drawn: Labels as ``SliceImage`` has them, axes (slice, row, column).
        names: Levels of the patient's marked vertebrae, from the head down.
    Returns: Marks, axes (slice, row, column), and what their numbers mean, from the head down, the
        body before the rest.
    """
    seen = [int(value) for value in np.flatnonzero(np.bincount(drawn.ravel())) if value > 0]
    numbers = np.zeros(256, np.uint8)
    numbers[seen] = np.arange(1, len(seen) + 1)
    labels = tuple(
        MaskLabel(number, Part.BODY if value % 2 else Part.REST, names[(value - 1) // 2])
        for number, value in enumerate(seen, start=1)
    )
    return numbers[drawn], labels


def _rows(
    patient: Patient,
    scan: Scan,
    plan: CohortPlan,
    places: Sequence[Place],
    labels: tuple[MaskLabel, ...],
) -> list[Case]:
    name = plan.patient_name(patient.case)
    # Wide bone has no class: what it was drawn from stands in the truth, not in the manifest.
    bone = patient.bone if plan.is_calibrated else None
    images: list[tuple[str, str, str | None]] = [
        (f"{name}-{index}", f"{name}/{CT}/{index:04d}.dcm", place.level)
        for index, place in enumerate(places)
    ]
    return [
        Case(
            case_id=case_id,
            patient_id=name,
            image=image,
            mask=f"{name}/{MARKS}" if labels else "",
            mask_labels=format_mask_labels(labels),
            condition=None if bone is None else CONDITIONS[bone.condition_index],
            split=split_of(plan.preset, patient.case, plan.shares),
            t_score=None if bone is None else bone.t_score,
            vbmd_mg_cm3=None if bone is None else bone.vbmd_mg_cm3,
            age=patient.person.age,
            sex="F" if patient.person.sex == "F" else "M",
            scanner=scan.model,
            level=level,
        )
        for case_id, image, level in ([(name, f"{name}/{CT}", None)] if plan.is_series else images)
    ]
