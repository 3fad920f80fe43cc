"""Nothing that is screened is told to anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from osteoscreen.bundle import load_bundle

OPENED = """
import onnxruntime, sys
onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
"""
SWITCHES = {"CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS"}
"""Variables that ONNX Runtime takes as a wish to be left alone."""


def _left_by(code: str, home: Path) -> list[str]:
    """Run a program in a home of its own; return the files that it left there."""
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home), "TMPDIR": str(home)}
    network = str(load_bundle().folder / "segmenter.onnx")
    command = [sys.executable, "-c", code, network]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
    return [file.name for file in home.rglob("*")]


def test_onnx_runtime_keeps_no_events_for_its_maker(tmp_path: Path) -> None:
    if not _left_by(OPENED, tmp_path / "plain"):
        pytest.skip("this build of ONNX Runtime keeps none anyway")
    assert _left_by("import osteoscreen" + OPENED, tmp_path / "osteoscreen") == []
