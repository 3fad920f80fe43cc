"""A multipart message (RFC 2046, section 5.1) read as a stream: a part is never held as a whole.

DICOMweb servers send the instances of a series as the parts of one message. Some, Orthanc among
them, tell no length and end by closing the connection: only the closing delimiter tells a whole
message from a broken one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from email.message import Message

HEADERS_END = b"\r\n\r\n"


class BrokenMessageError(Exception):
    """A message that is not multipart, or ends before its closing delimiter."""


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a Content-Type field tells.

    Raises: BrokenMessageError if it is not multipart/related with a boundary.
    """
    field = Message()
    field["Content-Type"] = content_type
    boundary = field.get_boundary()
    if field.get_content_type() != "multipart/related" or not boundary:
        raise BrokenMessageError("the answer must be multipart/related with a boundary, it is not")
    return boundary.encode("latin-1", errors="replace")


def parts_of(chunks: Iterable[bytes], boundary: bytes) -> Iterator[Iterator[bytes]]:
    """Return the parts of a message one after the other, each as a stream of its bytes.

    A part must be read to its end before the next one is asked for.

    Args:
        chunks: The message.
        boundary: As its Content-Type tells it.
    Raises:
        BrokenMessageError: Where the message ends before its closing delimiter.
    """
    delimiter = b"\r\n--" + boundary
    stream = _Stream(chunks)
    _skip(stream.until(delimiter))
    while not stream.begins_with(b"--"):
        _skip(stream.until(HEADERS_END))
        yield stream.until(delimiter)


class _Stream:
    """The rest of a message."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._waiting = bytearray(b"\r\n")  # so that a delimiter at the start is like any other

    def until(self, mark: bytes) -> Iterator[bytes]:
        """Return what comes before a mark, piece by piece, and pass the mark."""
        while (at := self._waiting.find(mark)) < 0:
            is_sure = len(self._waiting) - len(mark) + 1  # behind it, a mark may have begun
            if is_sure > 0:
                yield bytes(self._waiting[:is_sure])
                del self._waiting[:is_sure]
            self._grow()
        yield bytes(self._waiting[:at])
        del self._waiting[: at + len(mark)]

    def begins_with(self, mark: bytes) -> bool:
        """Return whether a mark comes next."""
        while len(self._waiting) < len(mark):
            self._grow()
        return self._waiting.startswith(mark)

    def _grow(self) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise BrokenMessageError(
                "the answer must end with its closing delimiter, it breaks off"
            )
        self._waiting += chunk


def _skip(pieces: Iterable[bytes]) -> None:
    for _ in pieces:
        pass
