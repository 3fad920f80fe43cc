"""How well a mark can come back from MS-Net's grid: as yes or no, and as the share it covers.

    python benchmarks/mark_grid.py MANIFEST [BUNDLE]

samples the exact vertebra masks of every second test slice on the bundle's grid, brings them back
to the image and compares: what a network that makes no error would reach. Prints JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteoscreen.bundle import load_bundle
from osteoscreen.cohort.manifest import Split, read_manifest
from osteoscreen.cohort.slices import LabelledSlice, read_slices
from osteoscreen.evaluation.metrics import overlap
from osteoscreen.screening.grid import Grid, restore, sample, smooth


def dice(one: LabelledSlice, marks: NDArray[np.float32], grid: Grid) -> float:
    """Compare marks on the grid with the mask of the image."""
    back = restore(marks, grid, (one.hu.shape[0], one.hu.shape[1]), one.spacing_mm) >= 0.5
    return overlap(back, one.vertebra).dice_score


def main() -> None:
    """Print the figures of the test split."""
    manifest = read_manifest(Path(sys.argv[1]))
    bundle = load_bundle(Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    settings = bundle.settings.segmenter
    if settings.spacing_mm is None:
        sys.exit("the bundle sees slices as they were scanned: there is no other grid")
    grid = Grid(settings.size, settings.spacing_mm)
    scores: dict[str, list[float]] = {"yes or no": [], "share covered": []}
    for number, one in enumerate(read_slices(manifest, manifest.of(Split.TEST))):
        if number % 2 or not one.vertebra.any():
            continue
        nearest = sample(one.vertebra.astype(np.uint8), one.spacing_mm, grid, order=0, outside=0)
        scores["yes or no"].append(dice(one, nearest.astype(np.float32), grid))
        mask = smooth(one.vertebra.astype(np.float32), one.spacing_mm, grid.spacing_mm)
        cover = sample(mask, one.spacing_mm, grid, outside=0.0)
        scores["share covered"].append(dice(one, cover.astype(np.float32), grid))
    found = {
        name: {"slices": len(values), "dice_mean": round(float(np.mean(values)), 4)}
        for name, values in scores.items()
    }
    print(json.dumps({"cohort_sha256": manifest.sha256, "figures": found}, indent=1))


if __name__ == "__main__":
    main()
