"""Ray: studies stream to workers, their rows stream back. Ray is known here and nowhere else."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from osteoscreen.batch.screener import Screener
from osteoscreen.batch.study import Study
from osteoscreen.cores import THREADS
from osteoscreen.errors import BatchError, OsteoscreenError, ServerError
from osteoscreen.scratch import scratch, sweep

OBJECT_STORE_BYTES = 100 * 2**20
"""Of a local Ray: what passes through it is paths and rows, a few kilobytes a study."""

STUDIES_A_TASK = 2
"""What a worker is given at a time, and tells of at a time: a task costs the machine some 50 ms
beside the screening."""

TASKS_A_WORKER = 2
"""One at work and the next one waiting."""

STUDIES_AHEAD, AHEAD_SECONDS = 10, 0.1
"""Studies a worker that are found ahead; then the search waits, and asks so often."""

CONNECT_SECONDS = 5.0

HOME_BYTES = 107 - len(
    "/osteoscreen-01234567-01234567/session_2026-01-31_23-59-59_012345_4194304/sockets/plasma_store"
)
"""The longest path below which Ray's sockets can lie: Linux takes 107 bytes for a socket's."""

GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
FRAME_BYTES, SETTINGS = 9, 4
"""Ray speaks gRPC, which is HTTP/2: a client begins with the greeting, a server with a frame of
settings, whose header has so many bytes and tells its type in the fourth (RFC 9113, sections 3.4,
4.1 and 6.5)."""

ENVIRONMENT = {"env_vars": {THREADS: "1"}}
"""Of a worker, whatever its node's is: a core each."""

LOOPBACK = {
    "RAY_task_events_report_interval_ms": "0",  # Ray would keep 10 KB of each study for a dashboard
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's own switch: all its sockets on 127.0.0.1
}
ALWAYS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}


@contextmanager
def connected(address: str | None, workers: int | None) -> Iterator[int]:
    """Start Ray on this machine, or join a cluster; leave it when the context ends.

    A local Ray listens on loopback only, shows no dashboard and reports no usage.

    Args:
        address: Of a cluster, HOST:PORT or "auto"; ``None`` to start Ray here.
        workers: How many to use; ``None`` for one a core.
    Returns: The number of workers.
    Raises: BatchError if the cluster cannot be reached, or Ray does not start.
    """
    os.environ.update(ALWAYS if address is not None else ALWAYS | LOOPBACK)  # before Ray is loaded
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    with ExitStack() as stack:
        if address is None:
            sweep(home := _home())
            cores = workers or len(os.sched_getaffinity(0))
            options |= {
                "address": "local",  # whatever RAY_ADDRESS says, or runs here already
                "num_cpus": cores,
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
                "_temp_dir": str(stack.enter_context(scratch(home))),
            }
        else:
            address = _meant(address)
            _check_reachable(address)
            options["address"] = address
        try:
            ray.init(**options)
        except Exception as error:  # noqa: BLE001 - Ray says with a plain Exception that it timed out
            cause = str(error).strip().partition("\n")[0] or type(error).__name__
            where = (
                "Ray must start here"
                if address is None
                else f"{address}: a Ray cluster must answer"
            )
            raise BatchError(f"{where}, got: {cause}") from None
        stack.callback(ray.shutdown)
        yield workers or int(ray.cluster_resources().get("CPU", 1))


def _home() -> Path:
    """Where Ray's files lie while it runs: the system's place, if its path is short enough."""
    home = Path(tempfile.gettempdir())
    return home if len(os.fsencode(home)) <= HOME_BYTES else Path("/tmp")


def _meant(address: str) -> str:
    """Return what "auto" stands for: ``RAY_ADDRESS``, or what runs on this machine."""
    from ray._private.services import get_ray_address_from_environment

    if address != "auto":
        return address
    try:
        return str(get_ray_address_from_environment(address, None))
    except ConnectionError:
        raise BatchError(f"{address}: a Ray cluster must answer, got: none on this machine, and no "
                         "RAY_ADDRESS")  from None  # fmt: skip


def _check_reachable(address: str) -> None:
    """Ray itself tries for minutes before it gives up, also where it is not Ray that listens."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        with socket.create_connection((host, int(port)), CONNECT_SECONDS) as peer:
            if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):  # as Ray reads it
                return
            peer.sendall(GREETING)
            answer = peer.makefile("rb").read(FRAME_BYTES)
    except (OSError, ValueError) as error:
        raise BatchError(f"{address}: a Ray cluster must answer, got: {error}") from None
    if len(answer) < FRAME_BYTES or answer[3] != SETTINGS:
        raise BatchError(f"{address}: a Ray cluster must answer, got: an answer that is not Ray's")


class Ledger:
    """Knows how many workers died over a study, and how many studies ended, of one run."""

    def __init__(self) -> None:
        self._begun: dict[str, int] = {}
        self._ended = 0

    def begin(self, key: str) -> int:
        """Note that a study is begun; return how often it was begun and not ended before."""
        before = self._begun.get(key, 0)
        self._begun[key] = before + 1
        return before

    def end(self, key: str) -> None:
        """Note that a study has ended."""
        self._begun.pop(key, None)
        self._ended += 1

    def ended(self) -> int:
        """Return how many studies have ended."""
        return self._ended


class _Worker:
    """An actor of the pool."""

    def __init__(self, screener: Screener, ledger: Any) -> None:  # noqa: ANN401 - a Ray handle
        screener.begin()
        self._screener, self._ledger = screener, ledger

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Screen the studies of a batch."""
        import ray

        told = []
        for row in batch.to_pylist():
            folders = tuple(os.fsdecode(folder) for folder in row["folders"])
            study = Study(row["key"], os.fsdecode(row["source"]), folders)
            try:
                deaths = ray.get(self._ledger.begin.remote(study.key))
                records = self._screener.attend(study, deaths)
            except ServerError as error:
                return pa.table({"lost": [str(error)]})  # Ray would bury it in advice
            ray.get(self._ledger.end.remote(study.key))
            told.append({"records": records})
        return pa.Table.from_pylist(told)


def discovery(
    studies: Callable[[], Iterator[Study]],
    ledger: Any,  # noqa: ANN401 - a Ray handle
    workers: int,
) -> Callable[[pa.Table], Iterator[pa.Table]]:
    """Return the task that finds studies, a few ahead of the workers.

    Ray Data holds back what fills its store of objects; studies are too small to be noticed there.
    """

    def discover(_: pa.Table) -> Iterator[pa.Table]:
        import ray

        found = studies()
        count = 0
        while some := list(islice(found, STUDIES_A_TASK)):
            while count - ray.get(ledger.ended.remote()) > STUDIES_AHEAD * workers:
                time.sleep(AHEAD_SECONDS)
            count += len(some)
            sources = [os.fsencode(study.source) for study in some]  # a path may be no UTF-8
            folders = [[os.fsencode(folder) for folder in study.folders] for study in some]
            yield pa.table(
                {
                    "key": [study.key for study in some],
                    "source": pa.array(sources, pa.binary()),
                    "folders": pa.array(folders, pa.list_(pa.binary())),
                }
            )

    return discover


def _settle() -> None:
    """Make Ray Data stream study by study, and leave words and bars to the command line."""
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = 1  # what is found is a block: it waits for no others
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # an error is told when it ends here


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
    ledger = ray.remote(Ledger).options(num_cpus=0, label_selector=here).remote()
    pool = ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=TASKS_A_WORKER)
    told = (
        ray.data.from_items([{"start": 0}])
        .map_batches(
            discovery(studies, ledger, workers),
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
            runtime_env=ENVIRONMENT,
        )
    )
    try:
        for row in told.iter_rows():
            if "lost" in row:
                raise BatchError(row["lost"])
            yield row["records"]
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        if isinstance(cause, OsteoscreenError):
            raise BatchError(str(cause).partition("\n")[0]) from None  # Ray adds lines of advice
        reason = str(cause).strip().splitlines()[-1]
        raise BatchError(f"Ray must keep its workers, it ended with {reason}") from error
