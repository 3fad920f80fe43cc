"""Iliac wings with the muscles on both of their faces, and the organs between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.field import Array
from osteoscreen.phantom.muscle import muscle_hu
from osteoscreen.phantom.organ import Organ, place
from osteoscreen.phantom.outline import Layers, Outline
from osteoscreen.phantom.person import Person
from osteoscreen.phantom.plane import Plane, Window
from osteoscreen.phantom.solid import Blob, compete
from osteoscreen.phantom.tissue import Tissues
from osteoscreen.phantom.vertebra import BoneSurface

BEND_PER_MM = 0.0045
"""Curvature of the wing, hollow towards the belly."""
ILIACUS_MM, MEDIUS_MM = 13.0, 34.0
"""Thickest place of the muscles inside and outside the wing."""
GROWN_MM = 55.0
"""How far below its crest the wing has its full length."""


@dataclass(frozen=True)
class Pelvis:
    """The wings of one pelvis, mirrored at the midline.

    Args:
        crest_mm: Height of the iliac crests.
        middle_mm: x of the midline.
        scale: Size.
        back_mm: How far the sacrum lies behind the origin.
        infiltration: Share of fat in the gluteal muscles.
    """

    crest_mm: float
    middle_mm: float
    scale: float
    back_mm: float
    infiltration: float


@dataclass(frozen=True, eq=False)
class Wing:
    """One wing cut by a plane.

    Args:
        window: Part of the plane.
        along: From the middle of the wing, mm: negative behind, positive in front.
        across: From its bent middle line, mm: positive outside, negative inside.
        half: Half length and half thickness, mm.
    """

    window: Window
    along: Array
    across: Array
    half: tuple[float, float]

    @property
    def depth(self) -> Array:
        """Depth below the surface of the bone, mm."""
        length, thick = self.half
        relative = np.hypot(self.along / np.float32(length), self.across / np.float32(thick))
        return np.asarray((1 - relative) * np.float32(thick), np.float32)


def wings(pelvis: Pelvis, plane: Plane) -> tuple[Wing, ...]:
    """Cut the wings: right and left; none above the crest."""
    sunk = (pelvis.crest_mm - plane.z_mm) / pelvis.scale
    if sunk <= 0:
        return ()
    grown = min(sunk / GROWN_MM, 1.0)
    scale = pelvis.scale
    shift = pelvis.back_mm - 30 * scale
    inner = ((94 - 42 * grown) * scale, (22 + 26 * grown) * scale + shift)
    outer = ((104 + 22 * grown) * scale, (2 - 34 * grown) * scale + shift)
    length = float(np.hypot(outer[0] - inner[0], outer[1] - inner[1])) / 2
    turn = float(np.arctan2(outer[1] - inner[1], outer[0] - inner[0]))
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    found = []
    for side in (-1, 1):
        near, far = 14.0, 260.0
        x_range = (near, far) if side > 0 else (-far, -near)
        window = plane.window(
            (pelvis.middle_mm + x_range[0], pelvis.middle_mm + x_range[1]), (-150.0, 220.0)
        )
        if window is None:
            continue
        dx = np.float32(side) * (plane.x[window] - np.float32(pelvis.middle_mm))
        dx = dx - np.float32((inner[0] + outer[0]) / 2)
        dy = plane.y[window] - np.float32((inner[1] + outer[1]) / 2)
        along = cos * dx + sin * dy
        across = cos * dy - sin * dx + np.float32(BEND_PER_MM) * along * along
        half = (length + 6 * scale, (4.0 + 3.0 * grown) * scale)
        found.append(Wing(window, along, across, half))
    return tuple(found)


def inside_wings(found: tuple[Wing, ...], room: Array) -> Array:
    """Take the wings, and what lies outside them, from the cavity.

    Args:
        found: The wings.
        room: Depth below the wall of the cavity, mm, shape (rows, columns).
    Returns: The same inside the pelvis, of that shape.
    """
    room = room.copy()
    for wing in found:
        length, thick = wing.half
        lining = thick + _belly(wing, 0.0) * ILIACUS_MM * min(length / 55, 1)
        beyond = np.maximum(np.abs(wing.along) - length - 4, 0) * 3
        room[wing.window] = np.minimum(room[wing.window], -wing.across - lining + beyond)
    return room


def _belly(wing: Wing, shift: float) -> Array:
    """Profile of a muscle along the wing: 1 in the middle, 0 at its ends."""
    t = np.clip((wing.along - shift) / np.float32(wing.half[0] - 2), -1, 1)
    return np.asarray(np.sqrt(1 - t * t), np.float32)


def paint_gluteals(
    pelvis: Pelvis, found: tuple[Wing, ...], tissues: Tissues, layers: Layers, hu: Array
) -> None:
    """Paint gluteal muscles and iliacus over a plane, in place.

    Args:
        pelvis: The pelvis.
        found: Its wings in this plane.
        tissues: Attenuation of the tissues.
        layers: Where, with depths below the outline.
        hu: What is there already, shape (rows, columns).
    """
    sunk = (pelvis.crest_mm - layers.plane.z_mm) / pelvis.scale
    grown = np.float32(np.clip(sunk / 40, 0, 1))
    cuts = []
    for wing in found:
        thick = np.float32(wing.half[1])
        under = layers.fascia[wing.window] - 0.8
        wavy = np.float32(1.2) * layers.grains[1][wing.window]
        iliacus = np.minimum(-wing.across - thick, _belly(wing, 0.0) * ILIACUS_MM * grown + thick + wing.across)
        belly = _belly(wing, 8.0)
        wavy = wavy * belly
        medius_mm = belly * np.float32(MEDIUS_MM * pelvis.scale) * grown
        medius = np.minimum(wing.across - thick, medius_mm + wavy - (wing.across - thick))
        # The greatest muscle lies over the middle one, from the sacrum outwards and down.
        low = np.float32(np.clip((sunk - 25) / 60, 0, 1))
        reach = wing.along + 34
        outer = np.minimum(wing.across - 0.5 * thick - np.maximum(reach, 0) * 0.55 - 2, 30 * low - np.abs(reach) * 0.22)
        maximus = np.minimum(outer, 28 * low - (wing.across - 26)) + 0.6 * wavy
        for depth in (iliacus, np.minimum(medius, under), np.minimum(maximus, under)):
            cuts.append((len(cuts), (wing.window, np.asarray(depth, np.float32))))
    if not cuts:
        return
    standing = compete(hu.shape, cuts)
    muscle = muscle_hu(tissues, pelvis.infiltration, layers.grains)
    inside = standing.owner >= 0
    cleft = (standing.margin < 1.6) & (standing.depth > 0.6)
    hu[inside] = np.where(cleft, np.float32(0.8 * tissues.fat), muscle)[inside]


def paint_wings(found: tuple[Wing, ...], surface: BoneSurface, plane: Plane, hu: Array) -> None:
    """Paint the bone of the wings over a plane, in place.

    Args:
        found: The wings.
        surface: Cortex and cancellous bone.
        plane: Where.
        hu: What is there already, shape (rows, columns).
    """
    shell = surface.cortex_mm * 1.3 * np.exp(0.35 * plane.shell_noise)
    for wing in found:
        depth = wing.depth
        bone = np.where(depth < shell[wing.window], surface.cortex_hu, surface.cancellous_hu)
        inside = depth > 0
        hu[wing.window][inside] = bone[inside]


def draw_pelvic_organs(
    rng: np.random.Generator, outline: Outline, person: Person
) -> tuple[Organ, ...]:
    """Draw bladder and womb; how full the bladder is decides how high it stands.

    Args:
        rng: Source of every draw.
        outline: The trunk.
        person: Who.
    Returns: The organs.
    """
    scale = person.scale
    full = float(rng.uniform(0.5, 1.25))
    low = -200 * scale
    bladder = Blob(
        place(outline, 0.0, 0.34, low), (46 * full * scale, 34 * full * scale, 55 * full * scale)
    )
    organs = [Organ("bladder", (bladder,), 14.0)]
    if person.sex == "F":
        spot = place(outline, float(rng.normal(0, 0.05)), 0.62, low + 8)
        size = float(rng.uniform(0.7, 1.1)) * scale
        womb = Blob(spot, (32 * size, 26 * size, 48 * size), float(rng.normal(0, 0.3)))
        organs.append(Organ("womb", (womb,), 10.0))
    return tuple(organs)
