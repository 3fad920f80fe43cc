"""Write docs/real_ct.md and docs/figures/real_levels.png from results/real_levels.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
SOURCE, PAGE = ROOT / "results" / "real_levels.json", ROOT / "docs" / "real_ct.md"
PICTURE = ROOT / "docs" / "figures" / "real_levels.png"
LIMIT_HU = 10.0
"""What the attenuation under MS-Net's own marks may differ from that under the reference masks."""

WORDS = {
    "ts_lumbar": "abdomen and pelvis, 3 mm voxels, whole lumbar spine; machine labels",
    "verse014": "lumbar spine, sagittal 2×1×1 mm, narrow field, low density; labels by hand. L5 "
    "lies steep before the sacrum: MS-Net marks it in stripes and with its end plate, so its "
    "attenuation is too high; it does not count for the patient, which L1 to L4 do",
    "ts_dicom": "T11 and T12 only, 20 slices, contrast; machine labels",
    "tptbox": "a crop around L3, 1.5 mm",
}


HEAD = """# Real CT: names, attenuation, odd files

Public CT that nothing was trained on, but that was looked at while the software was made: it shows
what the software does, not how well it will do elsewhere. All references but those of `verse014`
are another program's labels, so figures are agreement, not truth. Written by
`benchmarks/real_levels.py` and `docs/real_ct_page.py` (bundle {bundle}).

## Names and attenuation

Trabecular HU under MS-Net's marks and under the reference masks, the same measure; more than 10 HU
apart is bold. Where the reference marks whole vertebrae only (all but `ts_lumbar`), MS-Net's body
within it is taken.

| set | outcome | level | named right | HU | HU, reference | difference |
|---|---|---|---|---|---|---|
"""
MIDDLE = """![Area of the bodies along each scan](figures/real_levels.png)

*Area of the bodies that MS-Net marks, across the spine, along each scan (black), the names given to
its parts (below) and those of the reference (above). No pixel of the scans is shown here: they are
not this project's.*

## Odd files

Every file and folder of the development formats, screened whole.

| input | outcome | reason |
|---|---|---|
"""


def page(found: dict[str, Any]) -> str:
    """Return the page as text."""
    bundle = f"{found['bundle']['name']} {found['bundle']['version']}"
    lines = HEAD.format(bundle=bundle).splitlines()
    for name, one in found["sets"].items():
        outcome = one["status"]
        for row in one["levels"] or [{}]:
            lines.append(_row(name, outcome, row))
    lines += ["", *(f"- `{name}`: {words}." for name, words in WORDS.items()), ""]
    lines += MIDDLE.splitlines()
    for row in found["formats"]:
        outcome = row["code"] or row["status"]
        reason = row["reason"].replace("|", "/") or row["reservations"].replace(";", ", ")
        lines.append(f"| `{row['input']}` | {outcome} | {reason} |")
    return "\n".join(lines) + "\n"


def _row(name: str, outcome: str, row: dict[str, Any]) -> str:
    if not row:
        return f"| `{name}` | {outcome} | | | | | |"
    own, other = row["attenuation_hu"], row["reference_hu"]
    true = row["reference_level"]
    right = "yes" if true == row["level"] else "not labelled" if true is None else f"no: {true}"
    apart = "" if own is None or other is None else f"{own - other:+.1f}"
    if apart and abs(own - other) > LIMIT_HU:
        apart = f"**{apart}**"
    cells = [row["level"], right, *("" if v is None else f"{v:.1f}" for v in (own, other)), apart]
    return f"| `{name}` | {outcome} | " + " | ".join(cells) + " |"


def draw(found: dict[str, Any]) -> Figure:
    """Draw the curves; names below, references above."""
    sets = found["sets"]
    figure = Figure(figsize=(9, 2.3 * len(sets)), layout="constrained")
    for axes, (name, one) in zip(figure.subplots(len(sets)), sets.items()):
        axes.plot(one["z_mm"], one["body_mm2"], color="black", linewidth=1)
        top = max(one["body_mm2"]) * 1.3 or 1
        for level, (low, high) in one["reference"].items():
            axes.plot([low, high], [top, top], color="#b35806", linewidth=3)
            axes.text((low + high) / 2, top * 1.03, level, ha="center", fontsize=8)
        for row in one["levels"]:
            low, high = row["z_mm"]
            axes.plot([low, high], [-top * 0.08] * 2, color="#2166ac", linewidth=3)
            axes.text((low + high) / 2, -top * 0.26, row["level"], ha="center", fontsize=8)
        axes.set(ylim=(-top * 0.35, top * 1.22), ylabel="body, mm²")
        axes.set_title(f"{name}: {one['status']}", loc="left", fontsize=9)
    axes.set_xlabel("z, mm (head to the right)")
    return figure


def main() -> None:
    """Write both."""
    found = json.loads(SOURCE.read_text(encoding="utf-8"))
    PAGE.write_text(page(found), encoding="utf-8")
    draw(found).savefig(PICTURE, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
