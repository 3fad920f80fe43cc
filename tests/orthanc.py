"""A real DICOMweb server: Orthanc with its plugin, as Debian packs them."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

PROGRAM = Path("/usr/sbin/Orthanc")
PLUGINS = (
    Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so"),
    Path("/usr/share/orthanc/plugins/libOrthancGdcm.so"),
)
IS_HERE = all(file.exists() for file in (PROGRAM, *PLUGINS))

USER, PASSWORD = "osteoscreen", "only-for-this-test"
START_SECONDS = 30.0


@dataclass(frozen=True)
class Orthanc:
    """A server that runs.

    Args:
        root: Its address, without a scheme.
    """

    root: str

    def ask(self, method: str, path: str, data: bytes | None = None) -> requests.Response:
        """Ask it over its own REST interface."""
        return requests.request(
            method, f"http://{self.root}{path}", data=data, auth=(USER, PASSWORD), timeout=10
        )

    def store(self, folder: Path) -> None:
        """Store the DICOM files below a folder."""
        for file in sorted(folder.rglob("*.dcm")):
            self.ask("POST", "/instances", file.read_bytes()).raise_for_status()


@contextmanager
def running(folder: Path) -> Iterator[Orthanc]:
    """Run a server that lasts as long as the context.

    Its version 1.10 listens on all interfaces, whatever it is told. It is left no more than this:
    HTTP alone, no access but from this machine, and a password.

    Args:
        folder: For its files.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = folder / "orthanc.json"
    told = {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "SyncStorageArea": False,
        "Plugins": [str(file) for file in PLUGINS],
    }
    settings.write_text(json.dumps(told))
    with (
        (folder / "orthanc.log").open("wb") as log,
        subprocess.Popen([PROGRAM, settings], stdout=log, stderr=log) as process,
    ):
        try:
            server = Orthanc(f"127.0.0.1:{port}")
            _wait(server, process)
            yield server
        finally:
            process.kill()


def _wait(server: Orthanc, process: subprocess.Popen[bytes]) -> None:
    last = time.monotonic() + START_SECONDS
    while time.monotonic() < last and process.poll() is None:
        try:
            if server.ask("GET", "/system").ok:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise RuntimeError("Orthanc must start, it did not")
