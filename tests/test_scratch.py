"""Folders that go with the process that made them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from osteoscreen.scratch import NAME, scratch, sweep

KILLED = """
import os, signal, sys
from contextlib import suppress
from pathlib import Path
from osteoscreen.scratch import scratch

with scratch(Path(sys.argv[1])) as folder:
    (folder / "deep").mkdir()
    (folder / "deep" / "slice.dcm").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_scratch_folder_goes_with_its_context(tmp_path: Path) -> None:
    with suppress(KeyError), scratch(tmp_path) as folder:
        (folder / "file").touch()
        assert NAME.fullmatch(folder.name)
        assert [*tmp_path.iterdir()] == [folder]
        assert folder.stat().st_mode & 0o777 == 0o700
        raise KeyError
    assert [*tmp_path.iterdir()] == []


def test_what_a_killed_process_left_is_swept_and_what_is_in_use_stays(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    with scratch(tmp_path) as folder:
        sweep(tmp_path)
        assert not left.exists()
        assert folder.is_dir()


def test_a_place_that_cannot_be_searched_is_left_as_it_is(tmp_path: Path) -> None:
    sweep(tmp_path / "nowhere")
    assert [*tmp_path.iterdir()] == []


def test_nothing_is_swept_but_what_is_named_so_on_this_machine(tmp_path: Path) -> None:
    with scratch(tmp_path) as folder:
        own = folder.name
    machine = own[len("osteoscreen-") :][:8]
    other = "".join("0" if letter == "f" else "f" for letter in machine)
    kept = [f"{own}x", f".{own}", own.replace(machine, other), "osteoscreen-demo", "a"]
    for name in kept:
        (tmp_path / name).mkdir()
    (tmp_path / own).symlink_to(tmp_path / "a")
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, own])  # noqa: PTH208 - names
    (tmp_path / own).unlink()
    (tmp_path / own).mkdir()
    sweep(tmp_path)
    assert not (tmp_path / own).exists()
