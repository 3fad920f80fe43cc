"""Agreement of a bundle's marks with the exact masks of held-out randomised patients.

The slices lie anywhere from T10 to the pelvis; they are told apart by what they show and by their
field of view, because a mean over an unstated mix says little.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from osteoscreen.bundle import load_bundle
from osteoscreen.cohort.manifest import Split, read_manifest
from osteoscreen.cohort.slices import read_slices
from osteoscreen.evaluation.metrics import overlap
from osteoscreen.evaluation.readings import what_shows
from osteoscreen.screening.marking import mark_volume
from osteoscreen.volume import Volume

NARROW_MM = 260.0
"""Fields of view below this are laid around the spine."""


def main() -> None:
    """Print the figures of the test split of a manifest, as JSON: MANIFEST [BUNDLE]."""
    manifest = read_manifest(Path(sys.argv[1]))
    bundle = load_bundle(Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    patients = set()
    false_mm2: list[float] = []
    for one in read_slices(manifest, manifest.of(Split.TEST)):
        patients.add(one.case.patient_id)
        row_mm, column_mm = one.spacing_mm
        affine = np.array([[0, 0, column_mm, 0], [0, row_mm, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
        marks = mark_volume(Volume(one.hu[None], affine), bundle)
        if not one.vertebra.any():
            false_mm2.append(float(marks.vertebra.sum()) * row_mm * column_mm)
            continue
        narrow = one.hu.shape[1] * column_mm < NARROW_MM
        groups = ("all", what_shows(one).value, "narrow field" if narrow else "wide field")
        for name, marked, reference in (
            ("vertebra", marks.vertebra[0], one.vertebra),
            ("body", marks.body[0], one.body),
        ):
            if reference.any():
                dice = overlap(marked, reference).dice_score
                for group in groups:
                    scores[name][group].append(dice)
    found = {
        name: {
            group: {
                "slices": len(values),
                "dice_mean": round(float(np.mean(values)), 4),
                "dice_median": round(float(np.median(values)), 4),
                "dice_tenth_percentile": round(float(np.percentile(values, 10)), 4),
            }
            for group, values in groups.items()
        }
        for name, groups in scores.items()
    }
    print(
        json.dumps(
            {
                "bundle": bundle.reference.model_dump(),
                "cohort_sha256": manifest.sha256,
                "patients": len(patients),
                "figures": found,
                "slices_without_a_vertebra": len(false_mm2),
                "of_them_with_a_mark": int(np.count_nonzero(false_mm2)),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
