"""Draw docs/figures/slices.png: 24 random slices of the generator, half of each preset.

Patients, heights and scans are the first that the seed gives; none is chosen.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from osteoscreen.phantom import Mode, draw_patient, draw_scan, render_slice
from osteoscreen.phantom.anatomy import streams

SEED = 2027
ROWS, COLUMNS = 4, 6
WINDOW_HU = (-140.0, 260.0)
"""The usual abdominal window: level 60, width 400."""
BONE_WINDOW_HU = (-350.0, 1150.0)
"""For fields of view around the spine, as they are read."""


def main() -> None:
    """Draw the sheet."""
    figure, axes = plt.subplots(ROWS, COLUMNS, figsize=(3 * COLUMNS, 3 * ROWS), facecolor="black")
    for case, panel in enumerate(axes.ravel()):
        mode = Mode.COHORT if case < ROWS * COLUMNS // 2 else Mode.RANDOMISED
        patient, rngs = draw_patient(SEED, case, mode), streams(SEED, case)
        scan = draw_scan(
            rngs["scan"],
            is_randomised=mode is Mode.RANDOMISED,
            trunk_half_width_mm=patient.trunk.half_width_mm,
        )
        top = patient.spine.vertebra("T11").centre_mm[2]
        bottom = patient.spine.vertebra("S2").centre_mm[2]
        image = render_slice(patient, scan, rngs["slices"].uniform(bottom, top), rngs["noise"])
        low, high = BONE_WINDOW_HU if scan.field_of_view_mm < 260 else WINDOW_HU
        panel.imshow(np.clip(image.hu, low, high), cmap="gray", vmin=low, vmax=high)
        panel.set_axis_off()
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.995, wspace=0.01, hspace=0.01)
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=60, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
