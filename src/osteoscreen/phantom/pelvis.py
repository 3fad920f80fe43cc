"""The muscles on both faces of the iliac wings, and the organs between them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from osteoscreen.phantom.contest import compete
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.muscle import muscle_hu
from osteoscreen.phantom.organ import Organ, place
from osteoscreen.phantom.outline import Outline
from osteoscreen.phantom.person import Person
from osteoscreen.phantom.plane import Plane, Window
from osteoscreen.phantom.sacrum import ILIUM_MM, Sacrum
from osteoscreen.phantom.section import Layers
from osteoscreen.phantom.solid import Blob, Cut
from osteoscreen.phantom.tissue import Tissues

ILIACUS_MM, MEDIUS_MM = 14.0, 37.0
"""Thickest place of the muscles inside and outside the wing."""
BACK_STEP_MM, BACK_FALL = 6.0, 0.6
"""Step of the profile of the sacrum's back, and its slope beyond the bone."""


@dataclass(frozen=True, eq=False)
class Pelvis:
    """What lies on the iliac bones.

    Args:
        sacrum: The bones.
        infiltration: Share of fat in the gluteal muscles.
    """

    sacrum: Sacrum
    infiltration: float

    @property
    def crest_mm(self) -> float:
        """Height of the iliac crests."""
        return self.sacrum.bodies[0].centre_mm[2] + ILIUM_MM[0][0] * self.sacrum.scale


def bone_back(sacrum: Sacrum) -> tuple[tuple[float, float], ...]:
    """Measure how far a sacrum reaches back at each height.

    Args:
        sacrum: The bones.
    Returns: (z, y) in mm, rising; above and below the bone the values fall off gently, so that
        skin drawn over it has no step.
    """
    x, y, z = sacrum.bodies[0].centre_mm
    left, back = np.meshgrid(
        np.arange(x - 24, x + 25, 4, dtype=np.float32), np.arange(y, y + 100, dtype=np.float32)
    )
    none = np.zeros_like(left)
    found = []
    for height in np.arange(z - 110, z + 30, BACK_STEP_MM):
        depth = sacrum.depth(Plane(left, back, float(height), none, 1.0))
        if depth is not None and (depth > 0).any():
            found.append((float(height), float(back[depth > 0].max())))
    heights = np.arange(z - 160, z + 100, BACK_STEP_MM)
    return tuple(
        (float(at), max(most - BACK_FALL * abs(float(at) - height) for height, most in found))
        for at in heights
    )


@dataclass(frozen=True, eq=False)
class Wing:
    """One iliac wing cut by a plane, with the space around it.

    Args:
        window: Part of the plane.
        along: Distance along the wing from its back end, mm.
        across: Distance from its middle line, mm: positive outside, negative inside.
        length_mm: Length of the wing.
        thick_mm: Half its thickness.
    """

    window: Window
    along: Array
    across: Array
    length_mm: float
    thick_mm: float


def wings(pelvis: Pelvis, plane: Plane) -> tuple[Wing, ...]:
    """Cut the wings: right and left; none above the crest or below the acetabulum."""
    x, y, z = pelvis.sacrum.bodies[0].centre_mm
    scale = pelvis.sacrum.scale
    heights = np.array([height for height, _ in ILIUM_MM])[::-1]
    height = (plane.z_mm - z) / scale
    if not heights[0] <= height <= heights[-1]:
        return ()
    table = np.array([band for _, band in ILIUM_MM])[::-1]
    line = np.array(
        [[np.interp(height, heights, table[:, i, j]) for j in range(3)] for i in range(4)]
    )
    line = (line * scale + np.array([0, y, 0])).astype(np.float32)
    found = []
    for side in (-1, 1):
        x_range = (x + 14.0, x + 260.0) if side > 0 else (x - 260.0, x - 14.0)
        window = plane.window(x_range, (y - 180.0, y + 160.0))
        if window is not None:
            u = np.float32(side) * (plane.x[window] - np.float32(x))
            found.append(_wing(window, line, u, plane.y[window]))
    return tuple(found)


def _wing(window: Window, line: Array, u: Array, v: Array) -> Wing:
    """Measure a half plane against a chain of segments from back to front."""
    nearest = np.full(u.shape, np.inf, np.float32)
    along, across = np.zeros_like(u), np.zeros_like(u)
    passed = np.float32(0)
    for start, end in pairwise(line[:, :2]):
        step = end - start
        length = np.float32(np.hypot(*step))
        du, dv = u - start[0], v - start[1]
        ahead = (du * step[0] + dv * step[1]) / length
        beside = (dv * step[0] - du * step[1]) / length
        off = ahead - np.clip(ahead, 0, length)
        square = off * off + beside * beside
        closer = square < nearest
        nearest = np.where(closer, square, nearest)
        along = np.where(closer, passed + ahead, along)
        across = np.where(closer, np.sign(beside), across)
        passed += length
    return Wing(window, along, across * np.sqrt(nearest), float(passed), float(line[:, 2].mean()))


def inside_wings(found: tuple[Wing, ...], room: Array) -> Array:
    """Take the wings, and what lies outside them, from the cavity.

    Args:
        found: The wings.
        room: Depth below the wall of the cavity, mm, shape (rows, columns).
    Returns: The same inside the pelvis, of that shape.
    """
    room = room.copy()
    for wing in found:
        lining = wing.thick_mm + _belly(wing, 0.0) * ILIACUS_MM * min(wing.length_mm / 110, 1)
        past = np.maximum(np.abs(wing.along - wing.length_mm / 2) - wing.length_mm / 2 - 4, 0)
        room[wing.window] = np.minimum(room[wing.window], -wing.across - lining + 3 * past)
    return room


def _belly(wing: Wing, shift: float) -> Array:
    """Profile of a muscle along the wing: 1 in the middle, 0 at its ends."""
    half = np.float32(wing.length_mm / 2)
    t = np.clip((wing.along - half - shift) / half, -1, 1)
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
    sunk = (pelvis.crest_mm - layers.plane.z_mm) / pelvis.sacrum.scale
    cuts: list[tuple[int, Cut]] = []
    for wing in found:
        for depth in _bellies(wing, layers, sunk):
            cuts.append((len(cuts), (wing.window, depth)))
    if not cuts:
        return
    standing = compete(hu.shape, cuts)
    muscle = muscle_hu(tissues, 0.4 * pelvis.infiltration, layers.grains)
    inside = standing.owner >= 0
    cleft = (standing.margin < 1.6) & (standing.depth > 0.6)
    hu[inside] = np.where(cleft, np.float32(0.8 * tissues.fat), muscle)[inside]


def _bellies(wing: Wing, layers: Layers, sunk_mm: float) -> tuple[Array, Array, Array]:
    """Depth below the surface of iliacus, gluteus medius and maximus, mm."""
    scale = np.float32(wing.length_mm / 115)
    grown = np.float32(np.clip(sunk_mm / 40, 0, 1))
    under = layers.fascia[wing.window] - 0.8
    belly, wavy = _belly(wing, 8.0), np.float32(1.2) * layers.grains[1][wing.window]
    inner, outer = -wing.across, wing.across
    iliacus = np.minimum(
        inner, _belly(wing, 0.0) * np.float32(ILIACUS_MM) * grown + wing.thick_mm - inner
    )
    thick = belly * (np.float32(MEDIUS_MM) * scale * grown + wavy) + wing.thick_mm
    medius = np.minimum(np.minimum(outer, thick - outer), under)
    # The greatest muscle lies over the middle one, from the sacrum outwards and down.
    low = np.float32(np.clip((sunk_mm - 25) / 60, 0.02, 1))
    lengthwise = (wing.along - 24 * scale) / (62 * scale * low)
    crosswise = (outer - 32 * scale * low) / (30 * scale * low)
    maximus = (1 - np.hypot(lengthwise, crosswise)) * 30 * scale * low + wavy
    maximus = np.minimum(np.minimum(maximus, outer - 4), under)
    return iliacus, medius, np.asarray(maximus, np.float32)


def draw_pelvic_organs(
    rng: np.random.Generator, outline: Outline, person: Person
) -> tuple[Organ, ...]:
    """Draw bladder and uterus; how full the bladder is decides how high it stands.

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
        uterus = Blob(spot, (32 * size, 26 * size, 48 * size), float(rng.normal(0, 0.3)))
        organs.append(Organ("uterus", (uterus,), 10.0))
    return tuple(organs)
