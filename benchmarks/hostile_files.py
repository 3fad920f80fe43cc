"""Time and memory that hostile files take until they are refused, or screened without harm.

    PYTHONPATH=tests python benchmarks/hostile_files.py

writes ``results/hostile_files.json``, which ``docs/bad_inputs.md`` quotes. Target: 2 s and 200 MB
each. A process a file; imports and the bundle are loaded before the clock starts, and memory is the
highest resident size above that.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bad_inputs import ZEROS, deflate_bomb, extension_bomb, nifti_bomb, zip_bomb

MB = 1e6
OUT = Path(__file__).parents[1] / "results" / "hostile_files.json"

FILES: dict[str, tuple[Callable[[Path], Path], int]] = {
    "deflated DICOM slice": (deflate_bomb, 100 * len(ZEROS)),
    "`.nii.gz`, voxels": (nifti_bomb, 2 * 4096 * 4096 * 48),
    "`.nii.gz`, header extension": (extension_bomb, 100 * len(ZEROS)),
    "zip archive": (zip_bomb, 8 * len(ZEROS)),
}
"""What is screened, and the bytes that it asks for."""

SCRIPT = """
import json, sys, time
from pathlib import Path
from osteoscreen.bundle import load_bundle
from osteoscreen.errors import InputError
from osteoscreen.workflow import screen_path

def peak_kb():
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

bundle = load_bundle()
before, start = peak_kb(), time.perf_counter()
try:
    outcome = screen_path(Path(sys.argv[1]), bundle=bundle).status
except InputError as error:
    outcome = error.code
seconds = time.perf_counter() - start
print(json.dumps([outcome, seconds, peak_kb() - before]))
"""


def figures(make: Callable[[Path], Path], asked: int) -> dict[str, object]:
    """Return what comes of one file, how long it takes and what it needs."""
    with tempfile.TemporaryDirectory() as home:
        file = make(Path(home))
        size = file.stat().st_size
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(file)], capture_output=True, text=True, check=True
        )
    outcome, seconds, more_kb = json.loads(done.stdout)
    return {
        "size_mb": round(size / MB, 2),
        "asked_mb": round(asked / MB),
        "outcome": outcome,
        "seconds": round(seconds, 2),
        "more_mb": round(more_kb * 1024 / MB),
    }


def main() -> None:
    """Measure every file and write the figures."""
    found = {what: figures(*one) for what, one in FILES.items()}
    OUT.write_text(json.dumps({"files": found}, indent=1) + "\n", encoding="utf-8")
    print(OUT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
