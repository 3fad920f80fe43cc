"""Diagrams of the method and its networks (the paper's Figures 1 to 3), drawn from their shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from numpy.typing import NDArray

from osteoscreen.findings import CONDITIONS, Probabilities
from osteoscreen.report.drawing import Lettering
from osteoscreen.report.lettering import write
from osteoscreen.report.palette import CONDITION_COLOURS, FOCUS, INK, MUTED, PAPER, RULE

ENCODER, DECODER = "#5b8fc7", "#6aa784"
"""Blue and green, as in the paper's figures."""
BLOCKS = ("#d9dee3", "#a3cfdd", "#cf8330", "#6d1f45", "#5b8fc7")
WINDOW_HU = (-200.0, 500.0)


@dataclass(frozen=True)
class Layer:
    """What one layer gives.

    Args:
        channels: Of its output.
        size: Rows and columns of its output.
    """

    channels: int
    size: int


@dataclass(frozen=True)
class Block:
    """A part of a network with several layers.

    Args:
        name: What it is.
        layers: What it is made of, in words.
        output: What it gives.
        kind: Blocks of one kind have one colour: 0 to 4.
    """

    name: str
    layers: str
    output: Layer
    kind: int


@dataclass(frozen=True, eq=False)
class Example:
    """One slice on its way through the method.

    Args:
        hu: CT, shape (rows, columns).
        mark: What MS-Net marked, same shape.
        segmented: Grey, CT times mark, same shape.
        roi: Grey, what BCC-Net sees.
        probabilities: What it says.
    """

    hu: NDArray[np.float32]
    mark: NDArray[np.bool_]
    segmented: NDArray[np.float32]
    roi: NDArray[np.float32]
    probabilities: Probabilities


def _blank(size_inches: tuple[float, float], limits: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size_inches, facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, limits[0]), ylim=(0, limits[1]))
    axes.set_axis_off()
    return figure, axes


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], *, style: str = "-|>",
    colour: str = MUTED, bend: float = 0.0,
) -> None:  # fmt: skip
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle=style, mutation_scale=10, color=colour, linewidth=1.1,
            connectionstyle=f"arc3,rad={bend}", shrinkA=2, shrinkB=2,
        )
    )  # fmt: skip


def method_figure(example: Example) -> Figure:
    """Draw the two modules with a slice on its way through them (Figure 1)."""
    figure, axes = _blank((10.4, 3.1), (10.4, 3.1))
    width = figure.get_figwidth()
    low, high = WINDOW_HU
    pictures = (
        (0.1, example.hu, "CT image", (low, high)),
        (3.0, example.mark.astype(np.float32), "Mark image", (0, 1)),
        (4.75, example.segmented, "CT × mark", (0, 255)),
        (6.5, example.roi, "ROI, cropped and scaled", (0, 255)),
    )
    for left, picture, name, (dark, bright) in pictures:
        place = (left / width, 0.8 / 3.1, 1.5 / width, 1.5 / 3.1)
        own = figure.add_axes(place)
        own.imshow(picture, cmap="gray", vmin=dark, vmax=bright)
        own.set_axis_off()
        write(axes, (left + 0.75, 0.6), name, Lettering(8.5))
    for left, name, words, colour in (
        (1.85, "MS-Net", "segmentation\nmodule", ENCODER),
        (8.25, "BCC-Net", "classification\nmodule", BLOCKS[2]),
    ):
        axes.add_patch(FancyBboxPatch((left, 1.1), 0.9, 0.9, boxstyle="round,pad=0.05",
                                      facecolor=colour, edgecolor="none"))  # fmt: skip
        write(axes, (left + 0.45, 1.72), name, Lettering(9.5, PAPER, is_bold=True))
        write(axes, (left + 0.45, 1.36), words, Lettering(7.5, PAPER))
    for start, end in (
        (1.62, 1.8),
        (2.8, 2.98),
        (4.52, 4.74),
        (6.27, 6.49),
        (8.02, 8.2),
        (9.2, 9.4),
    ):
        _arrow(axes, (start - 0.03, 1.55), (end + 0.03, 1.55))
    _arrow(axes, (0.85, 2.32), (5.5, 2.32), bend=-0.12)
    bottom = 1.1
    for condition, value in zip(CONDITIONS, example.probabilities.as_tuple()):
        axes.add_patch(Rectangle((9.45, bottom), 0.28, 0.9 * value, linewidth=0,
                                 facecolor=CONDITION_COLOURS[condition]))  # fmt: skip
        bottom += 0.9 * value
    write(axes, (9.59, 0.6), "Probabilities", Lettering(8.5))
    for middle, words in (
        (2.3, "loss in training:\nmark image against\nthe reference"),
        (8.7, "loss in training:\nsoftmax against\nthe diagnosis"),
    ):
        write(axes, (middle, 0.62), words, Lettering(6.5, MUTED))
    return figure


def u_figure(encoder: Sequence[Layer], decoder: Sequence[Layer], image: Layer) -> Figure:
    """Draw MS-Net: its encoder falls to one value a channel, its decoder rises again (Figure 2).

    Args:
        encoder: What each of its layers gives, in order.
        decoder: What each of its layers gives, in order.
        image: What goes in.
    """
    columns = len(encoder) + len(decoder) + 2
    figure, axes = _blank((0.55 * columns + 0.6, 4.2), (columns + 0.6, 10.5))
    row = [
        (image, RULE),
        *((one, ENCODER) for one in encoder),
        *((one, DECODER) for one in decoder),
    ]
    tops = []
    for place, (layer, colour) in enumerate(row):
        height = 0.35 + 0.62 * math.log2(layer.size)
        left = place + 0.4
        axes.add_patch(
            Rectangle((left, 5.2 - height / 2), 0.62, height, facecolor=colour, edgecolor="none")
        )
        tops.append((left + 0.31, 5.2 + height / 2, 5.2 - height / 2))
        write(axes, (left + 0.31, 5.2 - height / 2 - 0.3), f"{layer.size}²", Lettering(7, MUTED))
        write(axes, (left + 0.31, 5.2 - height / 2 - 0.72), f"{layer.channels}", Lettering(7.5))
    count = len(encoder)
    for number in range(1, count):
        start, end = tops[number], tops[2 * count - number]
        _arrow(axes, (start[0], start[1]), (end[0], end[1]), bend=-0.17,
               colour=FOCUS)  # fmt: skip
    write(axes, (tops[count][0], 1.0), "Below each layer: rows and columns, channels. Arcs: skip "
          "connections. Last: 1×1 convolution, sigmoid.", Lettering(8, INK))  # fmt: skip
    return figure


def chain_figure(blocks: Sequence[Block]) -> Figure:
    """Draw BCC-Net from the roi to the probabilities (Figure 3).

    Args:
        blocks: Its parts, in order.
    """
    figure, axes = _blank((0.95 * len(blocks) + 0.3, 3.6), (len(blocks) + 0.3, 4.2))
    for place, block in enumerate(blocks):
        height = 0.7 + 0.22 * math.log2(max(block.output.size, 1))
        left, bottom = place + 0.2, 2.45 - height / 2
        axes.add_patch(Rectangle((left, bottom), 0.72, height, facecolor=BLOCKS[block.kind],
                                 edgecolor="none"))  # fmt: skip
        ink = PAPER if block.kind in (3, 4) else INK
        write(axes, (left + 0.36, 2.45), block.name, Lettering(7.2, ink, is_bold=True))
        write(axes, (left + 0.36, bottom - 0.32), block.layers, Lettering(6.4, MUTED))
        size = block.output.size
        shape = f"{size}×{size}×{block.output.channels}" if size > 1 else f"{block.output.channels}"
        write(axes, (left + 0.36, bottom + height + 0.16), shape, Lettering(6.8, INK))
        if place + 1 < len(blocks):
            _arrow(axes, (left + 0.72, 2.45), (left + 1.0, 2.45))
    return figure
