"""What is told where no Ray cluster answers."""

from __future__ import annotations

import socket
import sys
import time
from contextlib import ExitStack
from threading import Thread
from types import ModuleType

import pytest

from osteoscreen.batch import cluster
from osteoscreen.batch.cluster import LOOPBACK, connected
from osteoscreen.errors import BatchError


@pytest.mark.parametrize(
    ("answer", "message"),
    [(b"", "timed out"), (b"HTTP/1.1 400 Bad Request\r\n\r\n", "an answer that is not Ray's")],
)
def test_an_open_port_that_is_not_rays_is_told_soon_in_one_line(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, message: str
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        Thread(target=lambda: stack.enter_context(listener.accept()[0]).sendall(answer)).start()
        begun = time.monotonic()
        with pytest.raises(BatchError, match=f"^{address}: .* must answer, got: {message}$"):
            stack.enter_context(connected(address, None))
        assert time.monotonic() - begun < 5


def test_ray_that_was_loaded_for_a_cluster_is_not_started_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It reads as it is loaded where it may listen."""
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    for name in LOOPBACK:
        monkeypatch.delenv(name, raising=False)
    with ExitStack() as stack, pytest.raises(BatchError, match="must start on loopback alone"):
        stack.enter_context(connected(None, 1))
