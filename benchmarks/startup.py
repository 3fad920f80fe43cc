"""Time from process start to the end of ``osteoscreen --help``, beside a bare interpreter.

Target: 0.5 s. The ratio to ``python -c pass`` in the same run is what carries over to another
machine.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 9


def seconds(command: list[str]) -> float:
    """Return the median wall time of a command over several runs."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Print both times and their ratio."""
    help_s = seconds([str(Path(sys.executable).parent / "osteoscreen"), "--help"])
    bare_s = seconds([sys.executable, "-c", "pass"])
    print(f"osteoscreen --help {help_s:.3f} s, python -c pass {bare_s:.3f} s, "
          f"ratio {help_s / bare_s:.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
