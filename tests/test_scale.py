"""docs/scale.md says what was measured, and its plan follows from it."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from page_writers import page_writer

ROOT = Path(__file__).parents[1]
PAGE, FIGURES = ROOT / "docs" / "scale.md", ROOT / "results" / "batch.json"

GPU = {
    "recipe": {"views_per_epoch": 1000},
    "epochs": 12,
    "seconds": 24.0,
    "hardware": "x, 1 core, G",
}


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    return page_writer("scale_page")


def _found(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - figures of any kind
    """A run with round figures."""
    return {
        "machine": {"processor": "P", "cores": 2},
        "load_before": {"scaling": 0.1, "memory": 0.2, "cost": 0.0},
        "scaling": {
            "loop": [0.4, 0.1, 0.9], "1 worker": [0.44, 0.44, 0.5], "2 workers": [0.25, 0.2, 0.3]
        },
        "whole": {"1 worker": [1.8, 1.8, 2.0], "2 workers": [1.0, 1.0, 1.2]},
        "inner_s": 0.36,
        "memory_mib": [[100, 1000], [200, 960], [300, 1040]],
        "cost": [
            {"slices": 40, "study_s": 2.0, "decode_s": 0.6, "networks_s": 1.0},
            {"slices": 120, "study_s": 7.2, "decode_s": 1.8, "networks_s": 3.6},
        ],
    } | changes  # fmt: skip


def _rows(text: str) -> dict[str, list[str]]:
    """The cells of each line of the tables by the first one."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {first.strip(): rest for first, *rest in lines}


def test_the_page_is_written_from_the_figures(writer: ModuleType) -> None:
    """Fails until ``benchmarks/batch.py`` and ``docs/scale_page.py`` have been run."""
    text = PAGE.read_text(encoding="utf-8")
    sources = [json.loads(file.read_text(encoding="utf-8")) for file in (FIGURES, writer.GPU_RUN)]
    assert writer.page(text, *sources) == text


def test_targets_hold_for_medians_up_to_their_limit(writer: ModuleType) -> None:
    rows = _rows(writer.measured(_found(), GPU))
    assert rows["two workers against one, studies of eight slices"] == ["≥ 1.8", "1.760", "**no**"]
    assert rows["two workers against one, whole series"] == ["≥ 1.8", "1.800", "yes"]
    assert rows["engine, one warm worker, against a plain loop"] == ["≤ 1.1", "1.100", "yes"]
    steps = rows["a study against its steps of reading, marking, naming and classifying"]
    assert steps == ["≤ 1.15", "1.111", "yes"]
    alone = "a study of 40 slices against decoding and the passes of its networks alone"
    assert rows[alone] == ["≤ 1.15", "1.250", "**no**"]
    assert rows[alone.replace("40", "120")] == ["≤ 1.15", "1.333", "**no**"]


@pytest.mark.parametrize(("last", "largest"), [(1040, 0.04), (940, 0.06), (1200, 0.2)])
def test_memory_that_falls_is_not_flat_either(
    writer: ModuleType, last: float, largest: float
) -> None:
    assert writer.growth([1000, 960, last]) == pytest.approx(largest)


def test_the_plan_is_that_of_the_longest_study(writer: ModuleType) -> None:
    rows = _rows(writer.measured(_found(), GPU))
    assert rows["work"] == [
        "100,000 × 7.2 s = 200 core hours", "10,000,000 × 7.2 s = 20,000 core hours"
    ]  # fmt: skip
    assert rows["time"] == ["200 / 16 = 12.5 h", "20,000 / 1,000 = 20.0 h"]
    assert rows["to read"] == ["6.3 TB", "629.1 TB"]


def test_a_gpu_takes_the_networks_alone(writer: ModuleType) -> None:
    """500 views a second are 0.24 s a study; 3.6 s stay on the cores, half of what there was."""
    text = writer.measured(_found(), GPU)
    assert "120 / 500 = 0.24 s a study" in text
    assert "3.6 / 0.24 = 15 cores" in text
    assert "2.0 times as many studies" in text
    assert "6.2 h for 100,000 studies" in text


def test_a_run_beside_other_programs_is_provisional(writer: ModuleType) -> None:
    assert "provisional" not in writer.measured(_found(), GPU)
    busy = _found(load_before={"scaling": 0.1, "cost": 3.0})
    assert "**provisional" in writer.measured(busy, GPU)
    others = _found(load_before={"scaling": 0.1, "memory": 3.0})  # memory does not hang on it
    assert "provisional" not in writer.measured(others, GPU)
