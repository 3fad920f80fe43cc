"""Everything around the spine: skin, fat, muscles, organs, vessels, ribs, pelvis and the table.

Painter's order, from outside in. Each shape is a solid of three dimensions in the patient frame
(x left, y back, z head; origin at the centre of L3), so that neighbouring slices agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.field import Array, Mask
from osteoscreen.phantom.ilium import paint_ilia
from osteoscreen.phantom.person import Person
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.sacrum import Sacrum
from osteoscreen.phantom.spine import Spine
from osteoscreen.phantom.surface import BoneSurface
from osteoscreen.phantom.tissue import AIR_HU, Tissues

GAS_HU = -950.0
STOOL_HU = 10.0
STOOL_GAS_HU = -650.0
ORAL_CONTRAST_HU = 230.0
"""Contents of the bowel that do not differ between patients: chosen settings, the last inside the
120 to 500 HU."""

TABLE_HALF_WIDTH_MM, TABLE_HEIGHT_MM = 210.0, 34.0
TABLE_CORE_HU, TABLE_SHELL_HU = -890.0, -80.0
"""Foam between two thin sheets, bent upwards at the sides."""

Cut = tuple[tuple[slice, slice], Mask]
"""Part of a plane and a mask of its shape."""


@dataclass(frozen=True)
class Blob:
    """An ellipsoid of one tissue, with an optional coat of fat.

    Args:
        tissue: What it holds; a field of ``Tissues`` or one of ``gas``, ``stool``, ``fluid`` and
            ``oral_contrast``. The name of a muscle says which one it is.
        centre_mm, radius_mm: Ellipsoid (x, y, z).
        turn_rad: Rotation in the axial plane.
        coat: Size of the fat around it against its own, 1 for none.
    """

    tissue: str
    centre_mm: tuple[float, float, float]
    radius_mm: tuple[float, float, float]
    turn_rad: float = 0.0
    coat: float = 1.0


@dataclass(frozen=True)
class Trunk:
    """Outline and contents of one trunk.

    Args:
        half_width_mm, half_depth_mm: Outline at the waist.
        exponent: Superellipse exponent of the outline.
        hip: Relative widening towards the pelvis.
        back_mm: Distance from the vertebral body's centre to the skin of the back.
        fat_mm: Subcutaneous fat at the sides, in front and behind.
        wall_mm: Thickness of the muscular wall.
        muscles: Paraspinal muscles on both sides.
        organs: Solid organs, vessels and bowel in painting order.
        infiltration: Share of fat inside the muscles, 0 to 1.
        lung_floor_mm: Height at which the lungs begin.
        pelvis_top_mm: Height at which the iliac crests begin.
        ribs_mm: Height at which the twelfth rib leaves its vertebra.
        sacrum: What the iliac bones hold.
        table_mm: Gap to the table; ``None`` for no table.
    """

    half_width_mm: float
    half_depth_mm: float
    exponent: float
    hip: float
    back_mm: float
    fat_mm: tuple[float, float, float]
    wall_mm: float
    muscles: tuple[Blob, ...]
    organs: tuple[Blob, ...]
    infiltration: float
    lung_floor_mm: float
    pelvis_top_mm: float
    ribs_mm: float
    sacrum: Sacrum
    table_mm: float | None


def paint_trunk(
    trunk: Trunk,
    tissues: Tissues,
    surface: BoneSurface,
    plane: Plane,
    noise: tuple[Array, Array],
) -> Array:
    """Paint everything but the spine of one axial plane.

    Args:
        trunk: Outline and contents.
        tissues: Attenuation of the tissues.
        surface: Cortex and cancellous bone.
        plane: Warped coordinates of the grid.
        noise: Unit fields of fine and coarse grain, each of the grid's shape.
    Returns: HU, shape (rows, columns); the spine is still missing.
    """
    hu = np.full(plane.x.shape, AIR_HU, np.float32)
    if trunk.table_mm is not None:
        _paint_table(trunk.back_mm + trunk.table_mm, plane, hu)
    half_width = trunk.half_width_mm * (1 + trunk.hip * np.clip(-plane.z_mm / 150, -0.5, 1))
    centre_y = trunk.back_mm - trunk.half_depth_mm
    side, front, back = trunk.fat_mm
    skin = _inside(
        plane, centre_y, (half_width, trunk.half_depth_mm, trunk.half_depth_mm), trunk.exponent
    )
    hu[skin] = tissues.skin
    fat = _inside(
        plane,
        centre_y,
        (half_width - 2, trunk.half_depth_mm - 2, trunk.half_depth_mm - 2),
        trunk.exponent,
    )
    hu[fat] = tissues.fat
    wall_size = (half_width - side, trunk.half_depth_mm - front, trunk.half_depth_mm - back)
    wall = _inside(plane, centre_y, wall_size, trunk.exponent)
    fine, coarse = noise
    fatty = np.clip(0.8 * (fine + 0.8 * coarse) - 1.3 + 2.0 * trunk.infiltration, 0, 0.9)
    muscle = np.asarray(
        tissues.muscle + fatty * np.float32(tissues.fat - tissues.muscle), dtype=np.float32
    )
    hu[wall] = muscle[wall]
    inner = (
        wall_size[0] - trunk.wall_mm,
        wall_size[1] - 0.7 * trunk.wall_mm,
        wall_size[2] - trunk.wall_mm,
    )
    cavity = _inside(plane, centre_y, inner, trunk.exponent)
    hu[cavity] = tissues.fat
    for blob in trunk.organs:
        _paint_organ(blob, tissues, plane, hu, (cavity, fine, coarse))
    if plane.z_mm > trunk.lung_floor_mm - 40:
        _paint_lungs(trunk, tissues, plane, hu, (cavity, half_width, centre_y))
    for blob in trunk.muscles:
        _paint_muscle(blob, tissues, plane, hu, (skin, muscle))
    _paint_outer_bones(trunk, surface, plane, hu)
    paint_ilia(trunk.sacrum, surface, plane, hu)
    return hu


def _inside(
    plane: Plane, centre_y: float, half: tuple[float, float, float], exponent: float
) -> Mask:
    """Mask of a superellipse with half axes at the sides, in front and behind, mm."""
    y = plane.y - np.float32(centre_y)
    half_depth = np.where(y > 0, np.float32(half[2]), np.float32(half[1]))
    # exp(log) is three times faster than the power of a negative-free float32 array.
    x_term = np.exp(np.float32(exponent) * np.log(np.abs(plane.x / np.float32(half[0])) + 1e-6))
    y_term = np.exp(np.float32(exponent) * np.log(np.abs(y / half_depth) + 1e-6))
    return np.asarray(x_term + y_term < 1)


def _cut(blob: Blob, plane: Plane, grow: float) -> Cut | None:
    """Window and inside mask of a blob at this height, grown by a factor."""
    radius = np.array(blob.radius_mm) * grow
    lift = (plane.z_mm - blob.centre_mm[2]) / radius[2]
    if abs(lift) >= 1:
        return None
    reach = max(radius[0], radius[1])
    x0, y0, _ = blob.centre_mm
    window = plane.window((x0 - reach, x0 + reach), (y0 - reach, y0 + reach))
    if window is None:
        return None
    dx, dy = plane.x[window] - np.float32(x0), plane.y[window] - np.float32(y0)
    cos, sin = np.float32(np.cos(blob.turn_rad)), np.float32(np.sin(blob.turn_rad))
    a, b = (
        (cos * dx + sin * dy) / np.float32(radius[0]),
        (cos * dy - sin * dx) / np.float32(radius[1]),
    )
    return window, np.asarray(a * a + b * b < 1 - lift * lift)


def _paint_organ(
    blob: Blob, tissues: Tissues, plane: Plane, hu: Array, place: tuple[Mask, Array, Array]
) -> None:
    cavity, fine, coarse = place
    if blob.coat > 1 and (coat := _cut(blob, plane, blob.coat)) is not None:
        window, mask = coat
        hu[window][mask & cavity[window]] = tissues.fat
    cut = _cut(blob, plane, 1.0)
    if cut is None:
        return
    window, mask = cut
    mask = mask & cavity[window]
    y = plane.y[window] - np.float32(blob.centre_mm[1])
    hu[window][mask] = _content(blob.tissue, tissues, y, (fine[window], coarse[window]))[mask]


def _content(tissue: str, tissues: Tissues, y: Array, grains: tuple[Array, Array]) -> Array:
    """HU inside an organ; y runs to the back from its centre, for the patient lies on the back."""
    fine, coarse = grains
    match tissue:
        case "gas":
            return np.where(y < 2, np.float32(GAS_HU), np.float32(tissues.bowel))
        case "stool":
            solid = np.float32(STOOL_HU) + 55 * fine
            return np.where(fine > 1.2, np.float32(STOOL_GAS_HU), solid)
        case "fluid":
            return np.asarray(np.float32(tissues.bowel) + 8 * fine)
        case "oral_contrast":
            return np.asarray(np.float32(ORAL_CONTRAST_HU) + 20 * fine)
        case _:
            return np.asarray(getattr(tissues, tissue) + 3 * coarse, dtype=np.float32)


def _paint_muscle(
    blob: Blob, tissues: Tissues, plane: Plane, hu: Array, place: tuple[Mask, Array]
) -> None:
    skin, muscle = place
    coat, cut = _cut(blob, plane, blob.coat), _cut(blob, plane, 1.0)
    if coat is not None:
        window, mask = coat
        hu[window][mask & skin[window]] = tissues.fat
    if cut is not None:
        window, mask = cut
        mask = mask & skin[window]
        hu[window][mask] = muscle[window][mask]


def _paint_lungs(
    trunk: Trunk, tissues: Tissues, plane: Plane, hu: Array, place: tuple[Mask, float, float]
) -> None:
    """Lung bases: they reach deepest at the back and the sides."""
    cavity, half_width, centre_y = place
    aside = np.abs(plane.x) / np.float32(half_width)
    behind = np.clip((plane.y - np.float32(centre_y)) / np.float32(trunk.half_depth_mm), -1, 1)
    dome = trunk.lung_floor_mm + 60 - 50 * aside**2 - 55 * behind
    spared = np.hypot(plane.x, plane.y) < 34
    lung = cavity & (plane.z_mm > dome) & ~spared & (np.abs(plane.x) > 12)
    hu[lung] = tissues.lung


def _paint_table(top_mm: float, plane: Plane, hu: Array) -> None:
    below = plane.y - (top_mm - 0.00045 * plane.x**2)
    wide = np.abs(plane.x) < TABLE_HALF_WIDTH_MM
    hu[wide & (below > 0) & (below < TABLE_HEIGHT_MM)] = TABLE_CORE_HU
    hu[wide & ((np.abs(below - 1.2) < 1.2) | (np.abs(below - 33) < 1.2))] = TABLE_SHELL_HU


def _paint_outer_bones(trunk: Trunk, surface: BoneSurface, plane: Plane, hu: Array) -> None:
    """Paint ribs and iliac wings over the soft tissue, in place."""
    shell = surface.cortex_mm * np.exp(0.3 * plane.shell_noise)
    for window, below in _rib_depths(trunk, plane):
        inside = below > 0
        bone = np.where(below < shell[window], surface.cortex_hu, surface.cancellous_hu)
        hu[window][inside] = bone[inside]


def _rib_depths(trunk: Trunk, plane: Plane) -> list[tuple[tuple[slice, slice], Array]]:
    """Ribs 8 to 12 cut by the plane: each leaves its vertebra and falls along the wall."""
    found = []
    top = trunk.ribs_mm
    side, front, back = trunk.fat_mm
    half_x = trunk.half_width_mm - side - trunk.wall_mm * 0.5
    half_y = trunk.half_depth_mm - 0.5 * (front + back) - trunk.wall_mm * 0.5
    centre_y = trunk.back_mm - trunk.half_depth_mm + 0.5 * (front - back)
    for order in range(5):
        start = top + 27.0 * order
        fall = (62.0, 85.0, 105.0, 115.0, 120.0)[order]
        length = (0.45, 0.8, 1.1, 1.25, 1.35)[order] * np.pi / 1.35
        progress = (start - plane.z_mm) / fall
        if not 0 <= progress <= 1:
            continue
        for sign in (-1, 1):
            angle = np.pi / 2 - sign * (0.32 + progress * (length - 0.32))
            x, y = half_x * np.cos(angle), centre_y + half_y * np.sin(angle)
            tangent = np.arctan2(half_y * np.cos(angle), -half_x * np.sin(angle))
            found.append(_oblong(plane, (x, y), (11.0 - 2.5 * progress, 4.0), tangent))
    return [item for item in found if item is not None]


def _oblong(
    plane: Plane, centre: tuple[float, float], half: tuple[float, float], turn: float
) -> tuple[tuple[slice, slice], Array] | None:
    """Depth in mm below the edge of a flat ellipse."""
    reach = max(half)
    window = plane.window(
        (centre[0] - reach, centre[0] + reach), (centre[1] - reach, centre[1] + reach)
    )
    if window is None:
        return None
    dx, dy = plane.x[window] - np.float32(centre[0]), plane.y[window] - np.float32(centre[1])
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    bent = (cos * dy - sin * dx) + np.float32(0.006) * (cos * dx + sin * dy) ** 2
    relative = np.hypot((cos * dx + sin * dy) / np.float32(half[0]), bent / np.float32(half[1]))
    return window, np.asarray((1 - relative) * min(half), dtype=np.float32)


def draw_trunk(
    rngs: tuple[np.random.Generator, np.random.Generator],
    person: Person,
    spine: Spine,
    *,
    is_randomised: bool,
) -> Trunk:
    """Draw everything around a spine.

    Args:
        rngs: Sources of the draws: of the body, and of the organs.
        person: Who.
        spine: What the tissue follows.
        is_randomised: Whether to draw more widely than life, to train the segmenter.
    Returns: The trunk.
    """
    rng, organ_rng = rngs
    scale, age, plump = person.scale, person.age, person.plumpness
    fat_back = 6 + 30 * plump * rng.uniform(0.5, 1.2)
    centres = {vertebra.level: vertebra.centre_mm for vertebra in spine.vertebrae}
    muscles = _draw_muscles(rng, scale)
    return Trunk(
        half_width_mm=float((132 + 48 * plump) * scale * rng.normal(1, 0.04)),
        half_depth_mm=float((92 + 42 * plump) * scale * rng.normal(1, 0.05)),
        exponent=float(rng.uniform(2.1, 2.8)),
        hip=float(rng.uniform(0.0, 0.16)),
        back_mm=float(66 * scale + fat_back),
        fat_mm=(
            float(6 + 24 * plump),
            float(5 + 28 * plump * rng.uniform(0.5, 1.3)),
            float(fat_back),
        ),
        wall_mm=float(rng.uniform(11, 20)),
        muscles=muscles,
        organs=_draw_organs(organ_rng, scale, plump, is_randomised),
        infiltration=float(np.clip(0.02 + 0.25 * (age - 40) / 50 + rng.normal(0, 0.08), 0, 0.5)),
        lung_floor_mm=float(centres["T12"][2] + rng.normal(-8, 14)),
        pelvis_top_mm=float(centres["L4"][2] + rng.normal(0, 8)),
        ribs_mm=centres["T12"][2] + 8,
        sacrum=spine.sacrum,
        table_mm=float(rng.uniform(2, 12)) if rng.random() < 0.9 else None,
    )


def _draw_muscles(rng: np.random.Generator, scale: float) -> tuple[Blob, ...]:
    muscles = []
    size = scale * rng.normal(1, 0.08)
    for side in (-1, 1):
        for name, centre, radius, turn in (
            ("erector", (37, 47, 20), (31, 21, 260), 0.15),
            ("multifidus", (14, 52, -10), (13, 15, 150), 0.0),
            ("quadratus", (66, 18, -15), (12, 22, 75), 0.7),
            ("psoas", (38, -2, -75), (21, 27, 125), 0.3),
        ):
            jitter = rng.normal(0, 2, 2)
            muscles.append(
                Blob(
                    name,
                    (side * (centre[0] + jitter[0]), centre[1] + jitter[1], float(centre[2])),
                    (radius[0] * size, radius[1] * size, float(radius[2])),
                    turn_rad=side * turn,
                    coat=1.14,
                )
            )
    return tuple(muscles)


def _draw_organs(
    rng: np.random.Generator, scale: float, plump: float, is_randomised: bool
) -> tuple[Blob, ...]:
    """Organs with their place against L3, then bowel, then the great vessels."""
    wide = 0.85 + 0.25 * plump
    organs = [
        Blob("liver", (-72 * wide, -55, 95 + rng.normal(0, 12)), (78, 78, 88), 0.3, 1.05),
        Blob("liver", (-10 * wide, -95, 118), (62, 34, 52), 0.1, 1.05),
        Blob("spleen", (104 * wide, -22, 118 + rng.normal(0, 10)), (27, 47, 52), 0.5, 1.1),
        Blob("fluid", (58 * wide, -82, 108), (44, 36, 60), 0.4, 1.1),
    ]
    for side, drop in ((-1, -8), (1, 4)):
        centre = (side * 66 * wide, 2 + rng.normal(0, 4), 35 + drop + rng.normal(0, 8))
        organs.append(Blob("kidney", centre, (27, 31, 56), side * 0.5, 1.35))
        organs.append(
            Blob("fat", (centre[0] - side * 13, centre[1] - 6, centre[2]), (13, 11, 24), side * 0.5)
        )
    sixth = "oral_contrast" if is_randomised else "fluid"
    fillings = ("fluid", "gas", "stool", "fluid", "fluid", sixth)
    for _ in range(int(rng.integers(35, 80))):
        x = rng.uniform(-100, 100) * wide
        y, z = rng.uniform(-150, -40) - 25 * plump, rng.uniform(-190, 90)
        size = rng.uniform(9, 26)
        stretch = rng.uniform(0.8, 1.9, 3)
        radius = (size * stretch[0], size * stretch[1], size * stretch[2])
        organs.append(
            Blob(str(rng.choice(fillings)), (x, y, z), radius, float(rng.uniform(0, np.pi)), 1.12)
        )
    for side in (-1, 1):
        for z in (-120, -70, -20, 30):
            filling = str(rng.choice(("stool", "gas", "fluid")))
            place = (side * (98 + rng.normal(0, 6)) * wide, -30 + rng.normal(0, 12), float(z))
            organs.append(Blob(filling, place, (22, 22, 34), 0.0, 1.1))
    organs += _draw_vessels(rng, scale)
    return tuple(organs)


def _draw_vessels(rng: np.random.Generator, scale: float) -> list[Blob]:
    wide = float(rng.uniform(8, 12.5))
    vessels = [
        Blob("aorta", (9.0, -32.0 * scale, 95.0), (wide, wide, 152.0), 0.0, 1.25),
        Blob("blood", (-17.0, -30.0 * scale, 65.0), (wide * 1.15, wide * 0.95, 140.0), 0.0, 1.2),
    ]
    for side in (-1, 1):
        vessels.append(
            Blob("aorta", (side * 20.0, -26.0 * scale, -85.0), (6.5, 6.5, 60.0), 0.0, 1.2)
        )
        vessels.append(
            Blob("blood", (side * 27.0, -18.0 * scale, -95.0), (8.0, 7.0, 60.0), 0.0, 1.2)
        )
    for _ in range(int(rng.poisson(3))):
        angle = rng.uniform(0, 2 * np.pi)
        place = (9 + wide * 0.95 * np.cos(angle), -32 * scale + wide * 0.95 * np.sin(angle))
        spot = (float(place[0]), float(place[1]), float(rng.uniform(-50, 90)))
        vessels.append(Blob("plaque", spot, (2.2, 2.2, float(rng.uniform(3, 9)))))
    return vessels
