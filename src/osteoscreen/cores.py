"""Slices are worked on side by side, a thread a core.

Threads are enough: numpy, scipy and ONNX Runtime let go of Python's lock while they compute. A
network that runs on one core for each slice keeps all of them busier than one that parts each slice
among the cores, above all where other programs run beside it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

GivenT = TypeVar("GivenT")
DoneT = TypeVar("DoneT")


THREADS = "OMP_NUM_THREADS"
"""Variable that limits the threads of a process, as numerical libraries read it."""


def count_cores() -> int:
    """Count the cores that this process may use: those of the machine, fewer where it is told."""
    told = os.environ.get(THREADS, "")
    there = _count_there()
    return min(there, int(told)) if told.isdecimal() and int(told) else there


def _count_there() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def on_all_cores(work: Callable[[GivenT], DoneT], given: Iterable[GivenT]) -> Iterator[DoneT]:
    """Do the same to many things, as many at once as there are cores.

    Args:
        work: What to do; it must not change what the others see.
        given: The things.
    Returns: What came of each, in their order; the first error is raised and the rest left.
    """
    cores = count_cores()
    if cores == 1:  # a thread beside the caller's would take turns with it
        yield from map(work, given)
        return
    with ThreadPoolExecutor(cores) as pool:
        tasks = [pool.submit(work, one) for one in given]
        try:
            for task in tasks:
                yield task.result()
        finally:
            for task in tasks:
                task.cancel()
