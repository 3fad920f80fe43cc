"""Draw docs/figures/slices.png: 24 random slices of the generator, half of each preset.

Patients, heights and scans are the first that the seed gives; none is chosen.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from osteoscreen.phantom import Mode, draw_patient, draw_scan, render_slice
from osteoscreen.phantom.anatomy import streams

SEED = 2027
ROWS, COLUMNS = 4, 6
PANEL = 300
"""Edge of a slice on the sheet, pixels."""
WINDOW_HU = (-140.0, 260.0)
"""The usual abdominal window: level 60, width 400."""
BONE_WINDOW_HU = (-350.0, 1150.0)
"""For fields of view around the spine, as they are read."""


def main() -> None:
    """Draw the sheet."""
    sheet = Image.new("L", (COLUMNS * PANEL, ROWS * PANEL))
    for case in range(ROWS * COLUMNS):
        mode = Mode.COHORT if case < ROWS * COLUMNS // 2 else Mode.RANDOMISED
        row, column = divmod(case, COLUMNS)
        sheet.paste(panel(case, mode), (column * PANEL, row * PANEL))
    sheet.save(Path(__file__).with_suffix(".png"), optimize=True)


def panel(case: int, mode: Mode) -> Image.Image:
    """Draw one patient's slice at a random height between T11 and S2."""
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
    grey = np.clip((image.hu - low) / (high - low), 0, 1)
    return Image.fromarray(np.uint8(255 * grey)).resize((PANEL, PANEL), Image.Resampling.BOX)


if __name__ == "__main__":
    main()
