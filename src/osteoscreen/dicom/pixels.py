"""Pixel data of CT slices: what is accepted, which library decodes it, and the way to HU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame, parse_basic_offsets
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from osteoscreen.dicom.frame import Frame
from osteoscreen.dicom.header import UNREADABLE, number, read_instance, text, words
from osteoscreen.errors import InputError, RefusalCode

AIR_HU = -1024.0
"""HU given to pixels outside the scanned circle (PixelPaddingValue): air on the 12-bit CT scale."""

MAX_PIXELS_PER_SIDE = 4096
"""The largest matrix of any CT scanner is 2048 (photon counting); twice that is refused."""

BYTES_PER_PIXEL = 2

NATIVE = ""
DECODERS: dict[UID, str] = {
    ImplicitVRLittleEndian: NATIVE,
    ExplicitVRLittleEndian: NATIVE,
    ExplicitVRBigEndian: NATIVE,
    DeflatedExplicitVRLittleEndian: NATIVE,
    RLELossless: "pydicom",
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    JPEG2000Lossless: "gdcm",
    JPEG2000: "gdcm",
    HTJ2KLossless: "pylibjpeg",
    HTJ2KLosslessRPCL: "pylibjpeg",
}
"""The decoder of each transfer syntax, pinned so that a result never depends on what else is
installed. JPEG Extended (12 bits with loss) has no decoder under a permissive licence; JPEG
Baseline holds 8 bits, which are no HU."""

LOSSY_SYNTAXES = frozenset({JPEGLSNearLossless, JPEG2000})
"""Syntaxes that may have lost detail; a slice in one is read with a reservation."""

START_OF_SCAN = b"\xff\xda"
"""Marker of a JPEG-LS scan header: marker, length, components, two bytes each, NEAR."""

DECODER_ERRORS = (*UNREADABLE, RuntimeError, MemoryError)
"""What pydicom and its decoders raise on damaged pixel data."""


PIXEL_KEYWORDS = (
    "BitsAllocated",
    "BitsStored",
    "Columns",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "HighBit",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "PixelData",
    "PixelPaddingRangeLimit",
    "PixelPaddingValue",
    "PixelRepresentation",
    "PlanarConfiguration",
    "Rows",
    "SamplesPerPixel",
)
"""What decoding needs of a file; the rest of its header was read before."""


def check_pixels(header: Dataset, source: Path) -> None:
    """Refuse, before decoding, pixels that are too large, not decodable or not HU.

    Raises:
        InputError: TOO_LARGE, UNSUPPORTED_SYNTAX, NOT_HU, NO_HU or TRUNCATED.
    """
    _check_size(header, source)
    syntax = transfer_syntax(header)
    plugin = DECODERS.get(syntax)
    if plugin is None or (plugin and plugin not in get_decoder(syntax).available_plugins):
        known = syntax.name if syntax else "none"
        raise InputError(
            RefusalCode.UNSUPPORTED_SYNTAX,
            f"the transfer syntax must be one that can be decoded here, got {known}",
            source,
        )
    _check_sample(header, source)
    _rescale(header, source)


def transfer_syntax(header: Dataset) -> UID:
    """The transfer syntax of a file as read; empty if its meta header has none."""
    return UID(str(header.file_meta.get("TransferSyntaxUID", "")))


def is_lossy(header: Dataset) -> bool:
    """Whether the image was compressed with loss, now or at any time before."""
    return transfer_syntax(header) in LOSSY_SYNTAXES or "01" in words(
        header, "LossyImageCompression"
    )


def lossy_error_hu(instance: Dataset, header: Dataset, frame: Frame) -> float | None:
    """Largest error that near-lossless compression made, HU; ``None`` where it is not told.

    JPEG-LS writes into the scan by how much a stored value may be off (ISO/IEC 14495-1, C.2.3:
    parameter NEAR). Other lossy syntaxes tell nothing of the kind.

    Args:
        instance: File with its pixels.
        header: Of the slice.
        frame: Where the slice is stored in it.
    """
    if transfer_syntax(instance) != JPEGLSNearLossless:
        return None
    data = get_frame(instance.PixelData, frame.index, number_of_frames=_frames(instance))
    scan = data.find(START_OF_SCAN)
    components = data[scan + 4] if 0 <= scan < len(data) - 4 else 0
    near_at = scan + 5 + 2 * components
    if components != 1 or near_at >= len(data):
        return None
    slope, _ = _rescale(header, frame.source)
    return float(data[near_at] * abs(slope))


def read_pixels(path: Path) -> Dataset:
    """Read a file with the pixels of all its slices, which passed ``check_pixels``.

    Raises:
        InputError: TRUNCATED if there are fewer pixels than the frames need, or more frames.
    """
    instance = read_instance(path, keywords=PIXEL_KEYWORDS)
    frames = _frames(instance)
    one = int(instance.Rows) * int(instance.Columns) * BYTES_PER_PIXEL
    data = instance.get("PixelData") or b""
    if not transfer_syntax(instance).is_encapsulated:
        if len(data) < one * frames:
            reason = f"the pixel data must hold {one * frames} bytes, got {len(data)}"
            raise InputError(RefusalCode.TRUNCATED, reason, path)
        found = len(data) // one
        instance.PixelData = data[: one * frames]
    else:
        found = _offsets(data) or frames
    if frames > 1 and found != frames:
        reason = f"the pixel data must hold {frames} frames, got {found}"
        raise InputError(RefusalCode.TRUNCATED, reason, path)
    return instance


def read_hu(instance: Dataset, header: Dataset, frame: Frame) -> NDArray[np.float32]:
    """Decode one slice and convert it to HU.

    Its own rescale slope and intercept apply. Padding pixels become -1024 HU; nothing else is
    clipped.

    Args:
        instance: What ``read_pixels`` gave.
        header: Of the slice.
        frame: Where the slice is stored.
    Returns: HU, axes (row, column).
    Raises:
        InputError: If the pixel data cannot be decoded (TRUNCATED).
    """
    stored = _decode(instance, frame)
    slope, intercept = _rescale(header, frame.source)
    exact = stored.astype(np.float64)
    exact *= slope
    exact += intercept
    hu = exact.astype(np.float32)
    padding = _padding(instance)
    if padding is not None:
        hu[(stored >= padding[0]) & (stored <= padding[1])] = AIR_HU
    return hu


def _frames(instance: Dataset) -> int:
    """Number of frames that a file has."""
    return int(number(instance, "NumberOfFrames") or 1)


def _offsets(data: bytes) -> int:
    """Number of frames in the offset table of encapsulated pixel data; 0 if it is left empty."""
    try:
        return len(parse_basic_offsets(data))
    except DECODER_ERRORS:
        return 0  # decoding tells what is wrong


def _decode(instance: Dataset, frame: Frame) -> NDArray[np.integer]:
    syntax = transfer_syntax(instance)
    try:
        stored, _ = get_decoder(syntax).as_array(
            instance, raw=True, index=frame.index, decoding_plugin=DECODERS[syntax]
        )
    except DECODER_ERRORS as error:
        raise InputError(
            RefusalCode.TRUNCATED,
            f"the pixel data must be complete, decoding it ended in {type(error).__name__}",
            frame.source,
        ) from None
    return np.asarray(stored)


def _padding(instance: Dataset) -> tuple[float, float] | None:
    """The lowest and highest stored padding value (PS3.3 section C.7.5.1.1.2), if any."""
    value = number(instance, "PixelPaddingValue")
    if value is None:
        return None
    limit = number(instance, "PixelPaddingRangeLimit")
    ends = [_as_stored(end, instance) for end in (value, value if limit is None else limit)]
    return min(ends), max(ends)


def _as_stored(value: float, instance: Dataset) -> float:
    """Read a 16-bit padding value as signed or unsigned, as the pixels are."""
    if int(instance.PixelRepresentation) == 1:
        return value - 2**16 if value >= 2**15 else value
    return value + 2**16 if value < 0 else value


def _check_size(header: Dataset, source: Path) -> None:
    rows, columns = number(header, "Rows"), number(header, "Columns")
    if not rows or not columns:
        raise InputError(
            RefusalCode.TRUNCATED, "rows and columns must be given and not zero", source
        )
    if max(rows, columns) > MAX_PIXELS_PER_SIDE:
        raise InputError(
            RefusalCode.TOO_LARGE,
            f"a slice must not have more than {MAX_PIXELS_PER_SIDE} rows or columns, "
            f"got {rows:.0f} x {columns:.0f}",
            source,
        )


def _check_sample(header: Dataset, source: Path) -> None:
    """Refuse all but one unsigned or signed 16-bit grey sample a pixel."""
    photometric = text(header, "PhotometricInterpretation")
    samples, allocated, stored, high, representation = (
        number(header, keyword)
        for keyword in (
            "SamplesPerPixel",
            "BitsAllocated",
            "BitsStored",
            "HighBit",
            "PixelRepresentation",
        )
    )
    if photometric != "MONOCHROME2" or samples != 1:
        reason = f"a CT slice must be MONOCHROME2 with 1 sample, got {photometric}, {samples}"
    elif allocated != 16:
        reason = f"a CT slice must have 16 bits allocated, got {allocated}"
    elif stored is None or not 1 <= stored <= allocated:
        reason = f"bits stored must not exceed the {allocated:.0f} allocated, got {stored}"
    elif high != stored - 1:
        reason = f"the high bit must be the last of the {stored:.0f} stored, got {high}"
    elif representation not in (0, 1):
        reason = f"pixel representation must be 0 or 1, got {representation}"
    else:
        return
    raise InputError(RefusalCode.NOT_HU, reason, source)


def _rescale(header: Dataset, source: Path) -> tuple[float, float]:
    """The linear way from stored values to HU (PS3.3 section C.8.2.1): slope and intercept."""
    slope, intercept = number(header, "RescaleSlope"), number(header, "RescaleIntercept")
    if slope is None or intercept is None or slope == 0:
        raise InputError(
            RefusalCode.NO_HU,
            f"rescale slope and intercept must be given, the slope not 0, "
            f"got {slope} and {intercept}",
            source,
        )
    unit = text(header, "RescaleType")
    if unit is not None and unit.upper() != "HU":
        raise InputError(RefusalCode.NOT_HU, f"rescale type must be HU, got {unit}", source)
    return slope, intercept
