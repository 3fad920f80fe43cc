"""The body of one vertebra as an implicit solid between two endplates.

Local coordinates are (u, v, w) in millimetres: u to the left, v to the back, w to the head, with
the origin at the centre of the body.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from osteoscreen.phantom.capsule import Capsule, Frame
from osteoscreen.phantom.field import Array

LIP_FROM, LIP_OVER = 0.72, 0.2
"""Relative radius at which the lip of a spur begins to rise, and the way to its full height."""
SUBCHONDRAL_MM = 2.5
"""Decay of the dense bone under an endplate."""
LESION_EDGE_MM = 1.0
"""Over which a lesion fades into the bone around it."""
TEXTURE_PITCH_MM = (9.0, 2.6, 1.2)
"""Patches of marrow, then the coarse and the fine grain of trabeculae as clinical CT shows them."""
TEXTURE_STRETCH = 2.2
"""Trabeculae are longer along the load: pitch along w against the pitch across."""
AXIS_MM = 0.1
"""Distance from the axis of the body below which a point counts as that far away."""
VEIN_HU, VEIN_SHARE, VEIN_MM, VEIN_TALL_MM = 25.0, 0.6, 1.6, 3.0
"""Basivertebral vein: blood and fat, and its share where it is fullest; half width of its branches
and half height."""

Local = tuple[Array, Array, Array]


@dataclass(frozen=True)
class Osteophyte:
    """A spur on the rim of one endplate.

    Args:
        angle: Where on the rim, radians from left (0) to back (pi / 2).
        size_mm: How far it stands out.
        is_upper: Whether it grows on the upper endplate.
        breadth: Over which angle it fades to the sides, radians.
        tall_mm: Over which height it fades away from the endplate.
        lip_mm: How far it grows over the endplate towards the next vertebra.
        dense_hu: How much denser its bone is than the inside of the body.
    """

    angle: float
    size_mm: float
    is_upper: bool
    breadth: float = 0.35
    tall_mm: float = 3.0
    lip_mm: float = 0.0
    dense_hu: float = 0.0


@dataclass(frozen=True)
class Node:
    """A Schmorl's node: the disc has pushed into the endplate.

    Args:
        u_mm, v_mm: Where, from the axis of the body.
        radius_mm: Distance from its middle at which a share of 1/e of the dip is left.
        depth_mm: Dip in its middle.
    """

    u_mm: float
    v_mm: float
    radius_mm: float
    depth_mm: float

    def dip(self, u: Array, v: Array) -> Array:
        """Return how much lower the endplate is at each place, mm."""
        away = (u - np.float32(self.u_mm)) ** 2 + (v - np.float32(self.v_mm)) ** 2
        dip = np.float32(self.depth_mm) * np.exp(-away / np.float32(self.radius_mm**2))
        return np.asarray(dip, np.float32)


@dataclass(frozen=True)
class Lesion:
    """A ball of denser or thinner bone inside a body, such as a bone island.

    Args:
        centre_mm: Its middle in local coordinates (u, v, w).
        radius_mm: Its radius.
        change_hu: How much denser it is than the bone around it, at 120 kVp.
    """

    centre_mm: tuple[float, float, float]
    radius_mm: float
    change_hu: float

    def added_hu(self, local: Local) -> Array:
        """Return what it adds at each point."""
        squared = [(axis - np.float32(mid)) ** 2 for axis, mid in zip(local, self.centre_mm)]
        depth = np.float32(self.radius_mm) - np.sqrt(squared[0] + squared[1] + squared[2])
        share = np.clip(depth / np.float32(LESION_EDGE_MM) + np.float32(0.5), 0, 1)
        return np.asarray(np.float32(self.change_hu) * share, np.float32)


@dataclass(frozen=True)
class Endplate:
    """One endplate as a height field over the body.

    Args:
        concavity_mm: Dip in the middle.
        front_mm: Loss of height at the front wall, linear to none at the back: a wedge.
        side_mm: Height that the right wall has more than the left one: half of it at each.
        thickness_mm: Thickness of its compact bone.
        sclerosis_hu: Extra attenuation right under it.
        sclerosis_mm: Depth at which a share of 1/e of that is left.
        lean: How much more of it there is at the left and at the back rim than in the middle,
            shares; as much less at the other rim, but never less than none.
        nodes: Schmorl's nodes.
    """

    concavity_mm: float
    front_mm: float
    side_mm: float
    thickness_mm: float
    sclerosis_hu: float
    sclerosis_mm: float = SUBCHONDRAL_MM
    lean: tuple[float, float] = (0.0, 0.0)
    nodes: tuple[Node, ...] = ()


@dataclass(frozen=True)
class BodyOutline:
    """Outline of a body in its own axial plane.

    Args:
        width_mm, depth_mm: Size at the endplates.
        exponent: Superellipse exponent.
        notch: Depth of the concave back wall, share of the half depth.
        waist: Narrowing at mid-height, share of the radius.
        waves: Amplitude and phase of each harmonic from the third on, shares of the radius.
    """

    width_mm: float
    depth_mm: float
    exponent: float
    notch: float
    waist: float
    waves: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Vertebra:
    """One vertebra of one patient, in place.

    Args:
        level: Name, such as ``"L3"``.
        frame: Centre of the body, and its axes.
        outline: Side walls of the body.
        height_mm: Distance of the rims of the endplates, before any loss.
        upper, lower: Endplates.
        disc_mm: Thickness of the disc below.
        trabecular_hu: Mean attenuation inside at 120 kVp.
        height_loss: Share of height lost by compression, 0 for an intact body.
        arch: Posterior elements.
        osteophytes: Spurs on the rims.
        texture: Variation of the attenuation in local coordinates: patches, coarse, fine grain.
        lesions: Balls of denser or thinner bone.
    """

    level: str
    frame: Frame
    outline: BodyOutline
    height_mm: float
    upper: Endplate
    lower: Endplate
    disc_mm: float
    trabecular_hu: float
    height_loss: float
    arch: tuple[Capsule, ...]
    osteophytes: tuple[Osteophyte, ...]
    texture: tuple[Array, ...]
    lesions: tuple[Lesion, ...] = ()

    @property
    def centre_mm(self) -> tuple[float, float, float]:
        """Centre of the body (x, y, z) in the patient frame."""
        return self.frame.centre_mm

    @property
    def width_mm(self) -> float:
        """Width of the body at its endplates."""
        return self.outline.width_mm

    @property
    def depth_mm(self) -> float:
        """Depth of the body at its endplates."""
        return self.outline.depth_mm

    @property
    def margins_mm(self) -> tuple[float, float]:
        """How far spurs reach beyond the rim at most: sideways, and towards the next vertebra."""
        spurs = self.osteophytes
        return sum(one.size_mm for one in spurs), max((one.lip_mm for one in spurs), default=0.0)

    def wall(self, local: Local) -> tuple[Array, Array]:
        """Measure where points lie between the axis of the body and its side wall.

        Args:
            local: Coordinates (u, v, w), each of one shape.
        Returns: The relative radius, 1 on the wall, and the depth below it in mm, negative
            outside.
        """
        u, v, w = local
        shape = self.outline
        squeeze = 1 - shape.waist * (1 - np.minimum((2 * w / self.height_mm) ** 2, 1))
        half_width = np.float32(shape.width_mm / 2) * squeeze
        dent = 1 - np.float32(shape.notch) * np.exp(-((u / (0.24 * shape.width_mm)) ** 2))
        half_depth = np.float32(shape.depth_mm / 2) * squeeze * np.where(v > 0, dent, 1)
        power = np.float32(shape.exponent)
        # exp(log) is three times faster than the power of a negative-free float32 array.
        terms = np.exp(power * np.log(np.abs(u / half_width) + 1e-6))
        terms += np.exp(power * np.log(np.abs(v / half_depth) + 1e-6))
        relative = np.exp(np.log(terms) / power)
        angle = np.arctan2(v, u)
        # On the axis itself the direction to the wall is undefined: stay beside it.
        distance = np.maximum(np.hypot(u, v), np.float32(AXIS_MM))
        swell = np.ones_like(relative)
        for order, (size, phase) in enumerate(shape.waves, start=3):
            swell += np.float32(size) * np.cos(order * angle + np.float32(phase))
        for spur in self.osteophytes:
            swell += self._spur(spur, angle, w) / np.maximum(distance, 8)
        relative = relative / swell
        nearest = np.float32(2 * AXIS_MM / shape.width_mm)
        return relative, distance * (1 / np.maximum(relative, nearest) - 1)

    def _spur(self, spur: Osteophyte, angle: Array, w: Array) -> Array:
        rim = self.height_mm / 2 if spur.is_upper else -self.height_mm / 2
        fade = np.exp(-(((w - rim) / spur.tall_mm) ** 2))
        return np.asarray(spur.size_mm * fade * beside(angle, spur.angle, spur.breadth), np.float32)

    def _lip(self, relative: Array, local: Local, *, is_upper: bool) -> Array:
        """Return how much higher spurs make the rim of an endplate, mm."""
        u, v, _ = local
        total = np.zeros_like(relative)
        grown = [one for one in self.osteophytes if one.lip_mm and one.is_upper == is_upper]
        if grown:
            angle = np.arctan2(v, u)
            rise = np.clip((relative - np.float32(LIP_FROM)) / np.float32(LIP_OVER), 0, 1)
            for spur in grown:
                total = np.maximum(
                    total, np.float32(spur.lip_mm) * rise * beside(angle, spur.angle, spur.breadth)
                )
        return total

    def plate_depth(self, plate: Endplate, relative: Array, local: Local) -> Array:
        """Return the depth below an endplate at the upper end in mm; negative in the disc.

        Args:
            plate: ``upper``, or ``lower`` with ``w`` turned around.
            relative: Relative radius of ``wall``: the endplates dip towards the middle.
            local: Coordinates (u, v, w).
        """
        u, v, w = local
        height = np.float32(self.height_mm / 2) - plate.concavity_mm * (
            1 - np.minimum(relative, 1) ** 2
        )
        height -= plate.front_mm * np.clip(0.5 - v / np.float32(self.depth_mm), 0, 1)
        height -= plate.side_mm * np.clip(u / np.float32(self.width_mm), -0.5, 0.5)
        for node in plate.nodes:
            height -= node.dip(u, v)
        return np.asarray(height - w, np.float32)

    def depths(self, local: Local) -> tuple[Array, Array, Array, Array]:
        """Return relative radius and the depth below the wall, the upper and the lower endplate."""
        u, v, w = local
        relative, wall = self.wall(local)
        upper = self.plate_depth(self.upper, relative, local)
        lower = self.plate_depth(self.lower, relative, (u, v, -w))
        upper += self._lip(relative, local, is_upper=True)
        lower += self._lip(relative, local, is_upper=False)
        return relative, wall, upper, lower

    def inside_hu(self, local: Local, plate_depths: tuple[Array, Array]) -> Array:
        """Return the attenuation of the cancellous bone.

        Args:
            local: Coordinates (u, v, w) of any one shape.
            plate_depths: Depth below the upper and the lower endplate in mm.
        Returns: HU at 120 kVp, of that shape.
        """
        hu = np.float32(self.trabecular_hu) + self.grain(local)
        for plate, depth in zip((self.upper, self.lower), plate_depths):
            hu += self._sclerosis(plate, local) * np.exp(-np.maximum(depth, 0) / plate.sclerosis_mm)
        hu += self._spur_hu(local)
        for lesion in self.lesions:
            hu += lesion.added_hu(local)
        vein = self.vein(local)
        return np.asarray(
            hu + vein * (np.float32(VEIN_HU) - hu) * np.float32(VEIN_SHARE), np.float32
        )

    def _sclerosis(self, plate: Endplate, local: Local) -> Array | float:
        """Return the extra attenuation right under an endplate at each place."""
        left, back = plate.lean
        if left == back == 0:
            return plate.sclerosis_hu
        u, v, _ = local
        more = np.float32(2 * left / self.width_mm) * u + np.float32(2 * back / self.depth_mm) * v
        return np.asarray(plate.sclerosis_hu * np.maximum(1 + more, 0), np.float32)

    def _spur_hu(self, local: Local) -> Array:
        """Return what dense spurs add: all of it beyond the plain rim, less just inside."""
        u, v, w = local
        total = np.zeros(u.shape, np.float32)
        dense = [one for one in self.osteophytes if one.dense_hu]
        if dense:
            angle = np.arctan2(v, u)
            rim = np.hypot(2 * u / np.float32(self.width_mm), 2 * v / np.float32(self.depth_mm))
            outer = np.clip((rim - np.float32(0.75)) / np.float32(0.2), 0, 1)
            for spur in dense:
                share = self._spur(spur, angle, w) / np.float32(spur.size_mm)
                total = np.maximum(total, np.float32(spur.dense_hu) * outer * np.sqrt(share))
        return total

    def vein(self, local: Local) -> Array:
        """Return the share of each point in the basivertebral vein, 0 to 1.

        A stem from the middle of the back wall, and two branches towards the front corners, at
        mid-height.
        """
        u, v, w = local
        half_depth, half_width = self.depth_mm / 2, self.width_mm / 2
        fork = np.float32(0.1 * half_depth)
        stem = np.hypot(u, np.minimum(v - fork, 0))
        slope = np.float32(0.8 * half_depth / half_width)
        aside = np.abs(u)
        branch = np.hypot(
            (v - fork + slope * aside) * np.float32(1 / np.hypot(1, slope)),
            np.maximum(aside - np.float32(0.55 * half_width), 0),
        )
        nearest = np.minimum(stem / (1 + np.clip(v / half_depth, 0, 1)), 1.3 * branch)
        return np.asarray(np.exp(-((nearest / VEIN_MM) ** 2) - (w / VEIN_TALL_MM) ** 2), np.float32)

    def grain(self, local: Local) -> Array:
        """Return the trabecular texture at points inside the body.

        Args:
            local: Coordinates (u, v, w), each of one shape.
        Returns: HU around zero, of that shape; beyond the lattice the edge goes on.
        """
        u, v, w = local
        total = np.zeros(u.shape, np.float32)
        for lattice, pitch_mm in zip(self.texture, TEXTURE_PITCH_MM):
            pitches = (pitch_mm * TEXTURE_STRETCH, pitch_mm, pitch_mm)
            index = [
                axis / pitch + (size - 1) / 2
                for axis, pitch, size in zip((w, v, u), pitches, lattice.shape)
            ]
            total += ndimage.map_coordinates(lattice, index, order=1, mode="nearest")
        return total


def beside(angle: Array, middle: float, breadth: float) -> Array:
    """Return the share of a feature of the rim that is left at each direction: 1 in its middle.

    Args:
        angle: Directions, radians.
        middle: Direction of its middle.
        breadth: Over which angle it fades to the sides.
    """
    turn = (angle - np.float32(middle) + np.pi) % (2 * np.pi) - np.pi
    return np.asarray(np.exp(-((turn / breadth) ** 2)), np.float32)
