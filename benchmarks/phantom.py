"""CPU time of a synthetic 512x512 slice on one core, and the memory of a worker.

Targets: 0.5 s a slice, 2 GB a worker. The ratio to one complex 2-D Fourier transform of the same
matrix, taken in the same run, is what carries over to another machine.
"""

from __future__ import annotations

import resource
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak:.0f} MiB")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
