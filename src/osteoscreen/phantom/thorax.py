"""Ribs, costal cartilages, lung bases and the diaphragm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.field import Array, Mask
from osteoscreen.phantom.outline import Outline
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.section import Layers
from osteoscreen.phantom.solid import Tube, smooth_tube
from osteoscreen.phantom.tissue import Tissues

RIBS = {
    # name: spine level above T10, share of the way round, fall to the end (mm), end is cartilage
    "8": (2, 0.80, 105.0), "9": (1, 0.74, 112.0), "10": (0, 0.66, 112.0), "11": (0, 0.46, 88.0),
    "12": (0, 0.27, 55.0),
}  # fmt: skip
HEAD_MM = ((21.0, 11.0, 3.0), (38.0, 24.0, 2.0))
"""Head and tubercle of a rib: beside, behind and above the centre of its vertebra."""
HEAD_SCATTER_MM, RIB_GIRTH = 3.0, (0.8, 1.35)
"""Randomised: spread of where head and tubercle lie, along each axis, and of the thickness. Ribs
beside the lowest thoracic bodies of a real CT were taken for processes."""
RIB_RADIUS_MM, RIB_HEIGHT = 3.3, 1.8
LUNG_VESSEL_HU = 40.0

Knot = tuple[float, float, float, float]
"""A point that a rib is drawn through (x, y, z), and its radius there."""


@dataclass(frozen=True)
class Thorax:
    """The lower end of the chest.

    Args:
        ribs: Bones.
        cartilages: Their ends in front.
        dome_mm: Tops of the right and the left half of the diaphragm.
        recess_mm: How low the lung reaches behind, at the side and in front.
        slope_mm: Distance from the chest wall in which the diaphragm rises.
        vessels: Vessels in the lung.
    """

    ribs: tuple[Tube, ...]
    cartilages: tuple[Tube, ...]
    dome_mm: tuple[float, float]
    recess_mm: tuple[float, float, float]
    slope_mm: float
    vessels: tuple[Tube, ...]


def lung_height(thorax: Thorax, layers: Layers, z_mm: float) -> Array:
    """Return the distance from the diaphragm, mm; the lung is where it is positive.

    Args:
        thorax: The chest.
        layers: Depths below the outline.
        z_mm: Height of the plane.
    Returns: Distance at each point of the plane, at right angles to the diaphragm, negative below.
    """
    behind, beside, before = thorax.recess_mm
    sine = np.sin(layers.angle)
    recess = beside + np.where(sine > 0, (behind - beside) * sine, (beside - before) * sine)
    left = np.float32(0.5) * (1 + np.tanh(layers.beside / np.float32(12)))
    dome = thorax.dome_mm[0] + (thorax.dome_mm[1] - thorax.dome_mm[0]) * left
    # The heart and the crura keep the lungs apart.
    middle = 60 * np.exp(-((layers.beside / 15) ** 2)) * (layers.behind < 26)
    outward = np.exp(-np.maximum(layers.cavity, 0) / np.float32(thorax.slope_mm))
    rise = dome - recess
    steepness = rise * outward / np.float32(thorax.slope_mm)
    height = np.float32(z_mm) - (dome - rise * outward + middle)
    return np.asarray(height / np.sqrt(1 + steepness * steepness), np.float32)


def paint_lung(
    thorax: Thorax, tissues: Tissues, plane: Plane, lung: Mask, grain: Array, hu: Array
) -> None:
    """Paint the lung and its vessels over a plane, in place.

    Args:
        thorax: The chest.
        tissues: Attenuation of the tissues.
        plane: Where.
        lung: Mask of the lung, shape (rows, columns).
        grain: Fine unit field of that shape.
        hu: What is there already, of that shape.
    """
    hu[lung] = (tissues.lung + 14 * grain)[lung]
    for vessel in thorax.vessels:
        cut = vessel.cut(plane)
        if cut is not None:
            window, depth = cut
            inside = (depth > 0) & lung[window]
            hu[window][inside] = LUNG_VESSEL_HU


def draw_thorax(
    rng: np.random.Generator,
    outline: Outline,
    centres: dict[str, tuple[float, float, float]],
    scale: float,
    sink_mm: float,
    *,
    is_randomised: bool = False,
) -> Thorax:
    """Draw the chest.

    Args:
        rng: Source of every draw.
        outline: The trunk.
        centres: Centres of the bodies of T10, T11 and T12.
        scale: Size of the person.
        sink_mm: How far the breath pushes the diaphragm down.
        is_randomised: Whether ribs meet their vertebrae in more ways than usual.
    Returns: The chest.
    """
    top = np.array(centres["T10"])
    step = top - np.array(centres["T11"])
    ribs, cartilages = [], []
    for name, (above, share, fall) in RIBS.items():
        level = np.array(centres[f"T{name}"]) if f"T{name}" in centres else top + above * step
        long = share * float(rng.normal(1, 0.05)) * np.pi
        heads, girth = np.array(HEAD_MM), 1.0
        if is_randomised:
            heads = heads + HEAD_SCATTER_MM * rng.standard_normal(heads.shape)
            girth = float(rng.uniform(*RIB_GIRTH))
        for side in (-1, 1):
            knots = _joint(level, heads, side, (scale, girth))
            rib, end = _draw_rib(outline, level, side, (long, fall * scale, scale), knots)
            ribs.append(rib)
            if name in ("8", "9", "10"):
                cartilages.append(_draw_cartilage(outline, end, side, scale))
    drop = -sink_mm
    return Thorax(
        ribs=tuple(ribs),
        cartilages=tuple(cartilages),
        dome_mm=(
            (186 + float(rng.normal(0, 8))) * scale + drop,
            (172 + float(rng.normal(0, 8))) * scale + drop,
        ),
        recess_mm=(
            (82 + float(rng.normal(0, 8))) * scale + drop,
            (112 + float(rng.normal(0, 8))) * scale + drop,
            158 * scale + drop,
        ),
        slope_mm=float(rng.uniform(13, 22)),
        vessels=_draw_lung_vessels(rng, outline, scale),
    )


def _joint(level: Array, heads: Array, side: int, size: tuple[float, float]) -> list[Knot]:
    """Knots of a rib's head and tubercle: place and radius; ``size`` is scale and girth."""
    scale, girth = size
    radius = RIB_RADIUS_MM * scale * girth * 0.95
    return [
        (
            float(level[0]) + side * float(u) * scale,
            float(level[1]) + float(v) * scale,
            float(level[2]) + float(w) * scale,
            radius,
        )
        for u, v, w in heads
    ]


def _draw_rib(
    outline: Outline,
    level: Array,
    side: int,
    size: tuple[float, float, float],
    joint: list[Knot],
) -> tuple[Tube, tuple[float, float, float]]:
    """One rib from its joint on; also where it ends: angle, depth below the skin and height."""
    long, fall, scale = size
    knots, radius = list(joint), joint[0][3] / 0.95
    begin = 0.19 * np.pi
    angle, below, z = 0.0, 0.0, 0.0
    for share in np.linspace(0, 1, 14):
        turn = begin + share * (long - begin)
        angle = float(np.pi / 2 - side * turn)
        z = float(level[2] - 8 * scale - fall * share**0.8)
        section = outline.section(z)
        fat, wall = section.layer_mm(angle)
        near = float(np.clip(share * 6, 0, 1))
        below = fat + max(wall - 6.0, 5.0) * near + 15.0 * (1 - near)
        x, y = section.place(angle, below)
        knots.append((x, y, z, radius * (1.06 - 0.22 * share)))
    return smooth_tube(knots, height=RIB_HEIGHT, pitch=0.6), (angle, below, z)


def _draw_cartilage(
    outline: Outline, end: tuple[float, float, float], side: int, scale: float
) -> Tube:
    """From the end of a rib up along the costal margin towards the sternum."""
    angle, below, z = end
    knots = []
    for share in np.linspace(0.02, 1, 8):
        turn = (
            angle + (-np.pi / 2 + side * 0.16 - angle) * share
            if side > 0
            else angle + (_left_turn(angle)) * share
        )
        height = z + (165 * scale - z) * share**1.4
        section = outline.section(float(height))
        x, y = section.place(float(turn), below + 1.0)
        knots.append((x, y, float(height), 4.6 * scale))
    return smooth_tube(knots, height=1.2, pitch=0.6)


def _left_turn(angle: float) -> float:
    """From an angle on the right side over the right front to near the midline in front."""
    goal = -np.pi / 2 - 0.16
    right = angle if angle < 0 else angle - 2 * np.pi
    return float(goal - right)


def _draw_lung_vessels(
    rng: np.random.Generator, outline: Outline, scale: float
) -> tuple[Tube, ...]:
    """Branches that run down and out behind the diaphragm."""
    vessels = []
    for side in (-1, 1):
        for _ in range(26):
            angle = np.pi / 2 - side * float(rng.uniform(0.3, 2.2))
            low, high = float(rng.uniform(95, 165)) * scale, 215.0 * scale
            knots = []
            for share, below in (
                (0.0, rng.uniform(18, 40)),
                (0.5, rng.uniform(35, 65)),
                (1.0, 85.0),
            ):
                z = low + share * (high - low)
                x, y = outline.section(z).place(angle, float(below) + 14)
                knots.append((x, y, z, 0.8 + 1.6 * share))
            vessels.append(smooth_tube(knots, pitch=0.8))
    return tuple(vessels)
