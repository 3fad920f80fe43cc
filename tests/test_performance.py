"""docs/performance.md says what was measured."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
PAGE, SPEED = ROOT / "docs" / "performance.md", ROOT / "results" / "speed.json"


def _writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("page", ROOT / "docs" / "performance_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_written_from_the_figures() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert _writer().page(text, json.loads(SPEED.read_text(encoding="utf-8"))) == text


def test_a_missed_target_is_said_to_be_missed() -> None:
    found = json.loads(SPEED.read_text(encoding="utf-8"))
    found["studies"]["40"]["wall_s"] = 5.01
    found["help_s"] = 0.5
    rows = [line for line in _writer().measured(found).splitlines() if "≤" in line]
    assert rows[0].endswith("| ≤ 5 s | 5.01 s | **no** |")
    assert "| `osteoscreen --help` | ≤ 0.5 s | 0.5 s | yes |" in rows
