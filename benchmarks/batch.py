"""Throughput and memory of ``osteoscreen batch``: ratios of one run, on synthetic studies.

    python benchmarks/batch.py scaling   1 and 2 workers, and a plain loop over the same studies
    python benchmarks/batch.py memory    memory between the 100th and the last study, one worker

Targets: 2 workers at 1.8 times one; once warm, the engine within 1.10 of the loop; a study within
1.15 of its decoding and networks; memory flat within 5 %. Nothing else may run beside it.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from osteoscreen.batch.archive import Archive, open_archive
from osteoscreen.batch.engine import connected, screen_on_ray
from osteoscreen.batch.plan import plan_of
from osteoscreen.batch.screener import Screener, screen_in_turn
from osteoscreen.batch.study import Study
from osteoscreen.bundle import load_bundle
from osteoscreen.cohort.plan import CohortPlan, Preset
from osteoscreen.cohort.synthetic import write_cohort
from osteoscreen.workflow import screen_path

SLICES = 8
STUDIES = 120
PATIENTS = 4
WARM = 8
"""Studies at the start that do not count: a worker loads the bundle over its first."""
RUNS = 3
MEMORY_STUDIES = 2000
FIRST_MEASURED = 100
NICENESS = "RAY_worker_niceness"
INNER = ("read", "marks", "levels", "classify")
PAGE = os.sysconf("SC_PAGE_SIZE")


def archive(folder: Path, studies: int) -> Archive:
    """Write an archive: eight slices of each of a few patients, linked under many names.

    The files are the same, so that a study costs the same wherever it lies in the archive.
    """
    plan = CohortPlan(Preset.COHORT, cases=PATIENTS, seed=11, is_series=True, thickness_mm=5.0)
    write_cohort(folder / "made", plan)
    made = [sorted(one.iterdir()) for one in sorted((folder / "made").glob("SYN-*/ct"))]
    root = folder / "archive"
    for number in range(studies):
        study = root / f"{number:06d}"
        study.mkdir(parents=True)
        files = made[number % len(made)]
        for file in files[len(files) // 2 :][:SLICES]:
            os.link(file, study / file.name)
    return open_archive(str(root))


def seconds_a_study(told: Iterator[list[dict[str, Any]]], workers: int) -> float:
    """Return the time from the end of the warm studies to the last one, over those between."""
    ends = [time.perf_counter() for _ in told]
    begin = WARM * workers
    return (ends[-1] - ends[begin - 1]) / (len(ends) - begin)


def inner_seconds(root: Archive, screener: Screener) -> float:
    """Return the decoding and network time of a study: what the result itself measured."""
    bundle = load_bundle(screener.bundle_folder)
    parts = [screen_path(Path(study.source), bundle=bundle).timing_s for study in _first(root)]
    warm = parts[PATIENTS:]  # the first ones open the networks
    return statistics.mean(sum(one[name] for name in INNER) for one in warm)


def _first(root: Archive) -> Iterator[Study]:
    return (study for study, _ in zip(root.studies(), range(WARM)))


def scaling(folder: Path) -> None:
    """Print seconds a study of the loop and the engine, and their ratios."""
    root = archive(folder, STUDIES)
    plan = plan_of(root, load_bundle(), "none")
    found: dict[str, list[float]] = {"loop": [], "1 worker": [], "2 workers": []}
    screener = Screener(plan, root, None, folder)
    for _ in range(RUNS):
        loop = screen_in_turn(replace(screener), root.studies())
        found["loop"].append(seconds_a_study(loop, 1))
        for workers, name in ((1, "1 worker"), (2, "2 workers")):
            with connected(None, workers):
                told = screen_on_ray(replace(screener), lambda: root.studies(), workers)
                found[name].append(seconds_a_study(told, workers))
    medians = {name: statistics.median(runs) for name, runs in found.items()}
    for name, runs in found.items():
        print(f"{name}: {medians[name]:.3f} s a study, {', '.join(f'{run:.3f}' for run in runs)}")
    inner = inner_seconds(root, screener)
    print(f"2 workers against 1: {medians['1 worker'] / medians['2 workers']:.2f} x")
    print(f"engine against loop: {medians['1 worker'] / medians['loop']:.2f}")
    print(f"a study against its decoding and networks: {medians['loop'] / inner:.2f}")


def descendants() -> Iterator[int]:
    """Yield this process and all below it."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        parents.setdefault(parent, []).append(int(stat.parent.name))
    waiting = [os.getpid()]
    while waiting:
        yield (pid := waiting.pop())
        waiting += parents.get(pid, [])


def private_bytes() -> int:
    """Return the resident memory of all processes of the run that they do not share."""
    total = 0
    for pid in descendants():
        try:
            _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
        except OSError:
            continue
        total += (int(resident) - int(shared)) * PAGE
    return total


def memory(folder: Path) -> None:
    """Print the memory of driver, worker and Ray along a run."""
    root = archive(folder, MEMORY_STUDIES + FIRST_MEASURED)  # the end is not measured: Ray shrinks
    screener = Screener(plan_of(root, load_bundle(), "none"), root, None, folder)
    samples: list[int] = []
    with connected(None, 1):
        told = screen_on_ray(screener, lambda: root.studies(), 1)
        for number, _ in enumerate(told, start=1):
            if number % FIRST_MEASURED == 0 and number <= MEMORY_STUDIES:
                samples.append(private_bytes())
                print(f"{number}: {samples[-1] / 2**20:.0f} MiB", flush=True)
    places = np.arange(len(samples))
    slope = float(np.polyfit(places, samples, 1)[0]) * places[-1]
    print(f"last against {FIRST_MEASURED}th: {samples[-1] / samples[0]:.3f}, "
          f"fitted growth {slope / samples[0]:+.1%}")  # fmt: skip


def main() -> None:
    """Run what is asked for."""
    with tempfile.TemporaryDirectory(prefix="osteoscreen-batch-") as folder:
        {"scaling": scaling, "memory": memory}[sys.argv[1]](Path(folder))


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"  # of the loop; the engine sees to its workers itself
    os.environ[NICENESS] = "0"  # the loop is not nice either; Ray's default is 15
    main()
