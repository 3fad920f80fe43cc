"""What a convolution kernel does to an image, as far as its name tells."""

from __future__ import annotations

import re
from enum import IntEnum

SHARP_KERNELS = re.compile(
    r"""
    ^(B|I|H|U|T)[a-z]?([6-9]\d)   # Siemens B60 to B90, I70, Br64, Hr68: from 60 on sharp
    | ^Bl\d\d                      # Siemens lung
    | BONE | LUNG | EDGE | DETAIL | ULTRA | SHARP | ^HD   # GE
    | ^(D|E|L|YA|YB|YC|YD)$        # Philips
    | ^FC(3\d|5\d|8\d)           # Canon
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Names of kernels for bone and lung, which sharpen and shift attenuation (vendors' manuals)."""


class Kernel(IntEnum):
    """How a kernel renders, as far as its name tells; the better the higher."""

    SHARP = 0
    UNKNOWN = 1
    SOFT = 2


def kernel_of(name: str) -> Kernel:
    """Read how a kernel renders from its name; several names are rated by the first."""
    first = name.split()[0] if name.split() else ""
    if not first:
        return Kernel.UNKNOWN
    return Kernel.SHARP if SHARP_KERNELS.search(first) else Kernel.SOFT
