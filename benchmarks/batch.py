"""Throughput, memory and cost of ``osteoscreen batch``, on synthetic studies.

    python benchmarks/batch.py scaling   1 and 2 workers, and a plain loop over the same studies
    python benchmarks/batch.py whole     1 and 2 workers, whole series instead of eight slices
    python benchmarks/batch.py memory    memory between the 100th and the last study, one worker
    python benchmarks/batch.py cost      a study of few and of many slices, in a plain loop

Each brings its part of ``results/batch.json`` up to date; ``docs/scale_page.py`` brings all into
docs/scale.md, with the targets. Takes 5, 5, 7 and 1 minutes; nothing else may run beside it.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from osteoscreen import bundle, intake, workflow
from osteoscreen.batch.archive import Archive, open_archive
from osteoscreen.batch.cluster import connected
from osteoscreen.batch.engine import ENVIRONMENT, screen_on_ray
from osteoscreen.batch.plan import plan_of
from osteoscreen.batch.screener import Screener, screen_in_turn
from osteoscreen.batch.study import Study
from osteoscreen.batch.table import TableWriter
from osteoscreen.bundle import load_bundle
from osteoscreen.cohort.plan import CohortPlan, Preset
from osteoscreen.cohort.synthetic import write_cohort
from osteoscreen.workflow import screen_path

SLICES, STUDIES = 8, 144
WHOLE, WHOLE_STUDIES = 1000, 48
"""Of each series all that there are, some 40."""
PATIENTS = 4
WARM = 8
"""Studies at the start that do not count: a worker loads the bundle over its first."""
RUNS, COST_RUNS = 3, 9
MEMORY_STUDIES = 2000
FIRST_MEASURED = 100
NICENESS = "RAY_worker_niceness"
INNER = ("read", "marks", "levels", "classify")
PAGE = os.sysconf("SC_PAGE_SIZE")
OUT = Path(__file__).parents[1] / "results" / "batch.json"
COST_THICKNESS_MM = (5.0, 1.6)
"""Thickness that makes series of about 40 and 120 slices from T12 to S1."""


def archive(folder: Path, studies: int, slices: int = SLICES) -> Archive:
    """Write an archive: some slices of each of a few patients, linked under many names.

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
        for file in files[len(files) // 2 :][:slices] if slices < len(files) else files:
            os.link(file, study / file.name)
    return open_archive(str(root))


def seconds_a_study(told: Iterator[list[dict[str, Any]]], workers: int) -> float:
    """Return the time from the end of the warm studies to the last one, over those between."""
    ends = [time.perf_counter() for _ in told]
    begin = WARM * workers
    return (ends[-1] - ends[begin - 1]) / (len(ends) - begin)


def into_table(
    told: Iterator[list[dict[str, Any]]], folder: Path
) -> Iterator[list[dict[str, Any]]]:
    """Write rows as they come, as a run does."""
    with TableWriter(folder) as table:
        for records in told:
            table.add(records)
            yield records


def inner_seconds(root: Archive, screener: Screener) -> float:
    """Return the decoding and network time of a study: what the result itself measured."""
    loaded = load_bundle(screener.bundle_folder)
    parts = [screen_path(Path(study.source), bundle=loaded).timing_s for study in _first(root)]
    warm = parts[PATIENTS:]  # the first ones open the networks
    return statistics.mean(sum(one[name] for name in INNER) for one in warm)


def _first(root: Archive) -> Iterator[Study]:
    return (study for study, _ in zip(root.studies(), range(WARM)))


def scaling(folder: Path) -> dict[str, Any]:
    """Measure seconds a study of the loop and the engine, run by run."""
    root = archive(folder, STUDIES)
    plan = plan_of(root, load_bundle(), "none")
    found: dict[str, list[float]] = {"loop": [], "1 worker": [], "2 workers": []}
    screener = Screener(plan, root, None, folder)
    for _ in range(RUNS):
        alone = replace(screener)
        alone.begin()
        loop = screen_in_turn(alone, root.studies())
        found["loop"].append(seconds_a_study(loop, 1))
        for workers, name in ((1, "1 worker"), (2, "2 workers")):
            found[name].append(engine_seconds(root, screener, workers))
    return {"scaling": rounded(found), "inner_s": round(inner_seconds(root, screener), 4)}


def whole(folder: Path) -> dict[str, Any]:
    """Measure seconds a study of the engine where a study is a whole series."""
    root = archive(folder, WHOLE_STUDIES, WHOLE)
    screener = Screener(plan_of(root, load_bundle(), "none"), root, None, folder)
    found: dict[str, list[float]] = {"1 worker": [], "2 workers": []}
    for _ in range(RUNS):
        for workers, name in ((1, "1 worker"), (2, "2 workers")):
            found[name].append(engine_seconds(root, screener, workers))
    return {"whole": rounded(found)}


def engine_seconds(root: Archive, screener: Screener, workers: int) -> float:
    """Return seconds a study on a Ray of its own, with the table."""
    with connected(None, workers):
        told = screen_on_ray(replace(screener), lambda: root.studies(), workers)
        return seconds_a_study(into_table(told, screener.out / "table"), workers)


def rounded(found: dict[str, list[float]]) -> dict[str, list[float]]:
    """Round to a tenth of a millisecond."""
    return {name: [round(run, 4) for run in runs] for name, runs in found.items()}


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


def memory(folder: Path) -> dict[str, Any]:
    """Measure the memory of driver, worker and Ray along a run."""
    root = archive(folder, MEMORY_STUDIES + FIRST_MEASURED)  # the end is not measured: Ray shrinks
    screener = Screener(plan_of(root, load_bundle(), "none"), root, None, folder)
    samples: list[tuple[int, float]] = []
    with connected(None, 1):
        told = screen_on_ray(screener, lambda: root.studies(), 1)
        for number, _ in enumerate(into_table(told, folder / "table"), start=1):
            if number % FIRST_MEASURED == 0 and number <= MEMORY_STUDIES:
                samples.append((number, round(private_bytes() / 2**20)))
                print(f"{number}: {samples[-1][1]} MiB", flush=True)
    return {"memory_mib": samples}


def cost(folder: Path) -> dict[str, Any]:
    """Measure a study of few and of many slices on one core, its decoding and its networks."""
    return {"cost": [_cost(folder, thickness_mm) for thickness_mm in COST_THICKNESS_MM]}


def _cost(folder: Path, thickness_mm: float) -> dict[str, Any]:
    plan = CohortPlan(Preset.COHORT, cases=1, seed=11, is_series=True, thickness_mm=thickness_mm)
    made = folder / f"{thickness_mm}"
    write_cohort(made, plan)
    (series,) = made.glob("SYN-*/ct")
    slices = len(list(series.iterdir()))
    archive = open_archive(str(series.parent))
    screener = Screener(plan_of(archive, load_bundle(), "none"), archive, None, folder)
    screener.begin()
    runs: dict[str, list[float]] = {"study_s": [], "decode_s": [], "networks_s": []}
    for _ in range(COST_RUNS + 1):
        with timed(*DECODING) as decoding, timed((bundle, "_run")) as passes:
            begin = time.perf_counter()
            for study in archive.studies():
                screener.screen(study)
            runs["study_s"].append(time.perf_counter() - begin)
        runs["decode_s"].append(sum(decoding))
        runs["networks_s"].append(sum(passes))
    warm = {name: round(statistics.median(times[1:]), 3) for name, times in runs.items()}
    return {"slices": slices, **warm}


DECODING = ((intake, "find_series"), (workflow, "read_series"))
"""What turns files into a volume in HU: the search reads what groups files of each header, reading
all of the headers of the chosen series and its pixels."""


@contextmanager
def timed(*functions: tuple[ModuleType, str]) -> Iterator[list[float]]:
    """Time all calls of some functions within the context, s; on one core they do not overlap.

    Args:
        functions: The module that calls each, and its name there; none calls another.
    """
    spent: list[float] = []

    def clocked(plain: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **options: Any) -> Any:  # noqa: ANN401 - any function
            begin = time.perf_counter()
            answer = plain(*given, **options)
            spent.append(time.perf_counter() - begin)
            return answer

        return run

    with ExitStack() as patched:
        for module, name in functions:
            plain = getattr(module, name)
            patched.enter_context(patch.object(module, name, clocked(plain)))
        yield spent


def main() -> None:
    """Run what is asked for."""
    name, load = sys.argv[1], round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory(prefix="osteoscreen-batch-") as folder:
        found = {"scaling": scaling, "whole": whole, "memory": memory, "cost": cost}[name](
            Path(folder)
        )
    old = json.loads(OUT.read_text(encoding="utf-8")) if OUT.is_file() else {}
    machine = {"processor": platform.machine(), "cores": len(os.sched_getaffinity(0))}
    loads = old.get("load_before", {}) | {name: load}
    OUT.write_text(
        json.dumps(old | found | {"machine": machine, "load_before": loads}, indent=1) + "\n"
    )
    print(json.dumps(found))


if __name__ == "__main__":
    wanted = ENVIRONMENT | {NICENESS: "0"}  # the loop is not nice; Ray's default is 15
    if not wanted.items() <= os.environ.items():  # the loop runs as a worker does
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | wanted)
    main()
