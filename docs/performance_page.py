"""Write the measured part of docs/performance.md from results/speed.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SOURCE, PAGE = ROOT / "results" / "speed.json", ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- begin results/speed.json -->\n", "<!-- end results/speed.json -->\n"
WALL_S, WARM_S, THIN_S, PEAK_MB, HELP_S, MS_NET_RATIO = 5.0, 2.0, 10.0, 1500, 0.5, 1.5
"""What is wanted."""


def measured(found: dict[str, Any]) -> str:
    """Return the tables of a run of the benchmark, in Markdown."""
    machine, few, many = found["machine"], found["studies"]["40"], found["studies"]["300"]
    load = machine["load_before"]
    head = (
        f"Measured by `benchmarks/speed.py` in one run on {machine['cores']} cores "
        f"({machine['processor']}), load {load} before it"
    )
    head += ": **provisional, other programs ran beside it.**" if load > 0.5 else "."
    return "\n\n".join([head, _targets(found), _steps(few, many), _others(found), _runtimes(found)])


def _targets(found: dict[str, Any]) -> str:
    few, many = found["studies"]["40"], found["studies"]["300"]
    network = found["ms_net"]
    rows = [
        (f"{few['slices']} slices of 512×512, from process start to results", WALL_S,
         few["wall_s"], "s"),
        ("the same in a process that has screened one before", WARM_S,
         found["warm_s"]["40"]["ONNX Runtime"], "s"),
        (f"{many['slices']} thin slices, from process start to results", THIN_S,
         many["wall_s"], "s"),
        ("most memory, of both", PEAK_MB, max(few["peak_mb"], many["peak_mb"]), "MB"),
        ("`osteoscreen --help`", HELP_S, found["help_s"], "s"),
        ("MS-Net's time × SGEMM's rate ÷ its multiply-adds, one core", MS_NET_RATIO,
         network["ratio_on_one_core"], ""),
        ("the same, all cores", MS_NET_RATIO, network["ratio_on_all_cores"], ""),
    ]  # fmt: skip
    lines = ["| what | target | measured | met |", "|---|---|---|---|"]
    for what, target, got, unit in rows:
        is_met = "yes" if got <= target else "**no**"
        lines.append(f"| {what} | ≤ {target:g} {unit} | {got:g} {unit} | {is_met} |")
    return "\n".join(lines)


def _steps(few: dict[str, Any], many: dict[str, Any]) -> str:
    lines = ["| step, s (`timing_s`) | 40 | 300 |", "|---|---|---|"]
    lines += [
        f"| {step} | {seconds} | {many['steps_s'][step]} |"
        for step, seconds in few["steps_s"].items()
    ]
    lines += [f"| all, time of the processor | {few['core_s']} | {many['core_s']} |"]
    rest = [one["wall_s"] - sum(one["steps_s"].values()) for one in (few, many)]
    lines.append(f"| start, imports, search for series | {rest[0]:.1f} | {rest[1]:.1f} |")
    return "\n".join(lines)


def _others(found: dict[str, Any]) -> str:
    few, own = found["studies"]["40"], sum(found["own_passes_core_s"].values())
    lines = [
        f"Forward passes over the series of {few['slices']} slices. Other layouts have random "
        "weights and run in PyTorch; all on one core. DenseNet-121 is compared with BCC-Net, the "
        "others with all three networks. Only time is compared, not what they can do.",
        "",
        "| network | passes | 10⁹ multiply-adds a pass | s | × ours |",
        "|---|---|---|---|---|",
        f"| ours: MS-Net and LevelNet on every slice, BCC-Net on {few['classified']} | | "
        f"{found['ms_net']['multiply_adds_e9']:.2f} (MS-Net) | {own:.2f} | 1 |",
    ]
    lines += [
        f"| {name}: {one['about']} | {one['passes']} | {one['multiply_adds_e9_a_pass']} | "
        f"{one['core_s']} | {one['times_ours']} |"
        for name, one in found["others"].items()
    ]
    return "\n".join(lines)


def _runtimes(found: dict[str, Any]) -> str:
    networks = found["runtimes_ms_a_slice"]
    few, many = found["warm_s"]["40"], found["warm_s"]["300"]
    lines = [
        f"| ms a slice | {' | '.join(f'`{name}`' for name in networks)} |",
        "|---|" + "---|" * len(networks),
    ]
    settings = next(iter(networks.values()))
    lines += [
        f"| {one} | {' | '.join(str(network[one]) for network in networks.values())} |"
        for one in settings
    ]
    gains = [one["ONNX Runtime"] / one["OpenVINO"] for one in (few, many)]
    lines += [
        "",
        f"Warm, the small study takes {few['ONNX Runtime']} s with ONNX Runtime and "
        f"{few['OpenVINO']} s with OpenVINO, which is {gains[0]:.2f} × as fast; the thin one "
        f"{many['ONNX Runtime']} s and {many['OpenVINO']} s, {gains[1]:.2f} ×. OpenVINO would add "
        "110 MB to the installation and is taken from 1.3 × on.",
    ]
    return "\n".join(lines)


def page(old: str, found: dict[str, Any]) -> str:
    """Return the page with its measured part written anew."""
    before, rest = old.split(BEGIN)
    return f"{before}{BEGIN}\n{measured(found)}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    source = json.loads(SOURCE.read_text(encoding="utf-8"))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), source), encoding="utf-8")
