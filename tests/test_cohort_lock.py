"""The lock of a cohort's folder: one run at a time, and nothing stale after a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from osteoscreen.cohort.lock import LOCK, locked
from osteoscreen.errors import CohortError

KILLED = """
import os, signal
from pathlib import Path
from osteoscreen.cohort.lock import locked

with locked(Path({folder!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_second_run_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(CohortError, match="one run at a time"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass
    assert (tmp_path / LOCK).read_bytes() == b""


def test_folders_are_locked_apart(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with locked(tmp_path), locked(tmp_path / "other"):
        pass


def test_an_error_ends_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at work"), locked(tmp_path):
        raise ValueError("at work")
    with locked(tmp_path):
        pass


def test_a_killed_run_leaves_no_lock(tmp_path: Path) -> None:
    code = KILLED.format(folder=str(tmp_path))
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / LOCK).exists()
    with locked(tmp_path):
        pass
