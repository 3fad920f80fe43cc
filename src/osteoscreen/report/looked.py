"""What the network looked at: the roi above the same roi with what its answer hangs on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor
from scipy import ndimage

from osteoscreen import texts
from osteoscreen.report.drawing import Drawing, Lettering
from osteoscreen.report.palette import AGAINST, INK, MUTED, SUPPORT

SIDE = 190.0
GAP = 10.0
TITLE = 22.0
LEGEND = 36.0
OPACITY = 0.75
"""Of the part that matters most."""
LEAST_FALL = 0.01
"""A fall or rise of the probability below this colours nothing: it would be noise made visible."""


@dataclass(frozen=True, eq=False)
class Looked:
    """A roi and how much each part of it speaks for a class.

    Args:
        roi: Grey 0..255, shape (size, size).
        fall: Fall of the class's probability while a part is covered, on any coarser square grid;
            nan where nothing was covered.
        title: Name of the slice.
    """

    roi: NDArray[np.float32]
    fall: NDArray[np.float64]
    title: str


def looked_drawing(looked: Looked) -> Drawing:
    """Draw the roi, and below it what raises (filled) and lowers (striped) the probability."""
    drawing = Drawing(SIDE, TITLE + 2 * SIDE + GAP + LEGEND)
    pixels = drawing.pixels(SIDE)
    grey = Image.fromarray(np.clip(looked.roi, 0, 255).astype(np.uint8)).resize(
        (pixels, pixels), Image.Resampling.BILINEAR
    )
    plain = np.repeat(_stretched(np.asarray(grey))[..., None], 3, axis=2)
    drawing.write((0, TITLE / 2 - 1), looked.title, Lettering(11.5, INK, "left"))
    drawing.paste(Image.fromarray(plain), (0, TITLE))
    coloured = _coloured(plain, looked.fall, np.asarray(grey) > 0)
    drawing.paste(Image.fromarray(coloured), (0, TITLE + SIDE + GAP))
    _add_legend(drawing, looked)
    return drawing


def _stretched(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Spread the greys of the roi over the whole range, as a reader would set the window."""
    inside = grey[grey > 0]
    if not inside.size:
        return grey
    low, high = np.percentile(inside, (1, 99))
    wide = (grey - low) * (235 / max(float(high - low), 1.0)) + 20
    return np.where(grey > 0, np.clip(wide, 0, 255), 0).astype(np.uint8)


def _coloured(
    plain: NDArray[np.uint8], fall: NDArray[np.float64], is_marked: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Colour what matters; the largest effect, either way, is the strongest colour."""
    pixels = len(plain)
    largest = float(np.nanmax(np.abs(fall))) if np.isfinite(fall).any() else 0.0
    if largest < LEAST_FALL:
        return plain
    known = np.nan_to_num(fall / largest).astype(np.float32)
    image = Image.fromarray(known).resize((pixels, pixels), Image.Resampling.BICUBIC)
    weight = np.clip(np.where(is_marked, np.asarray(image), 0), -1, 1)
    rgb = plain.astype(np.float64)
    stripes = (np.add(*np.indices(weight.shape)) // 6) % 2 == 0
    for colour, part in ((SUPPORT, weight), (AGAINST, np.where(stripes, -weight, 0))):
        share = OPACITY * np.clip(part, 0, 1)[..., None]
        rgb = (1 - share) * rgb + share * np.array(ImageColor.getrgb(colour))
    for sign in (1, -1):
        half = sign * weight >= 0.5
        rgb[half & ~ndimage.binary_erosion(half, iterations=2)] = 255
    return np.round(rgb).astype(np.uint8)


def _add_legend(drawing: Drawing, looked: Looked) -> None:
    """Say what the colours mean, and how much the probability moves."""
    low, high = np.nanmin(looked.fall, initial=0), np.nanmax(looked.fall, initial=0)
    y = drawing.height - LEGEND + 12
    rows = ((SUPPORT, texts.SUPPORTS, high), (AGAINST, texts.OPPOSES, -low))
    for (colour, words, change), at in zip(rows, (y, y + 16)):
        drawing.box((0, at - 5), (16, 10), colour)
        if colour == AGAINST:
            for x in range(2, 16, 5):
                drawing.line([(x, at + 5), (x + 4, at - 5)], "white", 1.5)
        said = words.format(points=texts.points(change))
        drawing.write((22, at), said, Lettering(11, MUTED, "left"))
