"""A plane of CT with its marks, brought to pixels: window, fill of the bodies, outlines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor
from scipy import ndimage

from osteoscreen.report.palette import BODY_MARK, REST_MARK

WINDOW_LEVEL_HU = 150.0
WINDOW_WIDTH_HU = 700.0
"""Level and width between soft tissue and bone: spongy bone (0 to 300 HU) takes the middle greys
and cortical bone stays white, so the marks can be judged against both."""
FILL_OPACITY = 0.22
BODY_LABEL = 1
REST_LABEL = 2
DASH = 5
"""Line widths of a dash, and of the gap behind it."""


@dataclass(frozen=True)
class Window:
    """The part of a plane that is shown.

    Args:
        top, left: First edge along rows and columns, mm; the middle of the first pixel is at 0.
        height, width: Size in mm.
    """

    top: float
    left: float
    height: float
    width: float


def slice_image(
    hu: NDArray[np.float32],
    labels: NDArray[np.uint8],
    spacing_mm: tuple[float, float],
    window: Window,
    size: tuple[int, int],
    *,
    line: int = 2,
) -> Image.Image:
    """Show a plane and its marks in millimetres, so that unequal spacing keeps the proportions.

    Args:
        hu: CT in HU, shape (rows, columns).
        labels: 1 vertebral body, 2 rest of the vertebra, 0 neither; same shape.
        spacing_mm: Distance between rows and between columns.
        window: What is shown; black outside the image.
        size: Columns and rows of the picture.
        line: Width of the outlines in pixels.
    """
    lowest = WINDOW_LEVEL_HU - WINDOW_WIDTH_HU / 2
    grey = np.clip((hu - lowest) * (255 / WINDOW_WIDTH_HU), 0, 255).astype(np.uint8)
    steps = (window.width / size[0] / spacing_mm[1], window.height / size[1] / spacing_mm[0])
    starts = (window.left / spacing_mm[1] + 0.5, window.top / spacing_mm[0] + 0.5)
    place = (steps[0], 0.0, starts[0], 0.0, steps[1], starts[1])

    def shown(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        image = Image.fromarray(plane).transform(
            size, Image.Transform.AFFINE, place, Image.Resampling.BILINEAR, fillcolor=0
        )
        return np.asarray(image)

    rgb = np.repeat(shown(grey)[..., None], 3, axis=2)
    marks = {
        label: shown(((labels == label) * 255).astype(np.uint8)) >= 128
        for label in (BODY_LABEL, REST_LABEL)
        if (labels == label).any()
    }
    if (body := marks.get(BODY_LABEL)) is not None:
        colour = np.array(ImageColor.getrgb(BODY_MARK))
        rgb[body] = np.round((1 - FILL_OPACITY) * rgb[body] + FILL_OPACITY * colour)
    for label, mark in reversed(marks.items()):
        _outline(rgb, mark, line, is_dashed=label == REST_LABEL)
    return Image.fromarray(rgb)


def _outline(
    rgb: NDArray[np.uint8], mark: NDArray[np.bool_], line: int, *, is_dashed: bool
) -> None:
    """Draw the edge of a mark, in place, with a dark rim; the rest of the vertebra in dashes."""
    around = ndimage.find_objects(np.pad(mark, line + 1)[line + 1 : -line - 1].astype(np.uint8))
    if not around or around[0] is None:
        return
    rows, columns = (slice(max(0, one.start - line - 1), one.stop + line + 1) for one in around[0])
    part, pixels = mark[rows, columns], rgb[rows, columns]
    edge = part & ~ndimage.binary_erosion(part, iterations=line, border_value=0)
    rim = ndimage.binary_dilation(part) & ~part
    if is_dashed:
        y, x = np.indices(part.shape) // (DASH * line)
        drawn = (x + y) % 2 == 0
        edge, rim = edge & drawn, rim & drawn
    pixels[rim] = 0
    pixels[edge] = ImageColor.getrgb(REST_MARK if is_dashed else BODY_MARK)
