"""Write the measured part of docs/scale.md from results/batch.json: figures, then the plan."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SOURCE, PAGE = ROOT / "results" / "batch.json", ROOT / "docs" / "scale.md"
GPU_RUN = ROOT / "results" / "phantom-v1" / "segmenter_h_run.json"
BEGIN, END = "<!-- begin results/batch.json -->\n", "<!-- end results/batch.json -->\n"

TWO_WORKERS, ENGINE, STUDY, GROWTH = 1.8, 1.10, 1.15, 0.05
"""What is wanted."""

ARCHIVES = {100_000: 16, 10_000_000: 1_000}
"""Studies, and cores to plan with."""

SLICE_MB = 512 * 512 * 2 / 1e6
ROWS_A_STUDY, ROW_BYTES = 4, 200
"""Series of a study, screened or skipped; a row with real paths and reasons."""
FOLDER_MB_A_SLICE = 0.135
"""A result folder: 9.8 MB of 73 slices (the demo), three quarters of it segmentation."""
FLAGGED = 0.10


def measured(found: dict[str, Any], gpu: dict[str, Any]) -> str:
    """Return the tables of a run of the benchmark, and the plan that follows, in Markdown."""
    machine = found["machine"]
    load = max(load for name, load in found["load_before"].items() if name != "memory")
    head = (
        f"Measured by `benchmarks/batch.py` on {machine['cores']} cores ({machine['processor']}), "
        f"load {load} before it at most"
    )
    head += ": **provisional, other programs ran beside it.**" if load > 0.5 else "."
    parts = [head, _targets(found), _growth(found), _cost(found), _plan(found), _gpu(found, gpu)]
    return "\n\n".join(parts)


def _targets(found: dict[str, Any]) -> str:
    loop, one, two = (statistics.median(runs) for runs in found["scaling"].values())
    samples = [mib for _, mib in found["memory_mib"]]
    strict = {
        one["slices"]: one["study_s"] / (one["decode_s"] + one["networks_s"])
        for one in found["cost"]
    }
    whole_one, whole_two = (statistics.median(runs) for runs in found["whole"].values())
    rows = [
        ("two workers against one, studies of eight slices", "≥", TWO_WORKERS, one / two,
         one / two >= TWO_WORKERS),
        ("two workers against one, whole series", "≥", TWO_WORKERS, whole_one / whole_two,
         whole_one / whole_two >= TWO_WORKERS),
        ("engine, one warm worker, against a plain loop", "≤", ENGINE, one / loop,
         one / loop <= ENGINE),
        ("a study against its steps of reading, marking, naming and classifying", "≤", STUDY,
         loop / found["inner_s"], loop / found["inner_s"] <= STUDY),
        *((f"a study of {slices} slices against decoding and the passes of its networks alone",
           "≤", STUDY, got, got <= STUDY) for slices, got in strict.items()),
        (f"memory, {found['memory_mib'][0][0]}th to {found['memory_mib'][-1][0]:,}th study, "
         "largest change from the first", "≤", GROWTH, growth(samples),
         growth(samples) <= GROWTH),
    ]  # fmt: skip
    lines = ["| what | target | measured | met |", "|---|---|---|---|"]
    for what, sign, target, got, is_met in rows:
        lines.append(
            f"| {what} | {sign} {target:g} | {got:.3f} | {'yes' if is_met else '**no**'} |"
        )
    lines.append("")
    lines.append(
        "Seconds a study of eight slices, medians of three runs: "
        f"loop {loop:.3f}, one worker {one:.3f}, two workers {two:.3f}; of whole series: one "
        f"worker {whole_one:.3f}, two workers {whole_two:.3f}. Two workers took "
        f"{1e3 * (2 * two - one):.0f} ms of the cores more for a study of eight slices than one."
    )
    return "\n".join(lines)


def growth(samples: list[float]) -> float:
    """Return by how much the memory departs most from the first sample, as a share of it."""
    return max(abs(one / samples[0] - 1) for one in samples)


def _growth(found: dict[str, Any]) -> str:
    samples = found["memory_mib"]
    shown = samples[:: max(1, len(samples) // 6)]
    shown = shown if shown[-1] == samples[-1] else [*shown, samples[-1]]
    return (
        "Private memory of all processes of a run with one worker, MiB:\n\n"
        f"| after study | {' | '.join(f'{number:,}' for number, _ in shown)} |\n"
        f"|---|{'---|' * len(shown)}\n"
        f"| MiB | {' | '.join(f'{mib:,.0f}' for _, mib in shown)} |"
    )


def _cost(found: dict[str, Any]) -> str:
    lines = [
        "A study in a plain loop on one core, nothing kept:",
        "",
        "| slices | s | of it decoding, s | passes of the networks, s | the rest, s | s a slice |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one['slices']} | {one['study_s']:.2f} | {one['decode_s']:.2f} | "
        f"{one['networks_s']:.2f} | {one['study_s'] - one['decode_s'] - one['networks_s']:.2f} | "
        f"{one['study_s'] / one['slices']:.3f} |"
        for one in found["cost"]
    ]
    lines += [
        "",
        "Decoding is all between files and a volume in HU: the search for series, every header, "
        "the pixels. A pass is one call of ONNX Runtime. The rest brings slices to the grids of "
        "the networks and marks back, names and parts the bodies, measures them, and makes the "
        "rows.",
    ]
    return "\n".join(lines)


def _plan(found: dict[str, Any]) -> str:
    one = found["cost"][-1]
    slices, study_s = one["slices"], one["study_s"]
    study_mb = slices * SLICE_MB
    lines = [
        f"A study of {slices} slices, such as thorax and abdomen at 5 mm, takes {study_s:.1f} s on "
        f"one core and is {slices} × 0.52 MB = {study_mb:.0f} MB to read.",
        "",
        f"| | {' | '.join(f'{studies:,} studies' for studies in ARCHIVES)} |",
        "|---|---|---|",
    ]
    cells: dict[str, list[str]] = {}
    for studies, cores in ARCHIVES.items():
        hours = studies * study_s / 3600
        rate = cores / study_s * study_mb
        for name, text in (
            ("work", f"{studies:,} × {study_s:.1f} s = {hours:,.0f} core hours"),
            ("cores", f"{cores:,}"),
            ("time", f"{hours:,.0f} / {cores:,} = {hours / cores:.1f} h"),
            ("to read", f"{studies * study_mb / 1e6:,.1f} TB"),
            ("reading, on average", f"{cores:,} / {study_s:.1f} s × {study_mb:.0f} MB = "
             f"{rate:,.0f} MB/s"),
            (f"table, {ROWS_A_STUDY} rows a study of {ROW_BYTES} bytes",
             f"{studies * ROWS_A_STUDY * ROW_BYTES / 1e9:,.2f} GB"),
            (f"result folders of the {FLAGGED:.0%} flagged, {slices} × {FOLDER_MB_A_SLICE} MB each",
             f"{studies * FLAGGED * slices * FOLDER_MB_A_SLICE / 1e6:,.2f} TB"),
            ("memory for the keys of finished studies, 8 bytes each",
             f"{studies * 8 / 1e6:,.1f} MB"),
        ):  # fmt: skip
            cells.setdefault(name, []).append(text)
    lines += [f"| {name} | {' | '.join(texts)} |" for name, texts in cells.items()]
    return "\n".join(lines)


def _gpu(found: dict[str, Any], run: dict[str, Any]) -> str:
    one = found["cost"][-1]
    slices, study_s, networks_s = one["slices"], one["study_s"], one["networks_s"]
    views = run["recipe"]["views_per_epoch"] * run["epochs"]
    rate = views / run["seconds"]
    rest_s, gpu_s = study_s - networks_s, slices / rate
    cores = rest_s / gpu_s
    return (
        f"With a GPU, decoding and the work around the networks stay on the cores: {study_s:.1f} − "
        f"{networks_s:.1f} = {rest_s:.1f} s a study. **The rate of a GPU at screening was not "
        f"measured**; in training MS-Net of the bundle's size, {run['hardware'].split(', ')[-1]} "
        f"did {views:,} views in {run['seconds']:.0f} s, {rate:.0f} a second forward and back, so "
        f"it takes at most {slices} / {rate:.0f} = {gpu_s:.2f} s a study. One GPU would then serve "
        f"{rest_s:.1f} / {gpu_s:.2f} = {cores:.0f} cores, and they would do "
        f"{study_s / rest_s:.1f} times as many studies: {100_000 * rest_s / 3600 / 16:.1f} h for "
        f"100,000 studies on 16 cores and a GPU, {10_000_000 * rest_s / 3600 / 1000:.1f} h for "
        f"10 million on 1,000 cores and {1000 / cores:.0f} GPUs."
    )


def page(old: str, found: dict[str, Any], gpu: dict[str, Any]) -> str:
    """Return the page with its measured part written anew."""
    before, rest = old.split(BEGIN)
    return f"{before}{BEGIN}\n{measured(found, gpu)}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    sources = [json.loads(file.read_text(encoding="utf-8")) for file in (SOURCE, GPU_RUN)]
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), *sources), encoding="utf-8")
