"""Table 1 and Figures 1 to 3 of the paper, drawn from the networks' own settings."""

from __future__ import annotations

import numpy as np

from osteoscreen.bundle import Bundle
from osteoscreen.cohort.slices import LabelledSlice
from osteoscreen.evaluation.pictures import Plot
from osteoscreen.evaluation.readings import to_volume
from osteoscreen.evaluation.table import Figure, Table
from osteoscreen.networks import DENSENET_121, BCCNetConfig, MSNetConfig
from osteoscreen.report.diagram import (
    Block,
    Example,
    Layer,
    chain_figure,
    method_figure,
    u_figure,
)
from osteoscreen.screening.decision import softmax, to_probabilities
from osteoscreen.screening.grid import grey
from osteoscreen.screening.marking import mark_volume
from osteoscreen.screening.roi import RoiSettings, cut_roi

BCC_NET = BCCNetConfig()

SHORT = {"Convolution": "Conv", "Classification": "Softmax"}
"""Names that fit a box of the diagram."""

STAGES = 4
"""Dense blocks (Table 1)."""


def architecture_table() -> Table:
    """Return Table 1: DenseNet-121 and BCC-Net, layer by layer."""
    one, other = blocks_of(DENSENET_121), blocks_of(BCC_NET)
    rows: list[tuple[Figure, ...]] = [
        (left.name, f"{left.output.size}×{left.output.size}", left.layers, left.output.channels,
         right.layers, right.output.channels)
        for left, right in zip(one[1:], other[1:], strict=True)
    ]  # fmt: skip
    return Table(
        "table_1",
        "Table 1. DenseNet-121 and BCC-Net",
        ("Layers", "Output", f"DenseNet-121 (k={DENSENET_121.growth})", "DenseNet-121: channels",
         f"BCC-Net (k={BCC_NET.growth})", "BCC-Net: channels"),
        tuple(rows),
        "Layers, repeats and growth are the paper's; channels of the first convolution, inside the "
        "dense layers and after the transitions are settings, which it does not state.",
    )  # fmt: skip


def blocks_of(config: BCCNetConfig) -> list[Block]:
    """Return the parts of a network from the roi to the probabilities, with what each gives.

    Args:
        config: Its shape.
    """
    size, channels = config.image_size, config.stem
    made = [Block("ROI", "grey", Layer(config.in_channels, size), 0)]
    size //= 2
    made.append(Block("Convolution", "7×7, stride 2", Layer(channels, size), 4))
    size //= 2
    made.append(Block("Pooling", "3×3 max, stride 2", Layer(channels, size), 0))
    for stage, layers in enumerate(config.blocks):
        channels += layers * config.growth
        made.append(
            Block(f"Dense block {stage + 1}", f"(1×1, 3×3) × {layers}", Layer(channels, size), 1)
        )
        if stage < STAGES - 1:
            channels = config.transition_channels[stage]
            size //= 2
            made.append(Block(f"Transition {stage + 1}", "1×1, 2×2 mean", Layer(channels, size), 2))
    made.append(Block("Classification", "mean, softmax", Layer(config.classes, 1), 3))
    return made


def architecture_plots(bundle: Bundle, one: LabelledSlice) -> list[Plot]:
    """Draw Figures 1 to 3.

    Args:
        bundle: Whose networks read the slice of Figure 1.
        one: A slice with a vertebra.
    Returns: Without Figure 1 if nothing is marked in the slice.
    """
    config = MSNetConfig()
    sizes = [config.image_size >> step for step in range(1, config.depth + 1)]
    encoder = [Layer(c, size) for c, size in zip(config.encoder_channels, sizes, strict=True)]
    up = [*sizes[-2::-1], config.image_size]
    decoder = [Layer(c, size) for c, size in zip(config.decoder_channels, up, strict=True)]
    image = Layer(config.in_channels, config.image_size)
    short = [
        Block(SHORT.get(block.name, block.name.replace(" block", "").replace(" ", "\n")),
              block.layers, block.output, block.kind)
        for block in blocks_of(BCC_NET)
    ]  # fmt: skip
    example = _example(bundle, one)
    first = (
        [Plot("figure_1", "Figure 1. The method", method_figure(example),
              "A slice of the test split on its way through the bundle's networks.")]
        if example
        else []
    )  # fmt: skip
    return [
        *first,
        Plot("figure_2", "Figure 2. MS-Net", u_figure(encoder, decoder, image),
             "The paper's size; a bundle may be narrower."),
        Plot("figure_3", "Figure 3. BCC-Net", chain_figure(short),
             "Above each part: what it gives, rows × columns × channels."),
    ]  # fmt: skip


def _example(bundle: Bundle, one: LabelledSlice) -> Example | None:
    settings = bundle.settings.classifier
    marks = mark_volume(to_volume([one]), bundle)
    mark = (marks.body if settings.mark == "body" else marks.vertebra)[0]
    if not mark.any():
        return None
    roi = cut_roi(one.hu, mark, one.spacing_mm, RoiSettings(settings.size, settings.window_hu),
                  fill=settings.fill)  # fmt: skip
    scores = softmax(bundle.logits(roi[None]), settings.temperature)
    return Example(
        one.hu,
        mark,
        (grey(one.hu, settings.window_hu) * mark).astype(np.float32),
        roi,
        to_probabilities(scores[0]),
    )
