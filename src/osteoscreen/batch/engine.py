"""Ray Data: studies stream to workers, their rows stream back."""

from __future__ import annotations

import atexit
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pyarrow as pa

from osteoscreen.batch.ledger import Ledger
from osteoscreen.batch.screener import Screener
from osteoscreen.batch.study import Study
from osteoscreen.cores import THREADS
from osteoscreen.errors import BatchError, OsteoscreenError, ServerError

STUDIES_A_TASK = 4
"""What a worker is given at a time, and tells of at a time: a task costs some 10 ms of work beside
the workers, which have all cores."""

TASKS_A_WORKER = 2
"""One at work and the next one waiting."""

LEAST_TASKS_A_ROUND, TASKS_A_ROUND = 1250, 50
"""The latter for each worker. Then Ray Data starts anew, which takes seconds: it keeps statistics
of each study, some 4 KB, until it ends."""

STUDIES_AHEAD = 12
"""Studies a worker that are found ahead: Ray Data holds back only what fills its store of objects,
and studies are too small to be noticed there."""

ENVIRONMENT = {
    THREADS: "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(128 * 2**20),
}
"""Of a worker, whatever its node's is: a core each; and the C library keeps what one slice gave
back for the next, which saves 3 % of a study."""


class _Worker:
    """An actor of the pool."""

    def __init__(self, screener: Screener, ledger: Any) -> None:  # noqa: ANN401 - a Ray handle
        import ray

        if ray.get(ledger.start.remote()):
            raise BatchError("a worker must load the bundle and begin, one after the other died")
        screener.begin()
        atexit.register(os._exit, 0)  # Ray's own way out may wait for a lock of its own for ever
        self._screener, self._ledger = screener, ledger

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Screen the studies of a batch."""
        import ray

        told = []  # becomes one row: Ray holds up a worker that tells more of them at a time
        for row in batch.to_pylist():
            folders = tuple(os.fsdecode(folder) for folder in row["folders"])
            study = Study(row["key"], os.fsdecode(row["source"]), folders)
            try:
                deaths = ray.get(self._ledger.begin.remote(study.key))
                records = self._screener.attend(study, deaths)
            except ServerError as error:
                return pa.table({"lost": [str(error)]})  # Ray would bury it in advice
            self._ledger.end.remote(study.key)
            told.append(records)
        return pa.Table.from_pylist([{"told": told}])


def _round(
    ledger: Any,  # noqa: ANN401 - a Ray handle
    number: int,
    tasks: int,
) -> Callable[[pa.Table], Iterator[pa.Table]]:
    """Return what yields the tasks of a round, each as it is due."""

    def due(_: pa.Table) -> Iterator[pa.Table]:
        import ray

        if not ray.get(ledger.open.remote(number)):
            return
        for _ in range(tasks):
            studies = ray.get(ledger.more.remote())
            if not studies:
                return
            sources = [os.fsencode(study.source) for study in studies]  # a path may be no UTF-8
            folders = [[os.fsencode(folder) for folder in study.folders] for study in studies]
            yield pa.table(
                {
                    "key": [study.key for study in studies],
                    "source": pa.array(sources, pa.binary()),
                    "folders": pa.array(folders, pa.list_(pa.binary())),
                }
            )

    return due


def _settle() -> None:
    """Make Ray Data stream study by study, and leave words and bars to the command line."""
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = 1  # a row is a block: it waits for no others
    context.memory_usage_poll_interval_s = None  # no thread that asks for each task
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # an error is told when it ends here
    # Said where a round has fewer tasks than workers, as the last one may.
    warnings.filterwarnings("ignore", "The minimum number of concurrent actors")


def screen_on_ray(
    screener: Screener, studies: Callable[[], Iterator[Study]], workers: int
) -> Iterator[list[dict[str, Any]]]:
    """Screen studies on the workers of a connected Ray.

    Studies are found only a little ahead of the workers. A study that costs its worker three times
    is left.

    Args:
        screener: Screens a study.
        studies: Starts the stream of studies; called in another process of this machine.
        workers: How many; each has one core.
    Returns: The rows of one study after the other, in no order.
    Raises: BatchError if Ray itself fails, a worker cannot load the bundle, or the archive's server
        is gone.
    """
    import ray
    import ray.data

    _settle()
    here = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
    ledger: Any = (
        ray.remote(Ledger)
        .options(num_cpus=0, label_selector=here, max_concurrency=2)
        .remote(studies, STUDIES_AHEAD * workers, STUDIES_A_TASK)
    )
    tasks = max(LEAST_TASKS_A_ROUND, TASKS_A_ROUND * workers)
    pool = ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=TASKS_A_WORKER)
    try:
        total = 0
        for number in count():
            told = (
                ray.data.from_items([{"start": 0}])
                .map_batches(
                    _round(ledger, number, tasks),
                    batch_format="pyarrow",
                    num_cpus=0,
                    label_selector=here,
                )
                .map_batches(
                    _Worker,
                    fn_constructor_args=(screener, ledger),
                    batch_size=STUDIES_A_TASK,
                    batch_format="pyarrow",
                    compute=pool,
                    num_cpus=1,
                    runtime_env={"env_vars": ENVIRONMENT},
                )
            )
            for row in told.iter_rows():
                if "lost" in row:
                    raise BatchError(row["lost"])
                total += len(row["told"])
                ledger.tell.remote(len(row["told"]))
                yield from row["told"]
            found, is_all = ray.get(ledger.found.remote())
            if total != found:
                raise BatchError(f"Ray must tell of all {found} studies that were handed out, it "
                                 f"told of {total}: what hands them out was killed")  # fmt: skip
            if is_all:
                return
    except ray.exceptions.RayError as error:
        raise _told_by(error) from error


def _told_by(error: Exception) -> BatchError:
    """Find our own words in an error of Ray's, which puts traces before and advice behind them."""
    cause: Any = error
    while getattr(cause, "cause", None):  # of a worker's error, or the ledger's below it
        cause = cause.cause
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    if isinstance(cause, OsteoscreenError):
        return BatchError(lines[0])
    own = [line for line in lines if line.startswith(OsteoscreenError.__module__)]
    if own:
        return BatchError(own[-1].partition(": ")[2])
    return BatchError(f"Ray must keep what it started, it ended with: {lines[0]}")
