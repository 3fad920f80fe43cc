"""Names and attenuation on the development CT, against its references; and the odd files of it.

Never trained on, but looked at while the software was made. No pixel of it is kept: figures and
curves only. Without the folder the script says so and ends.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscreen.bundle import load_bundle
from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.series import read_series
from osteoscreen.findings import Acquisition, Subject
from osteoscreen.masks import TOTALSEGMENTATOR, VERSE
from osteoscreen.nifti import read_labels_on, read_nifti
from osteoscreen.screening.attenuation import measure_vertebra
from osteoscreen.screening.centreline import areas_across
from osteoscreen.screening.screen import Scanned, Screening, screen_volume
from osteoscreen.volume import Volume, stand
from osteoscreen.workflow import Silent, screen_inputs

REAL = Path(__file__).parents[2] / "shared" / "real"
RESULT = Path(__file__).parents[1] / "results" / "real_levels.json"

SETS: dict[str, tuple[str, str, dict[int, str]]] = {
    "ts_lumbar": ("ts_lumbar/ct.nii.gz", "ts_lumbar/vertebrae.nii.gz", TOTALSEGMENTATOR),
    "verse014": ("verse014/ct.nii.gz", "verse014/vertebrae.nii.gz", VERSE),
    "ts_dicom": ("ts_dicom/ct", "ts_dicom/vertebrae.nii.gz", TOTALSEGMENTATOR),
    "tptbox": (
        "tptbox/sub-ct_label-22_ct.nii.gz",
        "tptbox/sub-ct_seg-vert_label-22_msk.nii.gz",
        {21: "L2", 22: "L3", 23: "L4"},
    ),
}
BODIES = {"ts_lumbar": "ts_lumbar/vertebral_bodies.nii.gz"}
"""References that mark bodies; the others mark whole vertebrae, of which MS-Net's body is taken."""


def measure(name: str, folder: str) -> dict[str, Any]:
    """Compare one set with its reference, level by level."""
    image, mask, scheme = SETS[name]
    path = REAL / image
    volume = read_nifti(path) if path.is_file() else read_series(find_series(path).series[0]).volume
    standing, _ = stand(volume)
    bundle = load_bundle(Path(folder) if folder else None)
    indices = tuple(range(len(standing.hu)))
    screening = screen_volume(standing, Scanned(Subject(), Acquisition(), (), indices), bundle)
    labels = read_labels_on(REAL / mask, standing)
    body = (
        read_labels_on(REAL / BODIES[name], standing) == 1
        if name in BODIES
        else screening.marks.body
    )
    result = screening.result
    rows = [
        _level(screening, one.number, one.level, standing, labels, body, scheme)
        for one in reversed(screening.vertebrae)
        if screening.bodies is not None
    ]
    heights = standing.slice_positions_mm
    areas = areas_across(screening.marks.body_or_vertebra, standing.spacing_mm)
    return {
        "status": "screened" if result.refusal is None else result.refusal.code,
        "reason": "" if result.refusal is None else result.refusal.text,
        "confidence": result.levels[0].confidence if result.levels else None,
        "levels": rows,
        "z_mm": [round(float(z), 1) for z in heights],
        "body_mm2": [round(float(area)) for area in areas],
        "reference": {
            level: [round(float(heights[at]), 1) for at in (shown[0], shown[-1])]
            for value, level in scheme.items()
            if len(shown := np.flatnonzero(((labels == value) & body).any(axis=(1, 2))))
        },
    }


def _level(  # noqa: PLR0913 - what is compared with what
    screening: Screening,
    number: int,
    level: str,
    standing: Volume,
    labels: NDArray[np.uint8],
    body: NDArray[np.bool_],
    scheme: dict[int, str],
) -> dict[str, Any]:
    assert screening.bodies is not None
    mine = screening.bodies == number
    counts = {scheme[v]: int((labels[mine] == v).sum()) for v in scheme}
    true = max(counts, key=lambda key: counts[key])
    is_labelled = counts[true] > mine.sum() / 2  # VerSe leaves out what the series cuts off
    own = measure_vertebra(standing.hu, mine, standing.spacing_mm)
    value = next((v for v, name in scheme.items() if name == level), -1)
    other = measure_vertebra(standing.hu, (labels == value) & body, standing.spacing_mm)
    heights, shown = standing.slice_positions_mm, np.flatnonzero(mine.any(axis=(1, 2)))
    return {
        "level": level,
        "reference_level": true if is_labelled else None,
        "attenuation_hu": None if own is None else round(own.mean_hu, 1),
        "reference_hu": None if other is None or true != level else round(other.mean_hu, 1),
        "z_mm": [round(float(heights[at]), 1) for at in (shown[0], shown[-1])],
    }


def outcomes(folder: str, out: Path) -> list[dict[str, Any]]:
    """Screen every odd file, and every folder of them, of the formats."""
    bundle = load_bundle(Path(folder) if folder else None)
    home = REAL / "formats"
    inputs = sorted({one.parent for one in home.rglob("*") if one.is_file()} | {
        one for one in home.rglob("*")
        if one.is_file() and one.parent.name in ("one_slice_many_syntaxes", "single-frame",
                                                 "multi-frame", "parser_cases")
    })  # fmt: skip
    return [
        {
            "input": str(source.relative_to(home)),
            "status": row.status,
            "code": str(row.code),
            "reason": row.reason.replace(str(home) + "/", ""),
            "reservations": row.reservations,
        }
        for source in inputs
        for row in screen_inputs([source], out, bundle, Silent())
    ]


def main() -> None:
    """Write ``results/real_levels.json``; arguments: output folder, and a bundle folder."""
    if not REAL.exists():
        print("the development CT is not here")
        return
    folder = sys.argv[2] if len(sys.argv) > 2 else ""
    sets = {name: measure(name, folder) for name in SETS}
    found = {
        "bundle": load_bundle(Path(folder) if folder else None).reference.model_dump(),
        "sets": sets,
        "formats": outcomes(folder, Path(sys.argv[1])),
    }
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for name, one in sets.items():
        print(name, one["status"], one["reason"], one["levels"])


if __name__ == "__main__":
    main()
