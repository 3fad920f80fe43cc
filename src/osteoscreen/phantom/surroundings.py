"""What lies around the trunk: table, clothes, arms, electrodes and their cables.

The table is rigid: it follows the unwarped coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.field import Array
from osteoscreen.phantom.outline import Outline
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.section import Layers
from osteoscreen.phantom.solid import Knot, Loft, Tube, smooth_tube
from osteoscreen.phantom.surface import BoneSurface, covered
from osteoscreen.phantom.tissue import AIR_HU, Tissues

TABLE_CORE_HU, TABLE_SHELL_HU, MATTRESS_HU = -890.0, 60.0, -930.0
CLOTH_HU = -420.0
WIRE_HU, SHEATH_HU, PAD_HU = 2200.0, -50.0, -250.0
"""Foam between carbon shells, cloth, and the parts of an electrode: chosen settings."""


@dataclass(frozen=True)
class Table:
    """The couch top: two bent shells around foam.

    Args:
        top_mm: y of its lowest line on the patient's side.
        half_width_mm: Half width.
        radius_mm: Radius of its bend.
        height_mm: Distance of the shells in the middle.
        shell_mm: Thickness of a shell.
        mattress_mm: Thickness of the mattress on it.
    """

    top_mm: float
    half_width_mm: float
    radius_mm: float
    height_mm: float
    shell_mm: float
    mattress_mm: float


@dataclass(frozen=True)
class Arm:
    """One arm beside the trunk.

    Args:
        skin: Its outer shape.
        fat_mm: Fat under the skin.
        bones: One above the elbow, two below.
    """

    skin: Loft
    fat_mm: float
    bones: tuple[Loft, ...]


@dataclass(frozen=True)
class Surroundings:
    """Everything outside the skin.

    Args:
        table: The couch, if it is in the picture.
        cloth_mm: Mean gap between skin and cloth, for each cloth.
        arms: None, or both.
        cables: Wires on the skin.
        pads: Electrodes at their ends.
    """

    table: Table | None
    cloth_mm: tuple[float, ...]
    arms: tuple[Arm, ...]
    cables: tuple[Tube, ...]
    pads: tuple[Tube, ...]


def paint_table(table: Table, plane: Plane, hu: Array) -> None:
    """Paint the couch over a plane, in place.

    Args:
        table: The couch.
        plane: Where.
        hu: What is there already, shape (rows, columns).
    """
    x, y = plane.rigid_x, plane.rigid_y
    rise = x * x / np.float32(2 * table.radius_mm)
    below = y - np.float32(table.top_mm) + rise
    share = np.clip(1 - (x / np.float32(table.half_width_mm)) ** 2, 0, 1)
    floor = np.float32(table.height_mm) * np.sqrt(share)
    inside = (below > 0) & (below < floor)
    # A shell thinner than a pixel is as bright as its share of the pixel.
    half = np.float32(table.shell_mm / 2)
    off = np.minimum(np.abs(below - half), np.abs(below - floor + half))
    shell = covered(half - off, plane.pixel_mm) * (np.abs(x) < table.half_width_mm)
    mattress = (
        (below > -table.mattress_mm) & (below <= 0) & (np.abs(x) < 0.85 * table.half_width_mm)
    )
    hu[np.broadcast_to(mattress, hu.shape)] = MATTRESS_HU
    hu[np.broadcast_to(inside, hu.shape)] = TABLE_CORE_HU
    hu += shell * (TABLE_SHELL_HU - hu)


def paint_arm(arm: Arm, tissues: Tissues, surface: BoneSurface, plane: Plane, hu: Array) -> None:
    """Paint one arm over a plane, in place.

    Args:
        arm: The arm.
        tissues: Attenuation of the tissues.
        surface: Cortex and cancellous bone.
        plane: Where.
        hu: What is there already, shape (rows, columns).
    """
    cut = arm.skin.cut(plane)
    if cut is None:
        return
    window, depth = cut
    free = hu[window] < AIR_HU + 300
    for below, value in ((0.0, tissues.skin), (1.6, tissues.fat), (arm.fat_mm, tissues.muscle)):
        hu[window][(depth > below) & free] = value
    for bone in arm.bones:
        cut = bone.cut(plane)
        if cut is not None:
            window, depth = cut
            inside = depth > 0
            marrow = np.float32(0.5 * (tissues.fat + surface.cancellous_hu))
            hu[window][inside] = np.where(depth < 3.2, np.float32(surface.cortex_hu), marrow)[
                inside
            ]


def paint_on_skin(surroundings: Surroundings, layers: Layers, hu: Array) -> None:
    """Paint cloth, cables and electrodes around the skin, in place.

    Args:
        surroundings: Everything outside the skin.
        layers: Where, with depths below the outline.
        hu: What is there already, shape (rows, columns).
    """
    outside = layers.skin < 0
    for gap in surroundings.cloth_mm:
        away = -layers.skin - np.float32(gap) * (1 + 0.45 * layers.grains[1])
        weave = outside & (np.abs(away) < 0.45) & (layers.behind < 45)
        hu[weave] = CLOTH_HU
    for tubes, core in ((surroundings.pads, 0.0), (surroundings.cables, 0.9)):
        for tube in tubes:
            cut = tube.cut(layers.plane)
            if cut is not None:
                window, depth = cut
                inside = (depth > 0) & outside[window]
                shade = np.where(depth > core, WIRE_HU, SHEATH_HU) if core else PAD_HU
                hu[window][inside] = np.broadcast_to(shade, depth.shape)[inside]


def draw_surroundings(
    rng: np.random.Generator, outline: Outline, scale: float, *, is_randomised: bool
) -> Surroundings:
    """Draw what lies around a trunk.

    Args:
        rng: Source of every draw.
        outline: The trunk.
        scale: Size of the person.
        is_randomised: Whether arms and electrodes are common.
    Returns: The surroundings.
    """
    lowest = max(outline.section(z).skin_box()[3] for z in (-150.0, -75.0, 0.0, 75.0, 150.0))
    mattress = float(rng.uniform(4, 14))
    table = Table(
        top_mm=lowest + mattress + float(rng.uniform(0, 3)),
        half_width_mm=float(rng.uniform(195, 235)),
        radius_mm=float(rng.uniform(420, 900)),
        height_mm=float(rng.uniform(24, 60)),
        shell_mm=float(rng.uniform(1.2, 2.6)),
        mattress_mm=mattress,
    )
    has_arms = rng.random() < (0.3 if is_randomised else 0.04)
    has_leads = rng.random() < (0.4 if is_randomised else 0.15)
    cloths = int(rng.choice(3, p=[0.4, 0.4, 0.2]))
    cables, pads = _draw_leads(rng, outline) if has_leads else ((), ())
    return Surroundings(
        table=table if rng.random() < 0.95 else None,
        cloth_mm=tuple(float(rng.uniform(2.0, 7.0)) for _ in range(cloths)),
        arms=_draw_arms(rng, outline, scale) if has_arms else (),
        cables=cables,
        pads=pads,
    )


def _draw_arms(rng: np.random.Generator, outline: Outline, scale: float) -> tuple[Arm, ...]:
    elbow = float(rng.normal(25, 25))
    return tuple(_draw_arm(rng, outline, scale, (side, elbow)) for side in (-1, 1))


def _draw_arm(
    rng: np.random.Generator, outline: Outline, scale: float, where: tuple[int, float]
) -> Arm:
    """The arm of one side, with its elbow at a height."""
    side, elbow = where
    lower, thick = elbow + float(rng.normal(0, 8)), float(rng.normal(1, 0.08)) * scale
    skin: list[Knot] = []
    humerus: list[Knot] = []
    ulna: list[Knot] = []
    radius: list[Knot] = []
    for z in np.linspace(-195.0, 215.0, 30).tolist():
        right, left, _, _ = outline.section(z).skin_box()
        along = (z - lower) / 100
        wide = thick * (46 if along > 0 else 44 + 12 * along)
        deep = thick * (50 if along > 0 else 36 + 4 * along)
        x = (left if side > 0 else right) + side * (wide + 9)
        y = 24.0 - 22 * max(-along, 0)
        skin.append(Knot(z, x, y, wide, deep))
        joint = float(np.exp(-((along / 0.16) ** 2)))
        if along > -0.15:
            humerus.append(Knot(z, x, y + 4, (11 + 17 * joint) * scale, (11 + joint) * scale))
        if along < 0.12:
            wrist = (7.5 + 5 * joint) * scale
            ulna.append(Knot(z, x - 13 * scale, y + 16 * joint, wrist, 7 * scale))
        if along < -0.05:
            radius.append(Knot(z, x + 14 * scale, y - 2, (7 + 4 * joint) * scale, 7 * scale))
    bones = tuple(Loft(tuple(knots)) for knots in (humerus, ulna, radius) if len(knots) > 1)
    return Arm(Loft(tuple(skin)), 4 + float(rng.uniform(1, 9)), bones)


def _draw_leads(
    rng: np.random.Generator, outline: Outline
) -> tuple[tuple[Tube, ...], tuple[Tube, ...]]:
    cables, pads = [], []
    for _ in range(int(rng.integers(1, 4))):
        angle, low = float(rng.uniform(-2.7, -0.4)), float(rng.uniform(-60, 150))
        drift = float(rng.normal(0, 0.4))
        knots = []
        for share in np.linspace(0, 1, 6):
            z = low + share * (214 - low)
            x, y = outline.section(z).place(
                angle + drift * share + float(rng.normal(0, 0.04)), -3.2
            )
            knots.append((x, y, z, 2.0))
        cables.append(smooth_tube(knots, pitch=0.7))
        x, y = outline.section(low).place(angle, -1.0)
        pads.append(Tube(tuple((x + 2.5 * i, y, low, 3.0) for i in range(-4, 5)), height=6.0))
    return tuple(cables), tuple(pads)
