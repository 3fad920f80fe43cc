"""Readings kept on disk: reading thousands of slices takes a while, and a stopped run goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from osteoscreen.bundle import Bundle
from osteoscreen.cohort.leakage import Fingerprints
from osteoscreen.cohort.manifest import Manifest, Split
from osteoscreen.evaluation.readings import Readings, Shows, read_cohort

RIVAL = "rival:"
"""What the name of a rival's array begins with."""


def read_or_keep(
    folder: Path | None,
    bundle: Bundle,
    manifest: Manifest,
    split: Split,
    *,
    rivals: Mapping[str, Bundle],
    advance: Callable[[int], None] | None = None,
) -> Readings:
    """Read a split as ``readings.read_cohort``, or take what was read of it before.

    Args:
        folder: Where readings are kept; ``None`` keeps none. What is there counts only for the same
            bundles and the same manifest.
        bundle: Model bundle.
        manifest: Cohort.
        split: Which part of it.
        rivals: Bundles whose classifiers read the same marks, by name.
        advance: Called with the number of slices just read.
    """
    if folder is None:
        return read_cohort(bundle, manifest, split, rivals=rivals, advance=advance)
    told = [bundle.sha256, manifest.sha256, *(f"{n} {one.sha256}" for n, one in rivals.items())]
    key = hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
    path = folder / f"{split.value}-{key}.npz"
    if path.is_file():
        return load_readings(path, manifest)
    readings = read_cohort(bundle, manifest, split, rivals=rivals, advance=advance)
    folder.mkdir(parents=True, exist_ok=True)
    keep_readings(readings, path)
    return readings


def keep_readings(readings: Readings, path: Path) -> None:
    """Write readings to a file, at once.

    Args:
        readings: What to keep.
        path: File ending in ``.npz``.
    """
    part = path.with_suffix(".part.npz")
    seen = readings.seen
    arrays: dict[str, Any] = {
        "case_ids": np.array([case.case_id for case in readings.cases], dtype=str),
        "overlaps": np.array(json.dumps([dict(one) for one in readings.overlaps])),
        "logits": readings.logits,
        "hu": readings.hu,
        "shows": np.array(readings.shows, dtype=str),
        "width_mm": readings.width_mm,
        "seen_cases": np.array(seen.cases, dtype=str),
        "seen_patients": np.array(seen.patients, dtype=str),
        "seen_series": np.array(seen.series, dtype=str),
        "seen_images": seen.images,
    }
    arrays |= {f"{RIVAL}{name}": values for name, values in readings.rivals.items()}
    np.savez_compressed(part, **arrays)
    part.replace(path)


def load_readings(path: Path, manifest: Manifest) -> Readings:
    """Read what ``keep_readings`` wrote.

    Args:
        path: The file.
        manifest: Cohort that the readings are of.
    """
    cases = {case.case_id: case for case in manifest.cases}
    with np.load(path) as stored:
        return Readings(
            cases=tuple(cases[str(one)] for one in stored["case_ids"]),
            overlaps=tuple(json.loads(str(stored["overlaps"]))),
            logits=stored["logits"],
            hu=stored["hu"],
            shows=tuple(Shows(str(one)) for one in stored["shows"]),
            width_mm=stored["width_mm"],
            rivals={
                name.removeprefix(RIVAL): stored[name]
                for name in stored.files
                if name.startswith(RIVAL)
            },
            seen=Fingerprints(
                tuple(map(str, stored["seen_cases"])),
                tuple(map(str, stored["seen_patients"])),
                tuple(map(str, stored["seen_series"])),
                stored["seen_images"],
            ),
        )
