"""The surface of bones: a compact shell over cancellous bone, painted with partial pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.field import Array, SmoothField

SHELL_SPREAD = 0.35
"""Spread of the logarithm of the shell's thickness along the surface."""


CANCELLOUS_SPREAD_HU = 30.0
"""Spread of the patches of cancellous bone outside the vertebral bodies."""


@dataclass(frozen=True, eq=False)
class BoneSurface:
    """What all bones of a patient share.

    Args:
        cortex_mm: Mean thickness of the cortex.
        cortex_hu: Attenuation of compact bone at 120 kVp.
        cancellous_hu: Attenuation inside arches, ribs and pelvis at 120 kVp.
        roughness: Field that varies the cortex along the surface.
        body_wall: Share of the cortex that the walls of the bodies have: many real bodies show
            hardly any rim.
    """

    cortex_mm: float
    cortex_hu: float
    cancellous_hu: float
    roughness: SmoothField
    body_wall: float

    def shell_mm(self, noise: Array, share: float = 1.0) -> Array:
        """Return the thickness of the cortex at each place.

        Args:
            noise: Unit field that varies it.
            share: Mean thickness against ``cortex_mm``.
        """
        thickness = np.float32(self.cortex_mm * share) * np.exp(np.float32(SHELL_SPREAD) * noise)
        return np.asarray(thickness, np.float32)

    def cancellous(self, noise: Array) -> Array:
        """Return the attenuation inside arches, ribs and pelvis at each place.

        Args:
            noise: Unit field that varies it.
        """
        return np.asarray(
            np.float32(self.cancellous_hu) - np.float32(CANCELLOUS_SPREAD_HU) * noise, np.float32
        )


def covered(depth_mm: Array, pixel_mm: float) -> Array:
    """Return the share of each pixel that lies below a surface.

    Args:
        depth_mm: Depth of the pixel's centre, negative outside.
        pixel_mm: Size of a pixel.
    Returns: 0 outside to 1 inside; exact where the surface is flat on the scale of a pixel.
    """
    return np.asarray(np.clip(0.5 + depth_mm / np.float32(pixel_mm), 0, 1), np.float32)


def paint_bone(
    hu: Array, depth_mm: Array, shell_mm: Array, pixel_mm: float, hus: tuple[float, Array | float]
) -> None:
    """Paint a bone into an image, in place.

    Args:
        hu: What lies below, any shape.
        depth_mm: Depth below the bone's surface, same shape.
        shell_mm: Thickness of its cortex, same shape.
        pixel_mm: Size of a pixel: thinner shells are as bright as their share of a pixel.
        hus: Attenuation of cortex and of what is inside, a number or an array.
    """
    cortex_hu, inner_hu = hus
    whole = covered(depth_mm, pixel_mm)
    inner = covered(depth_mm - shell_mm, pixel_mm)
    hu *= 1 - whole
    hu += (whole - inner) * np.float32(cortex_hu) + inner * inner_hu
