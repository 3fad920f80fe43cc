"""What a finer grid of MS-Net would gain and cost.

    python benchmarks/mark_grid.py MANIFEST [BUNDLE]

samples the exact vertebra masks of every second test slice on the bundle's grid and on one of half
the spacing, as yes or no and as the share that they cover, brings them back to the image and
compares: what a network that makes no error would reach. Beside it the time of an untrained MS-Net
of the bundle's width at both sizes, in PyTorch on one core. Prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from osteoscreen.bundle import Bundle, load_bundle
from osteoscreen.cohort.manifest import Manifest, Split, read_manifest
from osteoscreen.cohort.slices import LabelledSlice, read_slices
from osteoscreen.evaluation.metrics import overlap
from osteoscreen.networks.ms_net import MSNet, MSNetConfig
from osteoscreen.screening.grid import Grid, restore, sample, smooth

TIMED = 6


def dice(one: LabelledSlice, marks: NDArray[np.float32], grid: Grid) -> float:
    """Compare marks on the grid with the mask of the image."""
    back = restore(marks, grid, (one.hu.shape[0], one.hu.shape[1]), one.spacing_mm, 0.5)
    return overlap(back, one.vertebra).dice_score


def figures(manifest: Manifest, grid: Grid) -> dict[str, dict[str, float]]:
    """Mean Dice of the exact masks, there and back again."""
    scores: dict[str, list[float]] = {"yes or no": [], "share covered": []}
    for number, one in enumerate(read_slices(manifest, manifest.of(Split.TEST))):
        if number % 2 or not one.vertebra.any():
            continue
        nearest = sample(one.vertebra.astype(np.uint8), one.spacing_mm, grid, order=0, outside=0)
        scores["yes or no"].append(dice(one, nearest.astype(np.float32), grid))
        mask = smooth(one.vertebra.astype(np.float32), one.spacing_mm, grid.spacing_mm)
        cover = sample(mask, one.spacing_mm, grid, outside=0.0)
        scores["share covered"].append(dice(one, cover.astype(np.float32), grid))
    return {
        name: {"slices": len(values), "dice_mean": round(float(np.mean(values)), 4)}
        for name, values in scores.items()
    }


def ms_a_slice(bundle: Bundle, size: int) -> float:
    """Shortest time of an untrained network on one slice, ms."""
    width = bundle.settings.runs["segmenter"]["recipe"]["width"]
    marks = len(bundle.settings.segmenter.marks)
    network = MSNet(MSNetConfig(image_size=size, width=width, marks=marks)).eval()
    image = torch.zeros(1, 1, size, size)
    times = []
    with torch.inference_mode():
        for _ in range(TIMED):
            begin = time.perf_counter()
            network(image)
            times.append(time.perf_counter() - begin)
    return round(min(times) * 1e3, 1)


def main() -> None:
    """Print the figures of the test split."""
    torch.set_num_threads(1)
    manifest = read_manifest(Path(sys.argv[1]))
    bundle = load_bundle(Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    settings = bundle.settings.segmenter
    if settings.spacing_mm is None:
        sys.exit("the bundle sees slices as they were scanned: there is no other grid")
    grids = [Grid(settings.size * fine, settings.spacing_mm / fine) for fine in (1, 2)]
    found: dict[str, Any] = {
        str(grid.size): {
            "spacing_mm": grid.spacing_mm,
            "ms_a_slice": ms_a_slice(bundle, grid.size),
            **figures(manifest, grid),
        }
        for grid in grids
    }
    print(json.dumps({"cohort_sha256": manifest.sha256, "grids": found}, indent=1))


if __name__ == "__main__":
    main()
