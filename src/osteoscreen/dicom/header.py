"""One DICOM file, parsed without trust: bounded size, bounded inflation, no leaking warnings.

A file that pydicom would read for half a minute, or that nests sequences until the stack ends, is
refused here. Values come out through accessors that answer ``None`` for anything malformed.
"""

from __future__ import annotations

import logging
import math
import struct
import threading
import warnings
import zlib
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.config import disable_value_validation
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset, read_file_meta_info
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
)

from osteoscreen.errors import InputError, RefusalCode

logger = logging.getLogger(__name__)

MAX_FILE_BYTES = 256 * 2**20
"""One CT slice of 4096 x 4096 pixels takes 32 MiB, a segmentation of a whole body a few times as
much."""

MULTI_FRAME_CLASSES = (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
MAX_MULTI_FRAME_BYTES = 2**31
"""A whole CT series in one file: 4096 frames of 512 x 512 pixels."""

MAX_INFLATED_BYTES = 64 * 2**20
"""What a deflated slice may inflate to: twice the largest one. A file of 1.5 MB can ask for 1.6 GB;
this refuses it within a second."""

PIECE_BYTES = 2**20

PREAMBLE_BYTES = 128
MAGIC = b"DICM"
"""DICOM PS3.10 section 7.1."""

META_GROUP_LENGTH_END = PREAMBLE_BYTES + len(MAGIC) + 12
"""Where FileMetaInformationGroupLength (0002,0000) ends (12 bytes: tag, VR, length, value); what it
counts follows."""

PIXEL_DATA = 0x7FE00010
UNDEFINED_LENGTH = 0xFFFFFFFF
"""What stands in the length of encapsulated pixel data (PS3.5 section 7.5)."""

PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float, Double Float and Pixel Data (PS3.3 section C.7.6.24, C.7.6.25, C.7.6.3)."""

UNREADABLE = (
    EOFError,
    struct.error,
    zlib.error,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    OverflowError,
    NotImplementedError,
    RecursionError,
    BytesLengthException,
)
"""What pydicom raises on malformed bytes."""

_PARSING = threading.Lock()
"""Held while pydicom's validation is off: it is a process-wide setting. With validation on, pydicom
quotes malformed values, a patient's name among them, in warnings and in its log."""

_CHARACTER_SET = ".*(Specific Character Set|[Ee]ncoding|code extensions).*"
"""Warnings about text of another alphabet, the only ones that pydicom offers no switch for. They
concern names alone, which are never read, and would come once a file."""


def is_dicom(path: Path) -> bool:
    """Whether a file has the DICOM preamble.

    Raises:
        InputError: NO_INPUT if the file cannot be read at all.
    """
    try:
        with path.open("rb") as file:
            return file.read(PREAMBLE_BYTES + len(MAGIC))[PREAMBLE_BYTES:] == MAGIC
    except OSError as error:
        raise InputError(
            RefusalCode.NO_INPUT,
            f"the file must be readable, opening it ended in {type(error).__name__}",
            path,
        ) from None


def read_header(path: Path, *, keywords: Sequence[str] | None = None) -> Dataset:
    """Read the public attributes of a DICOM file, without its pixels.

    Args:
        path: DICOM file.
        keywords: Attributes to read; all where not given.
    Returns: The dataset with its ``file_meta``; attributes with malformed bytes are left out.
    Raises:
        InputError: If the file is not DICOM (NOT_DICOM), cannot be parsed (TRUNCATED), or is
            larger than 256 MiB, 2 GiB where it is a multi-frame CT, or 64 MiB inflated (TOO_LARGE).
    """
    return _parse(path, keywords, has_pixels=False)


def read_instance(path: Path, *, keywords: Sequence[str] | None = None) -> Dataset:
    """Read a DICOM file with its pixels; otherwise as ``read_header``."""
    return _parse(path, keywords, has_pixels=True)


def text(header: Dataset, keyword: str) -> str | None:
    """An attribute as printable text, several values joined by a space; None if empty."""
    joined = " ".join(_printable(value) for value in _values(header, keyword))
    return joined.strip() or None


def words(header: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of an attribute as printable upper-case text; empty if it is absent."""
    return tuple(_printable(value).upper() for value in _values(header, keyword))


def numbers(header: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """The finite numbers of an attribute; None unless there are exactly ``count``."""
    try:
        found = tuple(float(str(value)) for value in _values(header, keyword))
    except ValueError:
        return None
    return found if len(found) == count and all(map(math.isfinite, found)) else None


def number(header: Dataset, keyword: str) -> float | None:
    """The finite number of an attribute; None if it is absent or malformed."""
    found = numbers(header, keyword, 1)
    return None if found is None else found[0]


def _values(header: Dataset, keyword: str) -> list[object]:
    """The values of an attribute; none if it is absent or empty."""
    value = header.get(keyword)
    if isinstance(value, MultiValue):
        return list(value)
    return [] if value is None or value == "" else [value]


def _printable(value: object) -> str:
    """A value as text that is safe in a message: no line breaks, no terminal codes."""
    return "".join(letter for letter in str(value) if letter.isprintable()).strip()


def _parse(path: Path, keywords: Sequence[str] | None, *, has_pixels: bool) -> Dataset:
    _check_bytes(path, MAX_MULTI_FRAME_BYTES)
    try:
        with _PARSING, disable_value_validation(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", _CHARACTER_SET, UserWarning)
            meta = read_file_meta_info(path)
            if meta.get("MediaStorageSOPClassUID") not in MULTI_FRAME_CLASSES:
                _check_bytes(path, MAX_FILE_BYTES)
            if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
                dataset = _read_deflated(path, has_pixels=has_pixels)
                dataset.file_meta = meta
            else:
                dataset = pydicom.dcmread(
                    path,
                    stop_before_pixels=not has_pixels,
                    specific_tags=None if keywords is None else _tags(tuple(keywords)),
                )
            _check_length(dataset)
            _settle(dataset)
    except InvalidDicomError:
        raise InputError(
            RefusalCode.NOT_DICOM, "the file must have a DICOM preamble, it has none", path
        ) from None
    except (*UNREADABLE, OSError) as error:
        raise InputError(
            RefusalCode.TRUNCATED,
            f"the DICOM header must be complete, parsing it ended in {type(error).__name__}",
            path,
        ) from None
    return dataset


@lru_cache
def _tags(keywords: tuple[str, ...]) -> list[BaseTag]:
    return [Tag(keyword) for keyword in keywords]


def _check_bytes(path: Path, most: int) -> None:
    size = path.stat().st_size
    if size > most:
        reason = f"a file must not be larger than {most} bytes, got {size}"
        raise InputError(RefusalCode.TOO_LARGE, reason, path)


def _check_length(dataset: Dataset) -> None:
    """Refuse pixel data that ends before the length it says: pydicom takes what there is."""
    found = dataset.get_item(PIXEL_DATA) if PIXEL_DATA in dataset else None
    if (
        isinstance(found, RawDataElement)
        and found.length != UNDEFINED_LENGTH
        and found.value is not None
        and len(found.value) < found.length
    ):
        raise EOFError


def _settle(dataset: Dataset) -> None:
    """Convert every public attribute now, while validation is off; drop malformed and private."""
    for tag in list(dataset.keys()):
        if tag.is_private:
            del dataset[tag]
            continue
        try:
            element = dataset[tag]
            for item in element.value if element.VR == "SQ" else ():
                _settle(item)
        except UNREADABLE:
            logger.debug("attribute %s is malformed and was left out", tag)
            dataset.pop(tag)


def _read_deflated(path: Path, *, has_pixels: bool) -> Dataset:
    """Inflate a deflated dataset (PS3.5 section A.5) within the bound, then parse it."""
    content = path.read_bytes()
    (group_length,) = struct.unpack_from("<I", content, META_GROUP_LENGTH_END - 4)
    deflated = content[META_GROUP_LENGTH_END + group_length :]
    _check_inflation(deflated, path)
    inflated = zlib.decompress(deflated, -zlib.MAX_WBITS)
    return read_dataset(
        BytesIO(inflated),
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=None if has_pixels else _is_pixels,
    )


def _check_inflation(deflated: bytes, path: Path) -> None:
    """Inflate piece by piece and keep nothing, so that a bomb fills no memory."""
    inflator = zlib.decompressobj(-zlib.MAX_WBITS)
    total, rest = 0, deflated
    while rest and not inflator.eof:
        total += len(inflator.decompress(rest, PIECE_BYTES))
        rest = inflator.unconsumed_tail
        if total > MAX_INFLATED_BYTES:
            raise InputError(
                RefusalCode.TOO_LARGE,
                f"a deflated file must not inflate to more than {MAX_INFLATED_BYTES} bytes, it "
                "does",
                path,
            )
    if not inflator.eof:
        raise EOFError


def _is_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag in PIXEL_TAGS
