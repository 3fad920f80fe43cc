"""Draw the panels of docs/figures/bone.png."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from bone_images import PUBLISHED_CLASS_HU, PUBLISHED_SPREADS, Record
from matplotlib.axes import Axes

from osteoscreen.phantom.difficulty import Floats

PUBLISHED_LIMITS_HU = (110.0, 160.0)
"""Specific and sensitive limit for osteoporosis (Pickhardt 2013, 1,867 patients)."""
NAMES = ("normal", "low bone mass", "osteoporosis")
COLOURS = ("#2a7f62", "#d98e04", "#b3362b")

PLAIN = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
"""Box behind a label that crosses a line."""


def draw(path: Path, classes: Floats, mean: Floats, record: Record) -> None:
    """Draw the measured attenuation beside the published one, and the scores beside the paper's."""
    plt.rcParams.update({"font.size": 8, "axes.linewidth": 0.7, "axes.titlesize": 9})
    figure = plt.figure(figsize=(9.4, 4.2), dpi=200)
    left = figure.add_gridspec(2, 1, height_ratios=(3, 1), hspace=0.08, left=0.16, right=0.54)
    top = figure.add_subplot(left[0])
    draw_histograms(top, classes, mean, record)
    draw_means(figure.add_subplot(left[1], sharex=top), classes, mean)
    draw_scores(figure.add_subplot(figure.add_gridspec(1, 1, left=0.74, right=0.99)[0]), record)
    error = np.sqrt(0.75 * 0.25 / len(mean))
    virtual = record["virtual"]["patients"]
    note = (
        "Synthetic patients; the difficulty is set to resemble the paper's figures and says "
        f"nothing about patients.\nFilled: {virtual:,} patients without images. "
        f"Open: {len(mean)} rendered patients (standard error of the accuracy {error:.3f})."
    )
    figure.text(0.5, -0.1, note, ha="center", color="0.35", linespacing=1.4)
    figure.savefig(path, bbox_inches="tight", facecolor="white")


def draw_histograms(axes: Axes, classes: Floats, mean: Floats, record: Record) -> None:
    """One histogram a class, with the normal curve of the model over it."""
    edges = [10.0 * step for step in range(31)]
    line = np.linspace(0, 300, 301)
    for index, (name, colour) in enumerate(zip(NAMES, COLOURS)):
        one = mean[classes == index]
        label = f"{name}\n{one.mean():.0f} ± {one.std():.0f} HU"
        axes.hist(one, edges, color=colour, alpha=0.35, density=True)
        axes.hist(one, edges, color=colour, histtype="step", linewidth=0.8, density=True)
        centre, spread = record["virtual"]["classes"][index]["measured_hu"]
        curve = np.exp(-0.5 * ((line - centre) / spread) ** 2) / spread / np.sqrt(2 * np.pi)
        axes.plot(line, curve, color=colour, linewidth=1.5)
        place = (35.0, 0.0185), (131.0, 0.0247), (225.0, 0.0165)
        axes.text(
            *place[2 - index],
            label,
            color=colour,
            ha="center",
            fontweight="bold",
            zorder=5,
            bbox=PLAIN,
        )
    for limit in PUBLISHED_LIMITS_HU:
        axes.axvline(limit, color="0.4", linewidth=0.8, linestyle=(0, (2, 2)))
        axes.text(limit, 0.0286, f"{limit:.0f}", ha="center", va="bottom", color="0.4", fontsize=7)
    axes.set(xlim=(0, 300), ylim=(0, 0.0285), yticks=[])
    axes.set_title(f"a  Trabecular attenuation, {len(mean)} rendered patients", loc="left", pad=14)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelbottom=False)


def draw_means(axes: Axes, classes: Floats, mean: Floats) -> None:
    """Means and spreads of this phantom above the published ones."""
    for index, colour in enumerate(COLOURS):
        one = mean[classes == index]
        axes.errorbar(one.mean(), 0.15 * (1 - index), xerr=one.std(), fmt="o", color=colour,
                      capsize=2, markersize=4.5)  # fmt: skip
        axes.plot(PUBLISHED_CLASS_HU[index], -1, "D", color=colour, markersize=5)
    for place, (centre, spread) in enumerate(PUBLISHED_SPREADS.values()):
        axes.errorbar(centre, -2 - place, xerr=spread, fmt="D", color="0.45", capsize=2,
                      markersize=4)  # fmt: skip
    names = ["this phantom ± SD", "536 patients by DXA", *PUBLISHED_SPREADS]
    axes.set(ylim=(-len(names) + 0.5, 0.5), xlabel="mean of the eroded bodies of L1 to L4, HU")
    axes.set_yticks([-place for place in range(len(names))], names)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def draw_scores(axes: Axes, record: Record) -> None:
    """Accuracy and macro AUC of what can be known, beside the paper's."""
    exact, fitted, seen = (
        record["virtual"]["exact"], record["virtual"]["fitted"], record["rendered"],
    )  # fmt: skip
    rows: dict[str, Record] = {
        "two limits on HU": fitted["hu_thresholds"],
        "… limits in images": {"accuracy": seen["hu_threshold_accuracy"]},
        "regression on HU": fitted["hu_regression"],
        "… regression in images": seen["hu_regression"],
        "HU, age and sex": exact["measured_hu_age_sex"],
        "HU, rim and grain in images": seen["hu_rim_and_grain_regression"],
        "best possible": exact["best_possible"],
    }
    colours = {"accuracy": "#31567f", "macro_auc": "#8a4f9e"}
    for name, colour in colours.items():
        paper = record["paper"][name]
        axes.axvline(paper, color=colour, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        title = f"{name.replace('_auc', ' AUC')}\npaper {paper:g}"
        axes.text(paper, 0.62, title, ha="center", color=colour, fontsize=7.5)
        for place, (row, values) in enumerate(rows.items()):
            if name not in values:
                continue
            value, fill = values[name], "white" if "images" in row else colour
            axes.plot(value, -place, "o", color=colour, markerfacecolor=fill, markersize=5.5)
            side, align = (0.012, "left") if value > paper else (-0.012, "right")
            text = f"{value:.3f}".lstrip("0")
            axes.text(value + side, -place, text, ha=align, va="center", color=colour)
    axes.set(xlim=(0.66, 0.97), ylim=(-len(rows) + 0.5, 0.55))
    axes.set_yticks([-place for place in range(len(rows))], list(rows))
    axes.set_title("b  What can be known of the class", loc="left", pad=26, x=-0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
