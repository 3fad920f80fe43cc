"""docs/performance.md says what was measured, and a missed target is said to be missed."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from page_writers import page_writer

ROOT = Path(__file__).parents[1]
PAGE, SPEED = ROOT / "docs" / "performance.md", ROOT / "results" / "speed.json"


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    return page_writer("performance_page")


def _found(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - figures of any kind
    """A run with round figures."""
    study = {
        "slices": 40, "classified": 20, "wall_s": 5.0, "core_s": 6.0, "peak_mb": 700,
        "steps_s": {"read": 0.5, "marks": 2.0, "write": 1.0},
    }  # fmt: skip
    network = {"ONNX Runtime, batch 1, 1 at once": 14.0}
    return {
        "machine": {"processor": "P", "cores": 2, "load_before": 0.1},
        "studies": {"40": study, "300": study | {"slices": 300, "wall_s": 10.01}},
        "warm_s": {
            "40": {"ONNX Runtime": 2.0, "OpenVINO": 1.6},
            "300": {"ONNX Runtime": 9.0, "OpenVINO": 7.5},
        },
        "help_s": 0.51,
        "ms_net": {
            "multiply_adds_e9": 0.9, "ratio_on_one_core": 1.2, "ratio_on_all_cores": 1.6
        },
        "own_passes_core_s": {"MS-Net": 0.6, "LevelNet": 0.1, "BCC-Net": 0.1},
        "others": {
            "X": {
                "about": "Y", "passes": 18, "multiply_adds_e9_a_pass": 479.0, "core_s": 200.0,
                "times_ours": 250.0,
            }
        },
        "runtimes_ms_a_slice": {"segmenter.onnx": network},
    } | changes  # fmt: skip


def test_the_page_is_written_from_the_figures(writer: ModuleType) -> None:
    """Fails until ``benchmarks/speed.py`` and ``docs/performance_page.py`` have been run."""
    text = PAGE.read_text(encoding="utf-8")
    assert writer.page(text, json.loads(SPEED.read_text(encoding="utf-8"))) == text


def test_targets_are_met_up_to_their_limit_and_not_beyond(writer: ModuleType) -> None:
    rows = [line for line in writer.measured(_found()).splitlines() if "| ≤" in line]
    assert [row.endswith("| yes |") for row in rows] == [
        True, True, False, True, False, True, False
    ]  # fmt: skip
    assert rows[2].endswith("| ≤ 10 s | 10.01 s | **no** |")


def test_what_the_steps_leave_is_start_and_search(writer: ModuleType) -> None:
    assert "| start, imports, search for series | 1.5 | 6.5 |" in writer.measured(_found())


def test_a_run_beside_other_programs_is_provisional(writer: ModuleType) -> None:
    assert "provisional" not in writer.measured(_found())
    machine = {"processor": "P", "cores": 2, "load_before": 4.0}
    assert "**provisional" in writer.measured(_found(machine=machine))


def test_writing_the_page_twice_changes_nothing(writer: ModuleType) -> None:
    once = writer.page(PAGE.read_text(encoding="utf-8"), _found())
    assert writer.page(once, _found()) == once
    assert "is 1.25 × as fast" in once
    assert "9.0 s and 7.5 s, 1.20 ×" in once
