"""Draw docs/figures/demo.png: overlay and ring of the demo's synthetic patient, side by side."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HEIGHT = 700
"""Rows of the picture."""


def main() -> None:
    """Run the demo and join its two pictures."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(sys.executable).parent / "osteoscreen"
        subprocess.run([str(program), "demo", "--out", folder], check=True)
        home = next((Path(folder) / "results").glob("series-*"))
        pictures = [Image.open(home / name).convert("RGB") for name in ("overlay.png", "pie.png")]
    heights = (HEIGHT, int(HEIGHT * 0.62))
    scaled = [
        one.resize((round(one.width * height / one.height), height), Image.Resampling.LANCZOS)
        for one, height in zip(pictures, heights)
    ]
    joined = Image.new("RGB", (scaled[0].width + scaled[1].width + 40, HEIGHT), "white")
    joined.paste(scaled[0], (0, 0))
    joined.paste(scaled[1], (scaled[0].width + 40, (HEIGHT - scaled[1].height) // 2))
    joined.save(Path(__file__).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
