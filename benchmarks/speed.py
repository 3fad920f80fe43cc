"""Where the time of a screening goes, against targets and against other programs' networks.

    python benchmarks/speed.py

writes ``results/speed.json`` in about four minutes on two idle cores; ``docs/performance_page.py``
brings it into docs/performance.md. All figures of a run are of one machine, so that their ratios
carry over to others; seconds do not. What is measured on one core is time of the processor, which
other programs disturb little. Needs the test installation, and OpenVINO.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from layouts import ms_net_multiply_adds, other_layouts
from numpy.typing import NDArray
from runtimes import compare_networks, on_openvino
from threadpoolctl import threadpool_limits

from osteoscreen.bundle import BATCH, Bundle, load_bundle
from osteoscreen.cores import count_cores
from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.series import read_series
from osteoscreen.workflow import Silent, screen_inputs

OUT = Path(__file__).parents[1] / "results" / "speed.json"
OSTEOSCREEN = Path(sys.executable).parent / "osteoscreen"
THICKNESS_MM = {"40 slices": "5", "300 slices": "0.7"}
"""Thickness that makes a series of about that many slices from T12 to S1."""
SEED = "61"
COLD_RUNS, WARM_RUNS, HELP_RUNS = 3, 3, 9
SGEMM_SIZE, SGEMM_RUNS = 2048, 4
NETWORK_SLICES, NETWORK_RUNS = 16, 3


Image = NDArray[np.float32]
Run = Callable[[Image], Image]


def make_study(home: Path, thickness_mm: str) -> Path:
    """Make a synthetic series of 512 x 512 slices and return its folder."""
    out = home / f"patients-{thickness_mm}"
    words = [
        "phantom",
        out,
        "--cases",
        "1",
        "--seed",
        SEED,
        "--series",
        "--thickness",
        thickness_mm,
    ]
    subprocess.run([str(OSTEOSCREEN), *map(str, words)], check=True, capture_output=True)
    (study,) = out.glob("*/ct")
    return study


def cold(*words: str | Path) -> tuple[float, float, float]:
    """Run a command: wall time and the processor's, s, and most memory, MB, from start to end."""
    start = time.perf_counter()
    process = subprocess.Popen([OSTEOSCREEN, *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"osteoscreen {words[0]} ended in {process.returncode}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


def screened_cold(study: Path, home: Path, runs: int) -> dict[str, Any]:
    """Screen a study by the command line; the steps are those of the last run."""
    out = home / f"cold-{study.parents[1].name}"
    wall_s, core_s, peak_mb = zip(*(cold("screen", study, "--out", out) for _ in range(runs)))
    (file,) = out.glob("series-*/result.json")
    result = json.loads(file.read_text(encoding="utf-8"))
    return {
        "slices": len(list(study.iterdir())),
        "classified": len(result["slices"]),
        "wall_s": round(statistics.median(wall_s), 2),
        "core_s": round(statistics.median(core_s), 2),
        "peak_mb": round(max(peak_mb)),
        "steps_s": result["timing_s"],
    }


def screened_warm(study: Path, home: Path, bundle: Bundle) -> float:
    """Median seconds of a study in one process, the first one left out."""
    times = []
    for _ in range(WARM_RUNS + 1):
        start = time.perf_counter()
        screen_inputs([study], home / "warm", bundle, Silent())
        times.append(time.perf_counter() - start)
    return round(statistics.median(times[1:]), 2)


def shortest(work: Callable[[], object], runs: int, *, cores: int) -> float:
    """Shortest time of some runs, s: of the processor where one core is at work, else wall time."""
    clock = time.process_time if cores == 1 else time.perf_counter
    times = []
    for _ in range(runs):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


def sgemm_rate(cores: int) -> float:
    """Multiply-adds of a product of matrices in single precision, 10^9 a second, at best."""
    one = np.random.default_rng(0).random((SGEMM_SIZE, SGEMM_SIZE), dtype=np.float32)
    with threadpool_limits(cores):
        return SGEMM_SIZE**3 / shortest(lambda: one @ one, SGEMM_RUNS, cores=cores) / 1e9


def grey(count: int, *shape: int) -> Image:
    """Draw images that a network of the bundle accepts."""
    return np.random.default_rng(0).uniform(0, 255, (count, *shape)).astype(np.float32)


def _each(run: Run, batches: Sequence[Image]) -> None:
    for one in batches:
        run(one)


def ms_net(bundle: Bundle, cores: int) -> dict[str, float]:
    """MS-Net's time against its multiply-adds at the rate of SGEMM: on one core and on all."""
    settings = bundle.settings.segmenter
    width = bundle.settings.runs["segmenter"]["recipe"]["width"]
    needed = ms_net_multiply_adds(width, len(settings.marks), settings.size)
    slices = grey(NETWORK_SLICES, settings.size, settings.size)
    found = {
        "multiply_adds_e9": round(needed, 3),
        "multiply_adds_e9_at_512": round(ms_net_multiply_adds(width, len(settings.marks), 512), 3),
    }
    bundle.marks(slices)
    for name, count, batch in (("one_core", 1, BATCH), ("all_cores", cores, NETWORK_SLICES)):
        batches = [slices[first : first + batch] for first in range(0, NETWORK_SLICES, batch)]
        rate = sgemm_rate(count)
        seconds = shortest(partial(_each, bundle.marks, batches), NETWORK_RUNS, cores=count)
        rate = max(rate, sgemm_rate(count))
        found |= {
            f"ms_a_slice_on_{name}": round(seconds / NETWORK_SLICES * 1e3, 2),
            f"sgemm_e9_a_second_on_{name}": round(rate, 1),
            f"ratio_on_{name}": round(seconds / NETWORK_SLICES * rate / needed, 2),
        }
    return found


def own_passes_s(bundle: Bundle, slices: int, classified: int) -> dict[str, float]:
    """Time of each of our networks over a series on one core."""
    settings = bundle.settings
    assert settings.levels is not None
    work = {
        "MS-Net": (bundle.marks, slices, grey(BATCH, *(settings.segmenter.size,) * 2)),
        "LevelNet": (bundle.level_logits, slices, grey(BATCH, 4, *(settings.levels.size,) * 2)),
        "BCC-Net": (bundle.logits, classified, grey(BATCH, *(settings.classifier.size,) * 2)),
    }  # one call's images: it runs on one core
    return {
        name: shortest(partial(run, images), NETWORK_RUNS, cores=1) * count / BATCH
        for name, (run, count, images) in work.items()
    }


def others(study: Path, own_s: dict[str, float], slices: int, classified: int) -> dict[str, Any]:
    """Time of other programs' networks over the same series on one core, beside ours.

    DenseNet-121 stands beside BCC-Net, lungmask and TotalSegmentator beside all three.
    """
    volume = read_series(find_series(study).series[0]).volume
    extent_mm = [count * mm for count, mm in zip(volume.hu.shape, volume.spacing_mm)]
    found = {}
    for name, passes in other_layouts(extent_mm, slices, classified).items():
        seconds = passes.core_seconds() * passes.count
        found[name] = {
            "about": passes.about,
            "passes": passes.count,
            "multiply_adds_e9_a_pass": round(passes.multiply_adds, 1),
            "core_s": round(seconds, 2),
            "times_ours": round(
                seconds / (own_s["BCC-Net"] if name == "DenseNet-121" else sum(own_s.values())), 1
            ),
        }
    return found


def main() -> None:
    """Measure everything and write it."""
    cores, load, started = count_cores(), os.getloadavg()[0], time.perf_counter()
    bundle = load_bundle()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        few, many = (make_study(home, thickness) for thickness in THICKNESS_MM.values())
        studies = {
            "40": screened_cold(few, home, COLD_RUNS),
            "300": screened_cold(many, home, COLD_RUNS),
        }
        runtimes = {"ONNX Runtime": bundle, "OpenVINO": on_openvino(bundle, cores)}
        warm = {
            size: {name: screened_warm(one, home, with_) for name, with_ in runtimes.items()}
            for size, one in (("40", few), ("300", many))
        }
        help_s = statistics.median(cold("--help")[0] for _ in range(HELP_RUNS))
        network = ms_net(bundle, cores)
        slices, classified = studies["40"]["slices"], studies["40"]["classified"]
        own_s = own_passes_s(bundle, slices, classified)
        found = {
            "machine": {
                "processor": platform.processor() or platform.machine(),
                "cores": cores,
                "load_before": round(load, 1),
            },
            "studies": studies,
            "warm_s": warm,
            "help_s": round(help_s, 2),
            "ms_net": network,
            "own_passes_core_s": {name: round(spent, 2) for name, spent in own_s.items()},
            "others": others(few, own_s, slices, classified),
            "runtimes_ms_a_slice": compare_networks(bundle, cores),
            "seconds_of_this_benchmark": round(time.perf_counter() - started),
        }
    OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
