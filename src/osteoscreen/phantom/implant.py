"""Pedicle screws, rods and bone cement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.capsule import Capsule, Frame, union_depth
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.vertebra import Vertebra

TITANIUM_HU = 9000.0
"""Far above what twelve bits store: the scanner clips it, and its rays starve."""
CEMENT_HU = (900.0, 2200.0)
"""Polymethyl methacrylate with barium: a chosen range."""
SCREWED_SHARE, CEMENTED_SHARE = 0.05, 0.04
"""Patients with pedicle screws, and with cement in a body: chosen settings."""


@dataclass(frozen=True, eq=False)
class Implant:
    """A foreign body.

    Args:
        kind: ``"screws"`` or ``"cement"``.
        level: Vertebra that holds it.
        frame: That vertebra's frame.
        parts: Its parts in local coordinates.
        hu: Attenuation.
    """

    kind: str
    level: str
    frame: Frame
    parts: tuple[Capsule, ...]
    hu: float

    def depth(self, plane: Plane) -> Array | None:
        """Return the depth below its surface in mm, if it is near the plane."""
        return union_depth(self.parts, self.frame, plane)


def draw_implants(rng: np.random.Generator, vertebrae: tuple[Vertebra, ...]) -> tuple[Implant, ...]:
    """Draw the implants of a patient: in a few a fusion of two or three neighbours, or cement.

    Args:
        rng: Source of every draw.
        vertebrae: T10 to the last lumbar vertebra; the lumbar ones are fused.
    Returns: The implants, mostly none.
    """
    chance = rng.random()
    if chance < SCREWED_SHARE:
        count = int(rng.integers(2, 4))
        first = int(rng.integers(3, len(vertebrae) - count + 1))
        return draw_screws(rng, vertebrae[first : first + count])
    if chance < SCREWED_SHARE + CEMENTED_SHARE:
        return (draw_cement(rng, vertebrae[int(rng.integers(len(vertebrae)))]),)
    return ()


def draw_screws(rng: np.random.Generator, vertebrae: tuple[Vertebra, ...]) -> tuple[Implant, ...]:
    """Draw a fusion of some neighbours: a screw through each pedicle, and a rod on each side.

    Args:
        rng: Source of every draw.
        vertebrae: Those that are fused, from the head down; two at least.
    Returns: One implant a vertebra; the rods belong to the screws they leave from.
    """
    radius = float(rng.uniform(2.4, 3.4))
    implants = []
    for vertebra in vertebrae:
        back, half = vertebra.depth_mm / 2, vertebra.width_mm / 2
        parts = []
        for side in (-1, 1):
            head = (side * (0.62 * half + 7), back + 24.0, 0.18 * vertebra.height_mm)
            tip = (side * 0.22 * half, -0.5 * back, 0.12 * vertebra.height_mm)
            parts += [
                Capsule(head, tip, (radius, radius, radius)),
                Capsule(head, (head[0], head[1] + 7, head[2]), (5.5, 5, 6)),
                Capsule(
                    (head[0], head[1] + 7, head[2] - 26), (head[0], head[1] + 7, head[2] + 26),
                    (2.8, 2.8, 2.8),
                ),
            ]  # fmt: skip
        implants.append(
            Implant("screws", vertebra.level, vertebra.frame, tuple(parts), TITANIUM_HU)
        )
    return tuple(implants)


def draw_cement(rng: np.random.Generator, vertebra: Vertebra) -> Implant:
    """Draw the cement of a vertebroplasty: a few lumps inside one body."""
    half, deep, tall = vertebra.width_mm / 2, vertebra.depth_mm / 2, vertebra.height_mm / 2
    lumps = []
    for _ in range(int(rng.integers(2, 6))):
        u, v, w = rng.uniform(-0.55, 0.55, 3)
        start = (float(u * half), float((v - 0.15) * deep), float(w * tall))
        end = tuple(float(s + d) for s, d in zip(start, rng.normal(0, 4, 3)))
        size = rng.uniform(3, 8, 3)
        lumps.append(
            Capsule(
                start, (end[0], end[1], end[2]), (float(size[0]), float(size[1]), float(size[2]))
            )
        )
    return Implant(
        "cement", vertebra.level, vertebra.frame, tuple(lumps), float(rng.uniform(*CEMENT_HU))
    )
