"""Draw docs/figures/report.png: the PDFs of two synthetic patients, by poppler's pdftoppm."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

DPI = 75
CASES = (2, 1)
"""Patients of seed 7: one with osteoporosis, clear; one that is doubtful."""


def main() -> None:
    """Screen both patients and join their PDFs."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        program = Path(sys.executable).parent / "osteoscreen"
        made = ["phantom", str(home), "--cases", "3", "--seed", "7", "--series"]
        subprocess.run([str(program), *made], check=True)
        pages = []
        for case in CASES:
            out = home / f"out-{case}"
            study = home / f"SYN-0007-{case:06d}" / "ct"
            subprocess.run([str(program), "screen", str(study), "--out", str(out)], check=True)
            pdf = next(out.glob("series-*/report.pdf"))
            stem = home / f"page-{case}"
            options = ["-r", str(DPI), "-png", "-singlefile"]
            subprocess.run(["pdftoppm", *options, str(pdf), str(stem)], check=True)
            pages.append(Image.open(stem.with_suffix(".png")).convert("RGB"))
    width = sum(one.width for one in pages) + 20
    joined = Image.new("RGB", (width, pages[0].height), "#d3dae0")
    x = 0
    for one in pages:
        joined.paste(one, (x, 0))
        x += one.width + 20
    joined.quantize(256).save(Path(__file__).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
