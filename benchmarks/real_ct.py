"""Agreement of a bundle's marks with the references of the development CT.

One patient a set, never trained on, but looked at while the software was made; all references but
``verse014`` are another program's labels. The figures measure agreement, not truth. Without the
folder the script says so and ends.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteoscreen.bundle import load_bundle
from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.series import read_series
from osteoscreen.evaluation.metrics import overlap
from osteoscreen.nifti import read_labels, read_nifti
from osteoscreen.screening.marking import Marks, mark_volume
from osteoscreen.volume import Volume, stand

REAL = Path(__file__).parents[2] / "shared" / "real"

MID_SHARE = 0.6
"""A slice is a middle one when the reference's area exceeds this share of its 90th percentile."""

SETS = {
    "ts_lumbar": ("ts_lumbar/ct.nii.gz", "ts_lumbar/vertebrae.nii.gz", range(27, 34)),
    "ts_dicom": ("ts_dicom/ct", "ts_dicom/vertebrae.nii.gz", (32, 33)),
    "verse014": ("verse014/ct.nii.gz", "verse014/vertebrae.nii.gz", range(20, 25)),
    "tptbox": (
        "tptbox/sub-ct_label-22_ct.nii.gz",
        "tptbox/sub-ct_seg-vert_label-22_msk.nii.gz",
        range(1, 30),
    ),
}
"""Image, reference and the values of whole vertebrae T11 to L5."""

ENDS_AT = {"verse014": 20}
"""Value of the uppermost vertebra of a reference that stops short of the image: T12 is there, and
unlabelled."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What another hand marked, axes as the standing volume's.

    Args:
        vertebra: The whole vertebrae.
        body: The bodies, where they are marked.
        is_complete: Slice by slice, whether all vertebrae of the slice are marked.
    """

    vertebra: NDArray[np.bool_]
    body: NDArray[np.bool_] | None
    is_complete: NDArray[np.bool_]


def read_set(name: str) -> tuple[Volume, Reference]:
    """Return the standing volume and its reference."""
    image, mask, values = SETS[name]
    path = REAL / image
    volume = read_nifti(path) if path.is_file() else read_series(find_series(path).series[0]).volume
    labels = read_labels(REAL / mask)
    if path.is_dir():
        # The NIfTI of the DICOM set runs to the front where DICOM runs to the back.
        labels = labels[:, ::-1, :]
    standing, turn = stand(volume)
    body = None
    if name == "ts_lumbar":
        body = turn.apply(read_labels(REAL / "ts_lumbar/vertebral_bodies.nii.gz")) == 1
    marked = turn.apply(labels)
    vertebra = np.isin(marked, list(values))
    is_complete = np.ones(len(vertebra), bool)
    if name in ENDS_AT:
        # Above the half of the uppermost vertebra, the next one shares the slices with it.
        areas = (marked == ENDS_AT[name]).sum(axis=(1, 2))
        is_complete[np.flatnonzero(areas > areas.max() / 2).max() + 1 :] = False
    return standing, Reference(vertebra, None if body is None else body & vertebra, is_complete)


def figures(
    marks: NDArray[np.bool_], reference: NDArray[np.bool_], is_complete: NDArray[np.bool_]
) -> dict[str, float]:
    """Dice over all slices of the reference, and over its middle ones: together and by slice."""
    areas = reference.sum(axis=(1, 2))
    used = areas > 0
    middle = areas > MID_SHARE * np.percentile(areas[used], 90)
    every = {i: overlap(marks[i], reference[i]).dice_score for i in np.flatnonzero(used)}
    each = [every[i] for i in np.flatnonzero(middle)]
    complete = [every[i] for i in np.flatnonzero(used & is_complete)]
    return {
        "slices": int(used.sum()),
        "dice_volume": round(overlap(marks[used], reference[used]).dice_score, 4),
        "dice_slice_mean": round(float(np.mean(list(every.values()))), 4),
        "complete_slices": len(complete),
        "dice_complete_slice_mean": round(float(np.mean(complete)), 4),
        "middle_slices": int(middle.sum()),
        "dice_middle_mean": round(float(np.mean(each)), 4),
        "dice_middle_median": round(float(np.median(each)), 4),
    }


def main() -> None:
    """Print the figures of the bundle given, or of the one in the package, as JSON."""
    if not REAL.is_dir():
        print("no real CT beside the project")
        return
    bundle = load_bundle(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in SETS:
        volume, reference = read_set(name)
        marks: Marks = mark_volume(volume, bundle)
        whole = reference.is_complete
        found[name] = {"vertebra": figures(marks.vertebra, reference.vertebra, whole)}
        if reference.body is not None:
            found[name]["body"] = figures(marks.body, reference.body, whole)
    print(json.dumps({"bundle": bundle.reference.model_dump(), "figures": found}, indent=1))


if __name__ == "__main__":
    main()
