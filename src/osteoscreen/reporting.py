"""The report of a result: its pictures while the pixels are there, page and PDF at any time.

The pictures lie beside ``result.json``; so a report is made again without screening, and comes out
the same to the byte.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from osteoscreen import texts
from osteoscreen.bundle import Bundle
from osteoscreen.errors import ResultError
from osteoscreen.findings import ScreeningResult
from osteoscreen.report.content import PictureName, describe
from osteoscreen.report.looked import Looked, looked_drawing
from osteoscreen.report.overlay import MAX_PANELS, OverlayPanel, overlay_drawing
from osteoscreen.report.page import render_html
from osteoscreen.report.pdf import render_pdf
from osteoscreen.report.sagittal import NamedPlace, SagittalPlane, sagittal_drawing
from osteoscreen.screening.occlusion import occlude
from osteoscreen.screening.sagittal import cut_sagittal
from osteoscreen.screening.screen import Screening
from osteoscreen.volume import Volume

RESULT = "result.json"
RING = "pie.png"
PAGE, PDF = "report.html", "report.pdf"
PICTURES: dict[PictureName, str] = {
    "overlay": "overlay.png",
    "sagittal": "sagittal.png",
    "looked": "looked.png",
}
REPORT_FILES = (RESULT, PAGE, PDF, RING, *PICTURES.values())

OWN_NAME = re.compile(r"series-[0-9a-f]{12}")
"""Folders that ``intake`` names, by a hash. Any other name may be a patient's, and is not shown."""

REFUSED_PANELS = 3
"""Slices shown where no vertebra was marked: enough to see what the scan is of."""


def write_pictures(
    screening: Screening, volume: Volume, indices: tuple[int, ...], bundle: Bundle, folder: Path
) -> bytes:
    """Draw what only the pixels can show, and keep it beside the result.

    Args:
        screening: What was found.
        volume: The standing volume that was screened.
        indices: Position in the input of each of its slices.
        bundle: The bundle that was used.
        folder: Of the result.
    Returns: The marked slices, as PNG.
    """
    shown = _shown_slices(screening, len(volume.hu))
    overlay = overlay_drawing(_panels(screening, volume, indices, shown)).png()
    (folder / PICTURES["overlay"]).write_bytes(overlay)
    cut = cut_sagittal(volume, screening.marks, screening.vertebrae, screening.bodies)
    if cut is not None:
        last = len(volume.hu) - 1
        names = [
            NamedPlace(one.level, *front) for one, front in zip(screening.vertebrae, cut.fronts)
        ]
        ticks = [last - at for at in shown]
        plane = SagittalPlane(cut.hu, cut.labels, cut.spacing_mm, names, ticks)
        (folder / PICTURES["sagittal"]).write_bytes(sagittal_drawing(plane).png())
    if screening.result.probabilities is not None:
        found = occlude(volume, screening.marks, screening.chosen, screening.result, bundle)
        title = texts.slice_title(found.finding.level, found.finding.index, None)
        looked = Looked(found.roi, found.fall, title)
        (folder / PICTURES["looked"]).write_bytes(looked_drawing(looked).png())
    return overlay


def write_report(result: ScreeningResult, folder: Path) -> bytes:
    """Write ring, page and PDF of a result, with the pictures that lie in its folder.

    Args:
        result: The result.
        folder: Its folder; its name is shown if it is one that screening gave it.
    Returns: The PDF.
    """
    pictures: dict[PictureName, bytes] = {
        name: (folder / file).read_bytes()
        for name, file in PICTURES.items()
        if (folder / file).is_file()
    }
    name = folder.resolve().name
    title = texts.TITLE.format(name=name) if OWN_NAME.fullmatch(name) else texts.TITLE_UNNAMED
    content = describe(result, pictures, title=title)
    if content.ring is not None:
        (folder / RING).write_bytes(content.ring.png)
    (folder / PAGE).write_text(render_html(content), encoding="utf-8")
    pdf = render_pdf(content)
    (folder / PDF).write_bytes(pdf)
    return pdf


def report_again(source: Path) -> Path:
    """Make the report of a result again, without screening.

    Args:
        source: A result folder, or its ``result.json``.
    Returns: The folder.
    Raises:
        ResultError: If there is no result, or it is none of this version's.
    """
    path = source / RESULT if source.is_dir() else source
    if not path.is_file():
        raise ResultError(f"{source}: a result folder or its {RESULT} is needed, there is none")
    try:
        result = ScreeningResult.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise ResultError(
            f"{path}: not a result of this version: {where}: {first['msg']}"
        ) from None
    for name in PICTURES.values():
        file = path.parent / name
        if file.is_file() and not file.read_bytes().startswith(b"\x89PNG"):
            raise ResultError(f"{file}: a picture of the report must be a PNG, it is not")
    write_report(result, path.parent)
    return path.parent


def _panels(
    screening: Screening, volume: Volume, indices: tuple[int, ...], shown: dict[int, str | None]
) -> list[OverlayPanel]:
    positions = volume.slice_positions_mm
    said = dict(zip(screening.chosen, screening.result.slices))
    marks = screening.marks
    return [
        OverlayPanel(
            hu=volume.hu[at],
            labels=marks.labels(at),
            spacing_mm=volume.spacing_mm[1:],
            title=texts.slice_title(level, indices[at], float(positions[at])),
            probabilities=said[at].probabilities if at in said else None,
        )
        for at, level in shown.items()
    ]


def _shown_slices(screening: Screening, count: int) -> dict[int, str | None]:
    """Choose the slices to show and the level to name them by, from the head down.

    One a vertebra, lumbar ones first where there are many; evenly spread ones without names.
    """
    named = [one for one in reversed(screening.vertebrae) if one.middle]
    if len(named) > MAX_PANELS:
        named = [one for one in named if one.is_lumbar][:MAX_PANELS]
    if named:
        return {one.middle[len(one.middle) // 2]: one.level for one in named}
    shown = (
        _spread(screening.chosen, MAX_PANELS)
        if screening.chosen
        else _spread(range(count), REFUSED_PANELS)
    )
    return dict.fromkeys(shown)


def _spread(indices: Sequence[int], count: int) -> list[int]:
    """Choose some indices, evenly over all; from the head down, as a reader scrolls."""
    picked = np.linspace(0, len(indices) - 1, min(count, len(indices)))
    return [indices[round(place)] for place in picked][::-1]
