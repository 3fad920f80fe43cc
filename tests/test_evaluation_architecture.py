"""Table 1 and the diagrams say what the networks do: compared with the networks themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bundles import threshold_bundle
from osteoscreen.cohort.manifest import Manifest, Split
from osteoscreen.cohort.slices import read_slices
from osteoscreen.evaluation.architecture import (
    BCC_NET,
    architecture_plots,
    architecture_table,
    blocks_of,
)
from osteoscreen.networks import DENSENET_1, DENSENET_121, BCCNet, BCCNetConfig


@pytest.mark.parametrize("config", [BCC_NET, DENSENET_1, DENSENET_121])
def test_the_blocks_are_those_of_the_network(config: BCCNetConfig) -> None:
    shapes: list[tuple[int, int]] = []

    def note(_module: object, _inputs: object, output: torch.Tensor) -> None:
        shapes.append((output.shape[1], output.shape[2]))

    network = BCCNet(config).eval()
    for module in (*network.blocks, *network.transitions):
        module.register_forward_hook(note)
    with torch.no_grad():
        network(torch.zeros(1, config.in_channels, config.image_size, config.image_size))
    told = [
        (block.output.channels, block.output.size)
        for block in blocks_of(config)
        if block.name.startswith(("Dense", "Transition"))
    ]
    assert told == shapes


def test_table_1_has_the_layers_of_the_paper() -> None:
    table = architecture_table()
    rows = {str(row[0]): row for row in table.rows}
    assert [rows[f"Dense block {n}"][2] for n in range(1, 5)] == [
        f"(1×1, 3×3) × {layers}" for layers in (6, 12, 24, 16)
    ]
    assert [rows[f"Dense block {n}"][4] for n in range(1, 5)] == [
        f"(1×1, 3×3) × {layers}" for layers in (1, 2, 4, 2)
    ]
    assert [row[1] for row in table.rows] == [
        "112×112", "56×56", "56×56", "28×28", "28×28", "14×14", "14×14", "7×7", "7×7", "1×1"
    ]  # fmt: skip


def test_the_diagrams_show_the_paper_s_networks(manifest: Manifest, tmp_path: Path) -> None:
    (one, *_) = read_slices(manifest, manifest.of(Split.TEST)[:1])
    plots = architecture_plots(threshold_bundle(tmp_path), one)
    assert [plot.name for plot in plots] == ["figure_1", "figure_2", "figure_3"]
    words = [text.get_text() for text in plots[1].figure.axes[0].texts]
    # Input, nine encoder and nine decoder layers: two words each, and a line below.
    assert len(words) == 2 * 19 + 1
    assert words.count("512") == 12
    assert words[0] == words[-3] == "512²"


def test_without_a_mark_there_is_no_figure_1(manifest: Manifest, tmp_path: Path) -> None:
    (one, *_) = read_slices(manifest, manifest.of(Split.TEST)[:1])
    blind = threshold_bundle(tmp_path, size=64, spacing_mm=0.01)
    assert [plot.name for plot in architecture_plots(blind, one)] == ["figure_2", "figure_3"]
