"""One vertebra as an implicit solid: a body between two endplates, and an arch of capsules.

Local coordinates are (u, v, w) in millimetres: u to the left, v to the back, w to the head, with
the origin at the centre of the body.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.arch import Capsule
from osteoscreen.phantom.field import Array, SmoothField

RIM_MM = 3.0
"""Height over which an osteophyte fades away from the endplate."""
SUBCHONDRAL_MM = 2.5
"""Decay of the dense bone under an endplate."""
TEXTURE_PITCH_MM = (2.8, 1.3)
"""Coarse and fine grain of trabecular bone as a clinical CT shows it."""


@dataclass(frozen=True)
class Osteophyte:
    """A spur on the rim of one endplate.

    Args:
        angle: Where on the rim, radians from left (0) to back (pi / 2).
        size_mm: Size; it stands out by about four fifths of that.
        upper: Whether it grows on the upper endplate.
    """

    angle: float
    size_mm: float
    upper: bool


@dataclass(frozen=True, eq=False)
class Vertebra:
    """One vertebra of one patient, in place.

    Args:
        level: Name, such as ``"L3"``.
        centre_mm: Centre of the body (x, y, z) in the patient frame.
        axes: Rotation, rows are the local axes u, v, w in the patient frame.
        width_mm, depth_mm, height_mm: Size of the body.
        exponent: Superellipse exponent of the outline.
        notch: Depth of the concave back wall, share of the half depth.
        waist: Narrowing at mid-height, share of the radius.
        concavity_mm: Dip of the endplates in their middle.
        disc_mm: Thickness of the disc below.
        trabecular_hu: Mean attenuation inside at 120 kVp.
        endplate_mm: Thickness of the endplates.
        sclerosis_hu: Extra attenuation right under the endplates.
        arch: Posterior elements; empty for the sacrum's body.
        osteophytes: Spurs on the rims.
        texture: Trabecular grain in local coordinates, coarse and fine.
    """

    level: str
    centre_mm: tuple[float, float, float]
    axes: Array
    width_mm: float
    depth_mm: float
    height_mm: float
    exponent: float
    notch: float
    waist: float
    concavity_mm: float
    disc_mm: float
    trabecular_hu: float
    endplate_mm: float
    sclerosis_hu: float
    arch: tuple[Capsule, ...]
    osteophytes: tuple[Osteophyte, ...]
    texture: tuple[Array, Array]

    def local(self, x: Array, y: Array, z_mm: float) -> tuple[Array, Array, Array]:
        """Turn patient coordinates of one axial plane into local coordinates.

        Args:
            x: Left coordinate in mm, any shape that agrees with ``y``.
            y: Back coordinate in mm.
            z_mm: Height of the plane.
        Returns: Local (u, v, w) in mm.
        """
        dx, dy = x - np.float32(self.centre_mm[0]), y - np.float32(self.centre_mm[1])
        dz = np.float32(z_mm - self.centre_mm[2])
        rows = [axis[0] * dx + axis[1] * dy + axis[2] * dz for axis in self.axes]
        return rows[0], rows[1], rows[2]

    def outline(self, u: Array, v: Array, w: Array) -> tuple[Array, Array]:
        """Measure where points lie between the axis of the body and its side wall.

        Args:
            u: Local left in mm.
            v: Local back in mm, of the same shape.
            w: Local head in mm, of the same shape.
        Returns: The relative radius, 1 on the wall, and the depth below it in mm, measured along
            the radius and negative outside.
        """
        squeeze = 1 - self.waist * (1 - np.minimum((2 * w / self.height_mm) ** 2, 1))
        half_width = np.float32(self.width_mm / 2) * squeeze
        dent = 1 - np.float32(self.notch) * np.exp(-((u / (0.24 * self.width_mm)) ** 2))
        half_depth = np.float32(self.depth_mm / 2) * squeeze * np.where(v > 0, dent, 1)
        relative = (
            np.abs(u / half_width) ** self.exponent + np.abs(v / half_depth) ** self.exponent
        ) ** np.float32(1 / self.exponent)
        distance = np.hypot(u, v)
        for spur in self.osteophytes:
            relative = relative / (1 + self._spur(spur, u, v, w) / np.maximum(distance, 8))
        return relative, distance * (1 / np.maximum(relative, 1e-3) - 1)

    def _spur(self, spur: Osteophyte, u: Array, v: Array, w: Array) -> Array:
        turn = np.arctan2(v, u) - np.float32(spur.angle)
        turn = (turn + np.pi) % (2 * np.pi) - np.pi
        rim = self.height_mm / 2 if spur.upper else -self.height_mm / 2
        return np.asarray(
            spur.size_mm * np.exp(-((turn / 0.35) ** 2) - ((w - rim) / RIM_MM) ** 2), np.float32
        )

    def endplate_depth(self, relative: Array, w: Array) -> Array:
        """Return the depth below the nearer endplate in mm; negative in the disc.

        Args:
            relative: Relative radius of ``outline``: the endplates dip towards the middle.
            w: Local height in mm.
        """
        dip = self.concavity_mm * (1 - np.minimum(relative, 1) ** 2)
        return np.asarray(self.height_mm / 2 - dip - np.abs(w), dtype=np.float32)

    def body(self, local: tuple[Array, Array, Array], shell: Array, cortex_hu: float) -> Array:
        """Return the attenuation of the body.

        Args:
            local: Coordinates (u, v, w), each of shape (rows, columns).
            shell: Cortex thickness in mm at each place.
            cortex_hu: Attenuation of compact bone.
        Returns: HU at 120 kVp, shape (rows, columns); NaN outside the body.
        """
        u, v, w = local
        relative, wall_depth = self.outline(u, v, w)
        plate_depth = self.endplate_depth(relative, w)
        inside = (relative < 1) & (plate_depth > 0)
        hu = np.full(u.shape, np.nan, np.float32)
        if not inside.any():
            return hu
        depth = plate_depth[inside]
        values = self.trabecular_hu + self.grain(u[inside], v[inside], w[inside])
        values += self.sclerosis_hu * np.exp(-depth / SUBCHONDRAL_MM)
        values -= 45 * self._vein(u[inside], v[inside], w[inside])
        values = np.where(depth < self.endplate_mm, 0.6 * cortex_hu, values)
        values = np.where(wall_depth[inside] < shell[inside], cortex_hu, values)
        hu[inside] = values
        return hu

    def _vein(self, u: Array, v: Array, w: Array) -> Array:
        """Basivertebral vein: a dark funnel from the middle to the back wall at mid-height."""
        towards_back = np.clip(v / (self.depth_mm / 2), 0, 1)
        return np.asarray(np.exp(-((u / 5) ** 2) - (w / 2.5) ** 2) * towards_back, dtype=np.float32)

    def grain(self, u: Array, v: Array, w: Array) -> Array:
        """Return the trabecular texture at points inside the body.

        Args:
            u: Local left in mm.
            v: Local back in mm, of the same shape.
            w: Local head in mm, of the same shape.
        Returns: HU around zero, of that shape; beyond the lattice the edge goes on.
        """
        total = np.zeros(u.shape, np.float32)
        for lattice, pitch_mm in zip(self.texture, TEXTURE_PITCH_MM):
            middle = (np.array(lattice.shape) - 1) / 2
            index = [
                np.clip(np.rint(axis / pitch_mm + centre), 0, size - 1).astype(np.int32)
                for axis, centre, size in zip((w, v, u), middle, lattice.shape)
            ]
            total += lattice[index[0], index[1], index[2]]
        return total


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
