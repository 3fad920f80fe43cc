"""Ray is started on this machine, or a cluster is joined."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

from osteoscreen.errors import BatchError
from osteoscreen.scratch import scratch, sweep

OBJECT_STORE_BYTES = 100 * 2**20
"""Of a local Ray: what passes through it is paths and rows, a few kilobytes a study."""

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
    if address is None:
        if "ray" in sys.modules and not LOOPBACK.items() <= os.environ.items():
            raise BatchError("Ray must start on loopback alone, it was loaded here for a cluster")
        os.environ.update(ALWAYS | LOOPBACK)  # Ray reads them as it is loaded
    else:
        os.environ.update(ALWAYS)
        address = _meant(address)
        _check_reachable(address)
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
        if current_thread() is main_thread():  # Ray would abort, and rows that wait be lost
            before = signal.signal(signal.SIGTERM, signal.default_int_handler)
            stack.callback(signal.signal, signal.SIGTERM, before)
        yield workers or int(ray.cluster_resources().get("CPU", 1))


def _home() -> Path:
    """Where Ray's files lie while it runs: the system's place, if its path is short enough."""
    home = Path(tempfile.gettempdir())
    return home if len(os.fsencode(home)) <= HOME_BYTES else Path("/tmp")


def _meant(address: str) -> str:
    """Return what "auto" stands for: ``RAY_ADDRESS``, or what runs on this machine."""
    if address != "auto":
        return address
    from ray._private.services import get_ray_address_from_environment

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
