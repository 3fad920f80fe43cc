"""The arch of a vertebra: pedicles, laminae and processes as capsules, and the sacrum's wings.

Local coordinates are those of the vertebra: (u, v, w) in millimetres, left, back and head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.field import Array

PEDICLE_WIDTH_MM = {
    "T10": 6.0, "T11": 7.0, "T12": 7.0, "L1": 6.5, "L2": 7.5, "L3": 9.0, "L4": 11.0, "L5": 14.0,
}  # fmt: skip
"""Pedicle width 6.5 to 14 mm from L1 to L5, chosen to look right beside public CT."""

Place = tuple[float, float, float]


@dataclass(frozen=True)
class Capsule:
    """A segment with an elliptic radius, in local coordinates.

    Args:
        start, end: Ends of the segment (u, v, w), mm.
        radius: Half axes (u, v, w) of the ellipsoid swept along it, mm.
    """

    start: Place
    end: Place
    radius: Place

    def depth(self, local: tuple[Array, Array, Array]) -> Array:
        """Return the depth below the surface in mm; negative outside.

        Args:
            local: Coordinates (u, v, w), each of one shape.
        Returns: Depth of that shape; exact on the surface and along the thinnest direction.
        """
        radius = np.array(self.radius, np.float32)
        axis = (np.array(self.end, np.float32) - np.array(self.start, np.float32)) / radius
        q = [(local[i] - np.float32(self.start[i])) / radius[i] for i in range(3)]
        along = (q[0] * axis[0] + q[1] * axis[1] + q[2] * axis[2]) / np.float32(axis @ axis + 1e-6)
        np.clip(along, 0, 1, out=along)
        square = sum((q[i] - along * axis[i]) ** 2 for i in range(3))
        return np.asarray((1 - np.sqrt(square)) * radius.min(), dtype=np.float32)

    def bounds(self) -> tuple[tuple[float, float], ...]:
        """Return the lowest and highest coordinate along each local axis, mm."""
        return tuple(
            (min(a, b) - r, max(a, b) + r) for a, b, r in zip(self.start, self.end, self.radius)
        )


def draw_arch(
    rng: np.random.Generator, level: str, depth_mm: float, height_mm: float
) -> tuple[Capsule, ...]:
    """Draw the posterior elements of one vertebra.

    Args:
        rng: Source of every draw.
        level: Name, such as ``"L3"``; ``"S1"`` has wings instead, which are not drawn at random.
        depth_mm: Depth of the body: the arch begins at its back wall.
        height_mm: Height of the body: the joints reach beyond it.
    Returns: The parts, in local coordinates of the vertebra.
    """
    if level == "S1":
        return _sacral_wings(depth_mm)
    size = _draw_size(rng, level, depth_mm, height_mm)
    middle = size.middle
    spinous = Capsule(
        middle,
        (0, size.back + size.canal_deep + size.spinous, middle[2] + size.slope),
        (rng.uniform(2.4, 3.8), 4.5, rng.uniform(7, 10)),
    )
    return (spinous, *_draw_side(rng, size, -1), *_draw_side(rng, size, 1))


@dataclass(frozen=True)
class _Size:
    """Measures of one arch, mm."""

    height: float
    back: float
    pedicle: float
    canal_half: float
    canal_deep: float
    lamina: float
    transverse: float
    spinous: float
    slope: float
    facet: float

    @property
    def middle(self) -> Place:
        """Where the laminae meet."""
        return (0.0, self.back + self.canal_deep + self.lamina, -0.15 * self.height)


def _draw_size(rng: np.random.Generator, level: str, depth: float, height: float) -> _Size:
    is_thoracic = level.startswith("T")
    return _Size(
        height=height,
        back=depth / 2,
        pedicle=PEDICLE_WIDTH_MM[level] * rng.normal(1, 0.08),
        canal_half=rng.uniform(10.5, 12.5),
        canal_deep=rng.uniform(14.5, 18.5),
        lamina=rng.uniform(2.4, 3.6),
        transverse=rng.uniform(12, 18) if is_thoracic else rng.uniform(18, 27),
        spinous=rng.uniform(24, 36),
        slope=-14.0 if is_thoracic else -4.0,
        facet=rng.uniform(5.5, 7.5),
    )


def _draw_side(rng: np.random.Generator, size: _Size, side: int) -> tuple[Capsule, ...]:
    """Pedicle, lamina, transverse, upper and lower articular process of one side."""
    back, deep, height = size.back, size.canal_deep, size.height
    root = size.canal_half + size.pedicle / 2
    joint = (side * (root + 1.5), back + 0.72 * deep, 0.1 * height)
    tip = (
        side * (root + size.transverse),
        back + rng.uniform(6, 12),
        0.12 * height + rng.normal(0, 2),
    )
    return (
        Capsule((side * (root - 1), back - 4, 0.18 * height), joint, (size.pedicle / 2, 4.0, 7.0)),
        Capsule(joint, size.middle, (size.lamina * 1.1, size.lamina, 0.30 * height)),
        Capsule(
            (side * root, back + 6, 0.1 * height),
            tip,
            (4.0, rng.uniform(2.8, 4.2), rng.uniform(4.5, 6.5)),
        ),
        Capsule(
            joint,
            (side * (root + 2.5), back + 0.66 * deep, 0.62 * height),
            (size.facet * 0.62, size.facet * 0.8, 5),
        ),
        Capsule(
            (side * (root - 3), back + deep, -0.2 * height),
            (side * (root - 2), back + deep + 1.5, -0.78 * height),
            (size.facet * 0.75, size.facet * 0.62, 5),
        ),
    )


def _sacral_wings(depth: float) -> tuple[Capsule, ...]:
    wings = []
    for side in (-1, 1):
        wings.append(Capsule((side * 18, 4, 0), (side * 46, 14, -6), (14, 11, 16)))
        wings.append(
            Capsule((side * 12, depth / 2 + 2, -2), (side * 14, depth / 2 + 22, -8), (6, 8, 12))
        )
    wings.append(Capsule((-14, depth / 2 + 22, -8), (14, depth / 2 + 22, -8), (6, 5, 14)))
    wings.append(Capsule((0, depth / 2 + 22, -8), (0, depth / 2 + 32, -12), (4, 6, 8)))
    return tuple(wings)
