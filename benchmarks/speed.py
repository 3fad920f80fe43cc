"""Where the time of a screening goes, against targets and against other programs' networks.

    python benchmarks/speed.py

writes ``results/speed.json`` in about four minutes on two idle cores; ``docs/performance_page.py``
brings it into docs/performance.md. All figures of a run are of one machine, so that their ratios
carry over to others; seconds do not. Needs the test installation, and OpenVINO.
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
from pathlib import Path
from typing import Any

import numpy as np
from layouts import ms_net_multiply_adds, other_layouts
from runtimes import compare_networks, on_openvino
from threadpoolctl import threadpool_limits

from osteoscreen.bundle import Bundle, load_bundle
from osteoscreen.cores import count_cores
from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.series import read_series
from osteoscreen.summary import Row
from osteoscreen.workflow import screen_inputs

OUT = Path(__file__).parents[1] / "results" / "speed.json"
OSTEOSCREEN = Path(sys.executable).parent / "osteoscreen"
THICKNESS_MM = {"40 slices": "5", "300 slices": "0.7"}
"""Thickness that makes a series of about that many slices from T12 to S1."""
SEED = "61"
COLD_RUNS, WARM_RUNS, HELP_RUNS = 3, 4, 9
SGEMM_SIZE, SGEMM_RUNS = 2048, 8
NETWORK_SLICES, NETWORK_RUNS = 32, 5
OTHER_RUNS = 2


class Silent:
    """Nothing is shown."""

    def begin(self, name: str, slices: int) -> None:
        """A unit begins."""

    def advance(self, slices: int) -> None:
        """Slices are marked."""

    def end(self, row: Row) -> None:
        """A unit ends."""


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


def cold(*words: str | Path) -> tuple[float, float]:
    """Wall time, s, and peak memory, MB, of a command from process start to its end."""
    start = time.perf_counter()
    process = subprocess.Popen([OSTEOSCREEN, *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"osteoscreen {words[0]} ended in {process.returncode}")
    return seconds, usage.ru_maxrss * 1024 / 1e6


def screened_cold(study: Path, home: Path, runs: int) -> dict[str, Any]:
    """Screen a study by the command line: all times, most memory, the steps of the last run."""
    out = home / f"cold-{study.parents[1].name}"
    measured = [cold("screen", study, "--out", out) for _ in range(runs)]
    (file,) = out.glob("series-*/result.json")
    result = json.loads(file.read_text(encoding="utf-8"))
    return {
        "slices": len(list(study.iterdir())),
        "classified": len(result["slices"]),
        "wall_s": round(statistics.median(seconds for seconds, _ in measured), 2),
        "peak_mb": round(max(peak for _, peak in measured)),
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


def sgemm_rate(cores: int) -> float:
    """Multiply-adds of a product of matrices in single precision, 10^9 a second, at best."""
    one = np.random.default_rng(0).random((SGEMM_SIZE, SGEMM_SIZE), dtype=np.float32)
    times = []
    with threadpool_limits(cores):
        for _ in range(SGEMM_RUNS):
            start = time.perf_counter()
            one @ one
            times.append(time.perf_counter() - start)
    return SGEMM_SIZE**3 / min(times) / 1e9


def ms_net(bundle: Bundle, cores: int) -> dict[str, float]:
    """MS-Net's time against its multiply-adds at the rate of SGEMM: on one core and on all."""
    settings = bundle.settings.segmenter
    width = bundle.settings.runs["segmenter"]["recipe"]["width"]
    needed = ms_net_multiply_adds(width, len(settings.marks), settings.size)
    grey = np.random.default_rng(0).uniform(0, 255, (NETWORK_SLICES, settings.size, settings.size))
    slices = grey.astype(np.float32)
    found = {
        "multiply_adds_e9": round(needed, 3),
        "multiply_adds_e9_at_512": round(ms_net_multiply_adds(width, 2, 512), 3),
    }
    for name, count in (("one_core", 1), ("all_cores", cores)):
        batch = 1 if count == 1 else NETWORK_SLICES  # a single slice never leaves its core
        rate = sgemm_rate(count)
        times = []
        for _ in range(NETWORK_RUNS):
            start = time.perf_counter()
            for first in range(0, NETWORK_SLICES, batch):
                bundle.marks(slices[first : first + batch])
            times.append(time.perf_counter() - start)
        rate = max(rate, sgemm_rate(count))
        seconds = min(times) / NETWORK_SLICES
        found |= {
            f"ms_a_slice_on_{name}": round(seconds * 1e3, 2),
            f"sgemm_e9_a_second_on_{name}": round(rate, 1),
            f"ratio_on_{name}": round(seconds * rate / needed, 2),
        }
    return found


def own_passes_s(bundle: Bundle, slices: int, classified: int) -> float:
    """Shortest time of all networks over a series."""
    settings = bundle.settings
    assert settings.levels is not None
    rng = np.random.default_rng(0)
    segmenter, levels, classifier = (
        rng.uniform(0, 255, shape).astype(np.float32)
        for shape in (
            (slices, settings.segmenter.size, settings.segmenter.size),
            (slices, 4, settings.levels.size, settings.levels.size),
            (classified, settings.classifier.size, settings.classifier.size),
        )
    )
    times = []
    for _ in range(NETWORK_RUNS):
        start = time.perf_counter()
        bundle.marks(segmenter)
        bundle.level_logits(levels)
        bundle.logits(classifier)
        times.append(time.perf_counter() - start)
    return min(times)


def others(study: Path, own_s: float, slices: int, classified: int) -> dict[str, Any]:
    """Time of other programs' networks over the same series, beside ours."""
    volume = read_series(find_series(study).series[0]).volume
    extent_mm = [count * mm for count, mm in zip(volume.hu.shape, volume.spacing_mm)]
    found = {}
    for name, passes in other_layouts(extent_mm, slices, classified).items():
        seconds = passes.seconds(OTHER_RUNS) * passes.count
        found[name] = {
            "about": passes.about,
            "passes": passes.count,
            "multiply_adds_e9_a_pass": round(passes.multiply_adds, 1),
            "seconds": round(seconds, 2),
            "times_ours": round(seconds / own_s, 1),
        }
    return found


def main() -> None:
    """Measure everything and write it."""
    cores, load, started = count_cores(), os.getloadavg()[0], time.perf_counter()
    bundle = load_bundle()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        few, many = (make_study(home, thickness) for thickness in THICKNESS_MM.values())
        studies = {"40": screened_cold(few, home, COLD_RUNS), "300": screened_cold(many, home, 2)}
        warm = {
            "ONNX Runtime": screened_warm(few, home, bundle),
            "OpenVINO": screened_warm(few, home, on_openvino(bundle, cores)),
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
            "own_passes_s": round(own_s, 2),
            "others": others(few, own_s, slices, classified),
            "runtimes_ms_a_slice": compare_networks(bundle, cores),
            "seconds_of_this_benchmark": round(time.perf_counter() - started),
        }
    OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
