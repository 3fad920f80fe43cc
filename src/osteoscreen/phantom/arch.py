"""The arch of a vertebra: pedicles, laminae, joints and processes as capsules.

Local coordinates are those of the vertebra: (u, v, w) in millimetres, left, back and head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.capsule import Capsule, Place

PEDICLE_WIDTH_MM = (7.5, 7.0, 8.0, 9.5, 11.5, 14.5)
"""Pedicle width at T12 and from the first lumbar vertebra to the last; in between by position.
Chosen to look right beside public CT."""
CORONAL_BELOW = -0.3
"""Position up to which joints lie in the coronal plane: T10 and T11. The lower joints of T12 are
lumbar."""


@dataclass(frozen=True)
class ArchPlan:
    """What an arch has to fit.

    Args:
        position: 0 at the first lumbar vertebra, 1 at the last; negative in the thorax.
        depth_mm, height_mm: Size of the body: the arch begins at its back wall, and its joints
            reach beyond its endplates.
        scale: Size of the person.
        wear: 0 to 1: worn joints are thick.
    """

    position: float
    depth_mm: float
    height_mm: float
    scale: float
    wear: float


def draw_arch(rng: np.random.Generator, plan: ArchPlan) -> tuple[Capsule, ...]:
    """Draw the posterior elements of one vertebra.

    Args:
        rng: Source of every draw.
        plan: What they have to fit.
    Returns: The parts, in local coordinates of the vertebra.
    """
    size = _draw_size(rng, plan)
    spinous = _draw_spinous(rng, size)
    return (*spinous, *_draw_side(rng, size, -1), *_draw_side(rng, size, 1))


@dataclass(frozen=True)
class _Size:
    """Measures of one arch, mm."""

    is_thoracic: bool
    position: float
    scale: float
    height: float
    back: float
    pedicle: float
    canal_half: float
    canal_deep: float
    lamina: float
    facet: float

    @property
    def root(self) -> float:
        """Distance of the middle of a pedicle from the midline."""
        return self.canal_half + self.pedicle / 2

    @property
    def ridge(self) -> Place:
        """Where the laminae meet."""
        return (0.0, self.back + self.canal_deep + self.lamina, -0.22 * self.height)


def _draw_size(rng: np.random.Generator, plan: ArchPlan) -> _Size:
    places = np.linspace(-0.25, 1, len(PEDICLE_WIDTH_MM))
    pedicle = float(np.interp(plan.position, places, PEDICLE_WIDTH_MM))
    is_thoracic = plan.position < 0
    canal_half = rng.uniform(8.5, 10.0) if is_thoracic else rng.uniform(10.3, 12.3)
    canal_half += 1.0 * max(plan.position, 0)
    return _Size(
        is_thoracic=is_thoracic,
        position=plan.position,
        scale=plan.scale,
        height=plan.height_mm,
        back=plan.depth_mm / 2,
        pedicle=pedicle * rng.normal(1, 0.08) * plan.scale,
        canal_half=canal_half * plan.scale,
        canal_deep=rng.uniform(14.5, 18.5) * plan.scale,
        lamina=rng.uniform(2.6, 3.6) * plan.scale,
        facet=rng.uniform(4.3, 5.4) * (1 + 0.35 * plan.wear * rng.random()) * plan.scale,
    )


def _draw_spinous(rng: np.random.Generator, size: _Size) -> tuple[Capsule, ...]:
    """A plate that hangs behind the lower half of the body, with a thicker edge."""
    u, v, w = size.ridge
    if size.is_thoracic:
        long, drop, tall = rng.uniform(24, 30), -0.75 * size.height, 0.24 * size.height
    else:
        long = rng.uniform(23, 30) * (1 - 0.25 * max(size.position - 0.75, 0) / 0.25)
        drop, tall = rng.uniform(-0.35, -0.15) * size.height, rng.uniform(0.32, 0.42) * size.height
    long *= size.scale
    bent = rng.normal(0, 1.2)
    tip = (bent, v + long, w + drop)
    plate = Capsule((u, v, w), tip, (rng.uniform(2.4, 3.4), 3.5, tall))
    edge = (rng.uniform(3.2, 5.0), 3.5, 0.8 * tall)
    return plate, Capsule((0.9 * bent, v + 0.86 * long, w + 0.86 * drop), tip, edge)


def _draw_side(rng: np.random.Generator, size: _Size, side: int) -> tuple[Capsule, ...]:
    back, deep, height, root = size.back, size.canal_deep, size.height, size.root
    facet = size.facet * rng.normal(1, 0.07)
    pillar = (side * (root + 0.5), back + 0.62 * deep, 0.10 * height)
    isthmus = (side * (root - 0.25 * size.pedicle), back + 0.92 * deep, -0.30 * height)
    # Thoracic laminae overlap like tiles.
    tall = rng.uniform(0.26, 0.34) * (1.45 if size.is_thoracic else 1.0)
    return (
        # Pedicle, from the upper half of the body.
        Capsule(
            (side * (root - 1), back - 5, 0.20 * height),
            pillar,
            (size.pedicle / 2, 4.0, 0.27 * height),
        ),
        # Pars between the joints.
        Capsule(pillar, isthmus, (0.85 * facet, 0.8 * facet, 0.2 * height)),
        # Lamina.
        Capsule(isthmus, size.ridge, (size.lamina, size.lamina, tall * height)),
        *_draw_joints(rng, size, side, facet),
        _draw_transverse(rng, size, side),
    )


def _draw_joints(
    rng: np.random.Generator, size: _Size, side: int, facet: float
) -> tuple[Capsule, ...]:
    """The articular processes: oblique plates, the upper ones outside and in front of the lower.

    From T12 on the joints turn from nearly sagittal to nearly coronal at the sacrum.
    """
    back, deep, height, root = size.back, size.canal_deep, size.height, size.root
    aside = (2.0 + 5.0 * max(size.position, 0)) * size.scale + rng.normal(0, 0.8)
    inner = root - 0.18 * size.pedicle + rng.normal(0, 0.7)
    upper = (
        (side * inner, back + 0.48 * deep, 0.58 * height),
        (side * (inner + aside), back + 1.02 * deep, 0.55 * height),
    )
    if size.position < CORONAL_BELOW:
        return _coronal_joints(size, side, facet, aside)
    inner -= 0.95 * facet
    lower = (
        (side * inner, back + 0.74 * deep, -0.66 * height),
        (side * (inner + 0.9 * aside), back + 1.18 * deep, -0.70 * height),
    )
    return (
        Capsule(*upper, (0.72 * facet, 0.72 * facet, 0.30 * height)),
        Capsule(*lower, (0.85 * facet, 0.85 * facet, 0.30 * height)),
    )


def _coronal_joints(size: _Size, side: int, facet: float, aside: float) -> tuple[Capsule, ...]:
    """Joints of T10 and T11: plates that face front and back, the upper one in front."""
    deep, height = size.canal_deep, size.height
    near, far = side * (0.75 * size.canal_half), side * (size.root + aside)
    upper, lower = size.back + 0.72 * deep, size.back + 0.98 * deep
    thin = (0.72 * facet, 0.5 * facet, 0.28 * height)
    return (
        Capsule((near, upper, 0.58 * height), (far, upper - 1.0, 0.55 * height), thin),
        Capsule((near, lower, -0.62 * height), (far, lower - 1.0, -0.60 * height), thin),
    )


def _draw_transverse(rng: np.random.Generator, size: _Size, side: int) -> Capsule:
    start = (side * (size.root + 0.5), size.back + 0.3 * size.canal_deep, 0.14 * size.height)
    if size.is_thoracic:
        # Long and swept back at T10, a stub at T12.
        share = float(np.interp(size.position, (-0.75, -0.25), (1.0, 0.4)))
        reach, behind = share * rng.uniform(9, 15), share * rng.uniform(12, 17)
        thick = (4.5, 4.0, 5.5)
    elif size.position > 0.95:
        reach, behind, thick = rng.uniform(17, 23), rng.uniform(5, 9), (5.0, 6.0, 8.5)
    else:
        reach, behind = rng.uniform(19, 28), rng.uniform(3, 10)
        thick = (3.2, rng.uniform(2.6, 3.8), rng.uniform(4.5, 6.5))
    tip = (
        start[0] + side * reach * size.scale,
        start[1] + behind,
        start[2] + rng.normal(0, 2.5),
    )
    return Capsule(start, tip, thick)
