"""CPU time of a synthetic 512x512 slice on one core, and the memory of workers.

Targets: 0.5 s a slice, 2 GB a worker. The ratio to one complex 2-D Fourier transform of the same
matrix, taken in the same run, is what carries over to another machine.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import replace

import numpy as np
from scipy import fft
from threadpoolctl import threadpool_limits

from osteoscreen.phantom import Mode, Scan, draw_patient, draw_scan, render_slice
from osteoscreen.phantom.anatomy import Patient, streams

PATIENTS = 12
SLICES = 4
THICKNESS_MM = (0.6, 1.5, 3.0, 5.0, 10.0)
WORKERS = {
    "12 patients of 4 slices": ["--cases", "12"],
    "a series of 501 slices": ["--cases", "1", "--series", "--thickness", "0.4"],
}
"""Options of cohorts whose memory is taken: an ordinary one, and the longest series."""


def slice_s(patient: Patient, scan: Scan, heights: list[float]) -> float:
    """Return the mean CPU time of a slice."""
    start = time.process_time()
    for height in heights:
        render_slice(patient, scan, height, np.random.default_rng(0))
    return (time.process_time() - start) / len(heights)


def fourier_s() -> float:
    """Return the CPU time of one complex transform of 512x512."""
    image = np.random.default_rng(0).standard_normal((512, 512)).astype(np.complex128)
    start = time.process_time()
    for _ in range(20):
        fft.fft2(image)
    return (time.process_time() - start) / 20


def worker_mib(options: list[str]) -> float:
    """Return the largest memory of a process that writes a cohort: images, marks and truth."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["osteoscreen", "phantom", folder, "--seed", "21", "--workers", "1", *options]
        run = (
            "import resource, sys; from osteoscreen.cli import main; sys.argv = sys.argv[1:]\n"
            "try: main()\n"
            "except SystemExit: pass\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        done = subprocess.run(
            [sys.executable, "-c", run, *command], check=True, capture_output=True, text=True
        )
        return int(done.stdout.split()[-1]) / 1024


def main() -> None:
    """Print mean and longest times for each preset and thickness."""
    unit = fourier_s()
    print(f"complex FFT of 512x512: {unit * 1000:.1f} ms")
    for mode in Mode:
        for thickness in (*THICKNESS_MM, None):
            times = []
            for case in range(PATIENTS):
                patient, rngs = draw_patient(77, case, mode), streams(77, case)
                scan = draw_scan(
                    rngs["scan"],
                    is_randomised=mode is Mode.RANDOMISED,
                    trunk_half_width_mm=patient.trunk.half_width_mm,
                )
                if thickness is not None:
                    scan = replace(scan, thickness_mm=thickness)
                heights = list(np.random.default_rng(case).uniform(-120, 130, SLICES))
                times.append(slice_s(patient, scan, heights))
            name = "as drawn" if thickness is None else f"{thickness:g} mm"
            print(
                f"{mode.value:10} {name:8} mean {np.mean(times):.3f} s, longest patient "
                f"{max(times):.3f} s, mean {np.mean(times) / unit:.0f} x FFT"
            )
    for name, options in WORKERS.items():
        print(f"peak memory of a worker that writes {name}: {worker_mib(options):.0f} MiB")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
