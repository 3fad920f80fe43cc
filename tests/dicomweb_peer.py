"""A small DICOMweb server on loopback, which can be told to misbehave."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

BOUNDARY = "edge"
NO_ANSWER = 0
"""Status of an answer that never comes: the connection ends."""


@dataclass
class Answer:
    """What the server says."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/dicom+json"


@dataclass
class Peer:
    """What the server has, and what was asked of it.

    Args:
        studies: Files of each series, by study and by series; a series has a modality.
        address: Of the service.
        asked: Paths with their queries, as they came.
        headers: Of each question.
        failing: Gives the status of a question that is to fail, by its path; ``None`` to answer it.
        largest_page: Studies that are told at once, whatever is asked for.
        heeds_offset: Whether a search goes on where it is asked to.
        counts_from_start: Whether the limit of a page counts from the first result.
        cut: Bytes that are left off the end of a series.
        short: Instances that are left off the end of a series.
    """

    studies: dict[str, dict[str, tuple[str, list[bytes]]]]
    address: str = ""
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    failing: Callable[[str], int | None] = lambda _: None
    largest_page: int = 1000
    heeds_offset: bool = True
    counts_from_start: bool = False
    cut: int = 0
    short: int = 0

    def answer(self, path: str, query: dict[str, str]) -> Answer:
        """Answer a question about ``/studies...``."""
        match [word for word in path.split("/") if word]:
            case ["studies"]:
                return self._found(
                    [{"0020000D": {"vr": "UI", "Value": [uid]}} for uid in self.studies], query
                )
            case ["studies", study, "series"]:
                found = [
                    {
                        "0020000E": {"vr": "UI", "Value": [uid]},
                        "00080060": {"vr": "CS", "Value": [modality]},
                        "00201209": {"vr": "IS", "Value": [len(files)]},
                    }
                    for uid, (modality, files) in self.studies.get(study, {}).items()
                ]
                return self._found(found, query)
            case ["studies", study, "series", series]:
                return self._sent(self.studies[study][series][1])
        return Answer(b"", 404)

    def _found(self, entries: list[dict[str, object]], query: dict[str, str]) -> Answer:
        start = int(query.get("offset", 0)) if self.heeds_offset else 0
        most = int(query.get("limit", 1000))
        end = most if self.counts_from_start else start + most
        found = entries[start : min(end, start + self.largest_page)]
        return Answer(json.dumps(found).encode())

    def _sent(self, files: list[bytes]) -> Answer:
        head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n"
        head += "Content-Location: ../../../evil\r\n\r\n"
        parts = [head.encode() + one + b"\r\n" for one in files[: len(files) - self.short]]
        body = b"".join(parts) + f"--{BOUNDARY}--".encode()
        kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        return Answer(body[: len(body) - self.cut], content_type=kind)


@contextmanager
def listening(peer: Peer, certificate: Path | None = None) -> Iterator[Peer]:
    """Let a server answer as long as the context lasts; each answer ends with the connection.

    Args:
        peer: The server; it is given its address.
        certificate: With its key, to speak TLS.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            peer.asked.append(self.path)
            peer.headers.append(dict(self.headers))
            parts = urlsplit(self.path)
            status = peer.failing(parts.path)
            if status == NO_ANSWER:
                return
            answer = (
                peer.answer(parts.path, dict(parse_qsl(parts.query)))
                if status is None
                else Answer(b"<html>", status, "text/html")
            )
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        peer.address = f"http://127.0.0.1:{server.server_port}"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            peer.address = f"https://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield peer
        finally:
            server.shutdown()
            thread.join()


def files_of(folder: Path) -> list[bytes]:
    """Return the content of the files below a folder."""
    return [file.read_bytes() for file in sorted(folder.rglob("*.dcm"))]
