"""Multipart messages, read as a stream."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osteoscreen.dicom.multipart import BrokenMessageError, boundary_of, parts_of

BOUNDARY = b"-edge"
BODIES = st.lists(st.binary(max_size=40) | st.just(b"\r\n--\r\n-edg\r\n--"), max_size=4)


def _message(bodies: list[bytes]) -> bytes:
    parts = [
        b"\r\n--" + BOUNDARY + b"\r\nContent-Type: application/dicom\r\n\r\n" + body
        for body in bodies
    ]
    return b"".join(parts)[2:] + b"\r\n--" + BOUNDARY + b"--\r\n"


def _chunks(message: bytes, size: int) -> Iterator[bytes]:
    return (message[start : start + size] for start in range(0, len(message), size))


def _read(message: bytes, size: int) -> list[bytes]:
    return [b"".join(part) for part in parts_of(_chunks(message, size), BOUNDARY)]


@given(BODIES, st.integers(1, 60))
def test_parts_come_back_as_they_were_however_the_message_is_cut(
    bodies: list[bytes], size: int
) -> None:
    assert _read(_message(bodies), size) == bodies


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=3), st.data())
def test_a_message_that_breaks_off_anywhere_is_broken(
    bodies: list[bytes], data: st.DataObject
) -> None:
    message = _message(bodies)
    end = data.draw(st.integers(0, len(message) - len(b"-\r\n") - 1))
    with pytest.raises(BrokenMessageError, match="closing delimiter"):
        _read(message[:end], 7)


def test_a_part_is_not_held_as_a_whole() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"--" + BOUNDARY + b"\r\n\r\n\r\n"[:4]
        for _ in range(1000):
            yield bytes(1000)
        yield b"\r\n--" + BOUNDARY + b"--"

    (largest,) = (max(len(piece) for piece in part) for part in parts_of(chunks(), BOUNDARY))
    assert largest < 3000


@pytest.mark.parametrize(
    "content_type",
    ["multipart/related; type=dicom", "text/html; boundary=x", "", "multipart/mixed; boundary=x"],
)
def test_an_answer_without_a_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(BrokenMessageError, match="multipart/related"):
        boundary_of(content_type)


def test_a_boundary_may_be_quoted() -> None:
    field = 'Multipart/Related; type="application/dicom"; boundary="a b:1"'
    assert boundary_of(field) == b"a b:1"
