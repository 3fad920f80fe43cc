"""What was drawn to make a synthetic patient: everything, by name, and a table of the cohort.

The names are those of the phantom's own dataclasses, so that whatever the phantom draws stands
here. Large arrays (textures and fields) and the points that organs, muscles, ribs and vessels are
drawn through, some megabytes a patient, are left out: they follow from the seed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from io import StringIO
from itertools import groupby
from pathlib import Path

import numpy as np

from osteoscreen.cohort.places import Place
from osteoscreen.cohort.record import write_record
from osteoscreen.phantom import Patient, Scan
from osteoscreen.phantom.bowel import Filling, Gut

SMALL = 16
"""Arrays of up to so many numbers, an affine say, are told."""

POINTS = ("knots", "points_mm")
"""Fields of a solid that hold what it is drawn through, thousands of points a patient."""

VERTEBRA = ("height_mm", "height_loss", "trabecular_hu", "disc_mm")
"""Fields of a vertebra that have columns of their own."""

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
"""What JSON holds."""


def latents_of(patient: Patient, scan: Scan, places: Sequence[Place]) -> dict[str, Plain]:
    """Tell everything that was drawn for a patient.

    Args:
        patient: Who.
        scan: How the patient was imaged.
        places: Where the slices lie, in order.
    Returns: The patient's own fields by name, nested as they are, ``levels`` with the centre of
        each vertebra in the patient frame (x to the left, y to the back, z to the head, mm),
        ``scan`` and ``slices``.
    """
    told = {one.name: plain(getattr(patient, one.name)) for one in fields(patient)}
    trunk = told["trunk"]
    assert isinstance(trunk, dict)
    assert isinstance(trunk["pelvis"], dict)
    del trunk["pelvis"]["sacrum"]  # it is the spine's
    centres = {
        one.level: [float(number) for number in one.centre_mm] for one in patient.spine.bodies
    }
    return told | {
        "levels": {level: plain(centre) for level, centre in centres.items()},
        "scan": plain(scan),
        "slices": [{"z_mm": place.z_mm, "level": place.level} for place in places],
    }


def plain(value: object) -> Plain:
    """Turn drawn values into what JSON holds.

    Args:
        value: A dataclass, a sequence, a small array, a number, a text or nothing.
    Returns: The same without large arrays and without ``POINTS``; a dataclass becomes a dict of its
        fields.
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Gut):
        return _content(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist() if value.size <= SMALL else None
    if is_dataclass(value):
        told = {
            one.name: plain(getattr(value, one.name))
            for one in fields(value)
            if one.name not in POINTS
        }
        return {name: one for name, one in told.items() if not _is_empty(one)}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a drawn value must be plain, got {type(value).__name__}")


def _content(gut: Gut) -> dict[str, Plain]:
    """Tell what a tube of the gut holds, run by run instead of ball by ball."""
    runs = groupby(zip(gut.filling, gut.level_mm, strict=True))
    return {
        "content": [
            {
                "filling": Filling(filling).name.lower(),
                "level_mm": level_mm,
                "balls": sum(1 for _ in run),
            }
            for (filling, level_mm), run in runs
        ],
        "wall_mm": gut.wall_mm,
    }


def _is_empty(value: Plain) -> bool:
    """Whether nothing is left of a value, its large arrays being left out."""
    if isinstance(value, list):
        return bool(value) and all(_is_empty(one) for one in value)
    return value is None or value == {}


def table_row(name: str, split: str, truth: Mapping[str, Plain]) -> dict[str, str]:
    """Flatten the truth of one patient for the table of the cohort.

    Args:
        name: The patient.
        split: Its split.
        truth: As ``latents_of`` gives it.
    Returns: Columns such as ``bone.t_score`` and ``scan.kvp``, then ``slices.z_mm``, ``L3.x_mm``,
        the fields ``VERTEBRA`` of each marked vertebra, such as ``L3.height_loss``; lists of
        numbers are joined by semicolons. What a patient has many of is counted, as in
        ``spine.implants.count``; the rest of it stands in the truth only.
    """
    slices, levels = truth["slices"], truth["levels"]
    assert isinstance(slices, list)
    assert isinstance(levels, dict)
    marked = _vertebrae(truth)
    rest = {key: one for key, one in truth.items() if key not in ("slices", "levels")}
    row = {"patient_id": name, "split": split} | _flat("", rest)
    row["slices.z_mm"] = _text([one["z_mm"] for one in slices if isinstance(one, dict)])
    for level, centre in levels.items():
        assert isinstance(centre, list)
        row |= {f"{level}.{axis}_mm": _text(one) for axis, one in zip("xyz", centre)}
        row |= {
            f"{level}.{name}": _text(one)
            for name, one in marked.get(level, {}).items()
            if name in VERTEBRA
        }
    return row


def _vertebrae(truth: Mapping[str, Plain]) -> dict[str, dict[str, Plain]]:
    """Return what is told of the marked vertebrae, by level."""
    spine = truth["spine"]
    assert isinstance(spine, dict)
    told = spine["vertebrae"]
    assert isinstance(told, list)
    return {str(one.get("level")): one for one in told if isinstance(one, dict)}


def _flat(prefix: str, values: Mapping[str, Plain]) -> dict[str, str]:
    row: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            row |= _flat(f"{prefix}{name}.", value)
        elif isinstance(value, list) and _is_of_objects(name, value):
            row[f"{prefix}{name}.count"] = str(len(value))
        elif not (isinstance(value, list) and any(isinstance(one, list) for one in value)):
            row[prefix + name] = _text(value)
    return row


def _is_of_objects(name: str, values: list[Plain]) -> bool:
    """Whether a list holds objects; an empty one does unless its name has the unit of numbers."""
    if values:
        return any(isinstance(one, dict) for one in values)
    return not name.endswith("_mm")


def _text(value: Plain) -> str:
    if isinstance(value, list):
        return ";".join(_text(one) for one in value)
    return "" if value is None else str(value)


def write_table(rows: Iterable[Mapping[str, str]], path: Path) -> None:
    """Write the table of the cohort, every column that any patient has.

    Args:
        rows: One a patient, as ``table_row`` gives them.
        path: File to write, at once.
    """
    known = list(rows)
    columns = list(dict.fromkeys(name for row in known for name in row))
    stream = StringIO(newline="")
    writer = csv.DictWriter(stream, columns, restval="")
    writer.writeheader()
    writer.writerows(known)
    write_record(path, stream.getvalue())
