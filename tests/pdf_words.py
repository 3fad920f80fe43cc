"""The words of a PDF as its fonts map them, read without the library that wrote it."""

from __future__ import annotations

import re
import zlib

OBJECT = re.compile(rb"(\d+) 0 obj(.*?)endobj", re.DOTALL)
STREAM = re.compile(rb"stream\r?\n")
SHOWN = re.compile(rb"/(F\d+(?:\+\d+)?) [\d.]+ Tf|\(((?:\\.|[^\\()])*)\) Tj|(T\*|ET)", re.DOTALL)
ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def pages(pdf: bytes) -> int:
    """Count the pages."""
    return len(re.findall(rb"/Type /Page\b(?!s)", pdf))


def fonts(pdf: bytes) -> list[bytes]:
    """The dictionaries of the fonts."""
    return [body for _, body in OBJECT.findall(pdf) if b"/Type /Font" in body and b"/Name" in body]


def words(pdf: bytes) -> str:
    """All text of the pages, in the order in which it is drawn, on one line."""
    objects = dict(OBJECT.findall(pdf))
    maps = {}
    for body in fonts(pdf):
        name, linked = re.search(rb"/Name /(\S+)", body), re.search(rb"/ToUnicode (\d+)", body)
        assert name is not None
        maps[name[1]] = _to_unicode(_stream(objects[linked[1]])) if linked else {}
    return " ".join("".join(_shown(drawn(pdf), maps)).split())


def drawn(pdf: bytes) -> bytes:
    """The operators that draw the pages, one page after the other."""
    streams = [
        _stream(body)
        for _, body in OBJECT.findall(pdf)
        if b"/Subtype /Image" not in body and STREAM.search(body) is not None
    ]
    return b"\n".join(one for one in streams if b" Tf" in one)


def _stream(body: bytes) -> bytes:
    found, length = STREAM.search(body), re.search(rb"/Length (\d+)", body)
    assert found is not None
    assert length is not None
    raw = body[found.end() : found.end() + int(length[1])]
    return zlib.decompress(raw) if b"FlateDecode" in body[: found.start()] else raw


def _to_unicode(cmap: bytes) -> dict[int, str]:
    """Read the characters of a CMap (ISO 32000-1, 9.10.3)."""
    pairs = re.findall(rb"^<([0-9A-Fa-f]{2})> <([0-9A-Fa-f]{4})>", cmap, re.MULTILINE)
    return {int(code, 16): chr(int(target, 16)) for code, target in pairs}


def _shown(operators: bytes, maps: dict[bytes, dict[int, str]]) -> list[str]:
    said, font = [], b""
    for name, text, end in SHOWN.findall(operators):
        if name:
            font = name
            continue
        if end:
            said.append(" ")
            continue
        raw = re.sub(
            rb"\\([0-7]{3}|.)",
            lambda found: (
                bytes([int(found[1], 8)]) if found[1].isdigit() else ESCAPES.get(found[1], found[1])
            ),
            text,
            flags=re.DOTALL,
        )
        said.append("".join(maps[font].get(code, chr(code)) for code in raw))
    return said
