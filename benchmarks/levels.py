"""Whether vertebrae are named right, on synthetic studies of mixed coverage, chest and pelvis.

Patients are new (seeds that nothing was trained on), half of them calibrated and half wide. A study
is right when every vertebra that is named has its true name; one with four or six lumbar vertebrae
is right when it is told, or its names are said to be unsure. Of chest and pelvis nothing lumbar may
be named, or the study must be refused.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from osteoscreen.bundle import Bundle, load_bundle
from osteoscreen.findings import Acquisition, ReservationCode, Subject
from osteoscreen.phantom import Mode, Patient, draw_patient, draw_scan, render_slice
from osteoscreen.phantom.anatomy import streams, with_chest
from osteoscreen.phantom.protocol import Protocol
from osteoscreen.screening.screen import Scanned, screen_volume
from osteoscreen.volume import Volume

SEED = 601
STUDIES, ELSEWHERE = 200, 60
COVERAGES = {
    "thoracolumbar": ("T10", "S2"),
    "abdomen": ("T11", "S3"),
    "lumbar": ("T12", "S1"),
    "upper": ("T10", "L3"),
    "lower": ("L2", "S3"),
    "short": ("L2", "L4"),
}
THICKNESS_MM = (2.5, 3.0, 5.0, 5.0)
"""Of the studies by turns; thin ones take longer and are no harder."""


@dataclass(frozen=True)
class Study:
    """What came of one study.

    Args:
        number: Of the patient.
        coverage: What it shows.
        mode: Calibrated or wide.
        lumbar_count: Lumbar vertebrae of the patient.
        named: Names as given, with the true ones, from the head down.
        status: Screened, or the code of the refusal.
        confidence: Of the names; none where refused.
        told: Codes of the reservations.
        is_right: As said above.
    """

    number: int
    coverage: str
    mode: str
    lumbar_count: int
    named: tuple[tuple[str, str], ...]
    status: str
    confidence: float | None
    told: tuple[str, ...]
    is_right: bool


@cache
def _bundle(folder: str) -> Bundle:
    return load_bundle(Path(folder) if folder else None)


def run_study(number: int, coverage: str, folder: str) -> Study:
    """Image one patient, screen it and compare the names with the truth."""
    mode = Mode.RANDOMISED if number % 2 else Mode.COHORT
    patient = draw_patient(SEED, number, mode)
    rngs = streams(SEED, number)
    if coverage == "chest":
        patient = with_chest(patient, rngs["organ"])
    volume = _image(patient, number, _ends(patient, coverage), rngs)
    scanned = Scanned(Subject(), Acquisition(), (), tuple(range(len(volume.hu))))
    screening = screen_volume(volume, scanned, _bundle(folder))
    result, heights = screening.result, volume.slice_positions_mm
    named = tuple(
        (one.level, _true_level(patient, float(np.mean(heights[list(one.middle)]))))
        for one in reversed(screening.vertebrae)
    )
    told = {one.code for one in result.reservations}
    status = "screened" if result.refusal is None else result.refusal.code
    return Study(
        number=number,
        coverage=coverage,
        mode=mode.value,
        lumbar_count=patient.spine.shape.lumbar_count,
        named=named,
        status=status,
        confidence=result.levels[0].confidence if result.levels else None,
        told=tuple(sorted(told)),
        is_right=_is_right(coverage, patient, named, status, told),
    )


def _is_right(
    coverage: str,
    patient: Patient,
    named: tuple[tuple[str, str], ...],
    status: str,
    told: set[ReservationCode],
) -> bool:
    if coverage in ("chest", "pelvis"):
        return status != "screened"
    if patient.spine.shape.lumbar_count != 5:
        flags = {ReservationCode.TRANSITIONAL, ReservationCode.LEVELS_UNSURE}
        return bool(flags & told) or all(said == true for said, true in named)
    return status == "screened" and all(said == true for said, true in named)


def _ends(patient: Patient, coverage: str) -> tuple[float, float]:
    """Lowest and highest slice."""
    top, bottom = (patient.spine.vertebra(level).centre_mm[2] for level in ("T10", "S1"))
    if coverage == "chest":
        return top - 60, top + 12
    if coverage == "pelvis":
        return bottom - 115, bottom - 30
    high, low = (
        patient.spine.vertebra(level if level in _levels(patient) else "S1")
        for level in COVERAGES[coverage]
    )
    return low.centre_mm[2] - low.height_mm / 2, high.centre_mm[2] + high.height_mm / 2


def _levels(patient: Patient) -> set[str]:
    return {one.level for one in patient.spine.bodies}


def _true_level(patient: Patient, z_mm: float) -> str:
    return min(patient.spine.bodies, key=lambda one: abs(one.centre_mm[2] - z_mm)).level


def _image(
    patient: Patient, number: int, ends: tuple[float, float], rngs: dict[str, np.random.Generator]
) -> Volume:
    scan = draw_scan(
        rngs["scan"],
        None,
        is_randomised=patient.mode is Mode.RANDOMISED,
        trunk_half_width_mm=patient.trunk.half_width_mm,
        cohort_seed=SEED,
        protocol=Protocol(thickness_mm=THICKNESS_MM[number % len(THICKNESS_MM)]),
    )
    heights = np.arange(*ends, scan.thickness_mm)
    hu = np.stack([render_slice(patient, scan, float(z), rngs["noise"]).hu for z in heights])
    y_axis, x_axis = scan.axes_mm()
    affine = np.eye(4)
    affine[:3, 0] = (0, 0, scan.thickness_mm)
    affine[:3, 1] = (0, scan.pixel_mm, 0)
    affine[:3, 2] = (scan.pixel_mm, 0, 0)
    affine[:3, 3] = (x_axis[0], y_axis[0], heights[0])
    return Volume(hu.astype(np.float32), affine)


def plan() -> list[tuple[int, str]]:
    """Which patient is imaged how."""
    names = list(COVERAGES)
    found = [(number, names[number // 2 % len(names)]) for number in range(STUDIES)]
    more = ("chest", "pelvis")
    return found + [(STUDIES + at, more[at // 2 % 2]) for at in range(ELSEWHERE)]


def _is_lumbar_right(one: Study) -> bool:
    """Whether the names that are, or ought to be, lumbar are right."""
    told = [pair for pair in one.named if any(name.startswith("L") for name in pair)]
    return one.status == "screened" and all(said == true for said, true in told)


def summarise(studies: list[Study]) -> dict[str, object]:
    """Count what is right, by coverage and in all."""
    inside = [one for one in studies if one.coverage in COVERAGES]
    usual = [one for one in inside if one.lumbar_count == 5]
    odd = [one for one in inside if one.lumbar_count != 5]
    outside = [one for one in studies if one.coverage not in COVERAGES]
    by_coverage: dict[str, Counter[bool]] = {}
    for one in studies:
        by_coverage.setdefault(one.coverage, Counter())[one.is_right] += 1
    return {
        "studies": len(inside),
        "right": sum(one.is_right for one in inside),
        "usual_count": {
            "studies": len(usual),
            "right": sum(one.is_right for one in usual),
            "lumbar_right": sum(_is_lumbar_right(one) for one in usual),
        },
        "transitional": {
            "studies": len(odd),
            "right_or_told": sum(one.is_right for one in odd),
            "told": sum("TRANSITIONAL" in one.told for one in odd),
        },
        "elsewhere": {"studies": len(outside), "right": sum(one.is_right for one in outside)},
        "by_coverage": {
            name: {"studies": count.total(), "right": count[True]}
            for name, count in by_coverage.items()
        },
        "wrong": [asdict(one) for one in studies if not one.is_right],
    }


def main() -> None:
    """Write ``results/levels.json``; arguments: workers, and a bundle folder."""
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    folder = sys.argv[2] if len(sys.argv) > 2 else ""
    numbers, coverages = zip(*plan())
    with ProcessPoolExecutor(workers) as pool:
        studies = list(pool.map(run_study, numbers, coverages, [folder] * len(numbers)))
    bundle = _bundle(folder)
    found = {"seed": SEED, "bundle": bundle.reference.model_dump(), **summarise(studies)}
    path = Path(__file__).parents[1] / "results" / "levels.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: value for name, value in found.items() if name != "wrong"}, indent=1))


if __name__ == "__main__":
    main()
