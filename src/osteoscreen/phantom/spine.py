"""The spine T10 to S1: drawing its vertebrae and slicing them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from osteoscreen.phantom.arch import Capsule, draw_arch
from osteoscreen.phantom.bone import Bone
from osteoscreen.phantom.column import Column
from osteoscreen.phantom.field import Array, Mask
from osteoscreen.phantom.plane import Plane, Window
from osteoscreen.phantom.tissue import Tissues
from osteoscreen.phantom.vertebra import (
    TEXTURE_PITCH_MM,
    BoneSurface,
    Osteophyte,
    Vertebra,
)

Size = NDArray[np.float64]

LEVELS = ("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5", "S1")

SIZE_MM = {
    "T10": (31.0, 29.0, 22.5, 4.0),
    "T11": (34.0, 30.0, 23.5, 4.5),
    "T12": (38.0, 30.5, 25.0, 5.5),
    "L1": (41.0, 31.0, 26.0, 7.0),
    "L2": (42.5, 32.0, 27.0, 8.5),
    "L3": (44.5, 33.0, 27.5, 9.5),
    "L4": (47.0, 33.5, 27.5, 10.5),
    "L5": (49.5, 34.0, 27.5, 10.0),
    "S1": (50.0, 32.0, 28.0, 2.0),
}
"""Body width, depth, height and the disc below, mm, of a person of 1.68 m. Within
42-55 x 30-36 mm, height 26-28 and disc 5-12, chosen to look right beside public CT."""

TILT_DEG = {
    "T10": -12.0, "T11": -11.0, "T12": -10.0, "L1": -8.0, "L2": -5.0, "L3": 0.0, "L4": 8.0,
    "L5": 20.0, "S1": 38.0,
}  # fmt: skip
"""Tilt of the endplates against the axial plane at average lordosis; positive faces forward."""


@dataclass(frozen=True)
class SpineShape:
    """Curvature and wear of one spine.

    Args:
        scale: Size against a person of 1.68 m.
        lordosis: Factor on the tilts.
        scoliosis_deg: Largest side tilt.
        roll_deg: Turn of the patient about the long axis.
        wear: 0 (young) to 1 (worn): thinner discs, osteophytes, sclerosis.
    """

    scale: float
    lordosis: float
    scoliosis_deg: float
    roll_deg: float
    wear: float


@dataclass(frozen=True, eq=False)
class Spine:
    """The spine of one patient; the centre of L3 is the origin of the patient frame.

    Args:
        vertebrae: T10 to the last lumbar vertebra, from the head down: these are marked.
        sacrum: The sacral bodies, from the head down; painted, but not marked.
        column: The line through their centres.
    """

    vertebrae: tuple[Vertebra, ...]
    sacrum: tuple[Vertebra, ...]
    column: Column

    def vertebra(self, level: str) -> Vertebra:
        """Return one vertebra by name, such as ``"L3"``.

        Raises: KeyError if the patient has no vertebra of that name.
        """
        return {one.level: one for one in (*self.vertebrae, *self.sacrum)}[level]


def draw_spine(rng: np.random.Generator, bone: Bone, shape: SpineShape) -> Spine:
    """Draw all vertebrae.

    Args:
        rng: Source of every draw.
        bone: Density and texture that the vertebrae share.
        shape: Size, curvature and wear.
    Returns: The spine.
    """
    sizes = {
        level: np.array(SIZE_MM[level]) * shape.scale * rng.normal(1, 0.025, 4) for level in LEVELS
    }
    for level in LEVELS:
        sizes[level][3] *= 1 - 0.45 * shape.wear * rng.random()
    axes = _axes(rng, shape)
    centres = _centres(sizes, axes)
    vertebrae = []
    for level in LEVELS:
        own = np.random.default_rng(rng.integers(2**63))
        frame = (centres[level], axes[level], sizes[level])
        vertebrae.append(_draw_vertebra(own, level, bone, shape.wear, frame))
    rising = np.array([one.centre_mm for one in reversed(vertebrae)])
    column = Column(tuple(rising[:, 2]), tuple(rising[:, 0]), tuple(rising[:, 1]))
    return Spine(tuple(vertebrae[:-1]), tuple(vertebrae[-1:]), column)


def _axes(rng: np.random.Generator, shape: SpineShape) -> dict[str, Array]:
    phase = rng.uniform(0, 2 * np.pi)
    axes = {}
    for index, level in enumerate(LEVELS):
        tilt = np.radians(TILT_DEG[level] * shape.lordosis + rng.normal(0, 1.5))
        side = np.radians(shape.scoliosis_deg * np.sin(index * 0.75 + phase) + rng.normal(0, 0.8))
        turn = np.radians(shape.roll_deg + 0.6 * np.degrees(side) + rng.normal(0, 1.0))
        sagittal = _turn((1, 2), -tilt)
        coronal = _turn((0, 2), side)
        axial = _turn((0, 1), turn)
        axes[level] = (sagittal @ coronal @ axial).astype(np.float32)
    return axes


def _turn(plane: tuple[int, int], angle: float) -> Array:
    matrix = np.eye(3, dtype=np.float32)
    i, j = plane
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[i, j], matrix[j, i] = np.sin(angle), -np.sin(angle)
    return matrix


def _centres(
    sizes: dict[str, Size], axes: dict[str, Array]
) -> dict[str, tuple[float, float, float]]:
    position = np.zeros(3)
    places = {LEVELS[0]: position}
    for above, below in pairwise(LEVELS):
        position = (
            position
            - axes[above][2] * (sizes[above][2] / 2 + sizes[above][3] / 2)
            - axes[below][2] * (sizes[below][2] / 2 + sizes[above][3] / 2)
        )
        places[below] = position
    origin = places["L3"]
    return {
        level: (float(p[0] - origin[0]), float(p[1] - origin[1]), float(p[2] - origin[2]))
        for level, p in places.items()
    }


def _draw_vertebra(
    rng: np.random.Generator,
    level: str,
    bone: Bone,
    wear: float,
    frame: tuple[tuple[float, float, float], Array, Size],
) -> Vertebra:
    centre, axes, (width, depth, height, disc) = frame
    spurs = tuple(
        Osteophyte(float(rng.uniform(-np.pi, 0.6)), float(rng.uniform(1, 1 + 5 * wear)), bool(up))
        for up in rng.integers(0, 2, rng.poisson(2.0 * wear))
    )
    return Vertebra(
        level=level,
        centre_mm=centre,
        axes=axes,
        width_mm=float(width),
        depth_mm=float(depth),
        height_mm=float(height * (1 - 0.04 * wear)),
        exponent=float(rng.uniform(2.15, 2.65)),
        notch=float(rng.uniform(0.06, 0.16)),
        waist=float(rng.uniform(0.04, 0.10)),
        concavity_mm=float(rng.uniform(1.0, 2.4) + 0.8 * max(bone.coarseness - 1, 0)),
        disc_mm=float(disc),
        trabecular_hu=float(bone.trabecular_hu + rng.normal(0, 5)),
        endplate_mm=float(rng.uniform(0.6, 1.2) * (0.6 + 0.4 * bone.cortex_mm)),
        sclerosis_hu=float(rng.uniform(10, 60) + 60 * wear * rng.random()),
        arch=draw_arch(rng, level, depth, height),
        osteophytes=spurs,
        texture=_draw_texture(rng, bone),
    )


def _draw_texture(rng: np.random.Generator, bone: Bone) -> tuple[Array, Array]:
    """Coarse and fine grain; loss shifts the spread towards the coarse one."""
    coarse_share = np.clip(0.35 + 0.4 * (bone.coarseness - 1), 0.1, 0.8)
    lattices = []
    for pitch, share in zip(TEXTURE_PITCH_MM, (coarse_share, 1 - coarse_share)):
        shape = [int(extent / pitch) + 1 for extent in (36, 46, 64)]
        spread = np.float32(bone.trabecular_sd_hu * np.sqrt(share))
        lattices.append(spread * rng.standard_normal(shape, dtype=np.float32))
    return lattices[0], lattices[1]


def paint_spine(
    spine: Spine, surface: BoneSurface, tissues: Tissues, plane: Plane, hu: Array
) -> NDArray[np.uint8]:
    """Paint canal, discs, arches and bodies over a plane, in place.

    Args:
        spine: The patient's spine.
        surface: Cortex and cancellous bone of the patient.
        tissues: Attenuation of disc, thecal sac and fat.
        plane: Where to paint.
        hu: Soft tissue, shape (rows, columns); bone is painted over it.
    Returns: Marks of that shape: 2k + 1 the body and 2k + 2 the rest of ``spine.vertebrae[k]``, 0
        elsewhere, the sacrum included.
    """
    everything = (*spine.vertebrae, *spine.sacrum)
    mark = np.zeros(hu.shape, np.uint8)
    rest = np.zeros(hu.shape, bool)
    _paint_canal(everything, tissues, plane, hu)
    for above, below in pairwise(everything):
        _paint_disc(above, below, plane, hu, tissues.disc)
    for index, vertebra in enumerate(everything):
        if abs(plane.z_mm - vertebra.centre_mm[2]) > 60:
            continue
        before = rest.copy()
        for part in vertebra.arch:
            _paint_part(vertebra, part, surface, plane, hu, rest)
        if vertebra in spine.vertebrae:
            mark[rest & ~before] = 2 * index + 2
    for index, vertebra in enumerate(everything):
        if abs(plane.z_mm - vertebra.centre_mm[2]) > 40:
            continue
        painted = _paint_body(vertebra, surface, plane, hu, rest)
        if painted is not None:
            window, inside = painted
            mark[window][inside] = 2 * index + 1 if vertebra in spine.vertebrae else 0
    return mark


def _paint_canal(
    vertebrae: tuple[Vertebra, ...], tissues: Tissues, plane: Plane, hu: Array
) -> None:
    """Fat and thecal sac behind the bodies, before the arches close around them."""
    nearest = min(vertebrae, key=lambda vertebra: abs(vertebra.centre_mm[2] - plane.z_mm))
    u, v, _ = nearest.local(plane.x, plane.y, plane.z_mm)
    middle = np.float32(nearest.depth_mm / 2 + 9)
    hu[(u / 12) ** 2 + ((v - middle) / 9.5) ** 2 < 1] = tissues.fat * 0.6
    hu[(u / 8.5) ** 2 + ((v - middle + 0.5) / 7) ** 2 < 1] = tissues.thecal_sac


def _paint_disc(above: Vertebra, below: Vertebra, plane: Plane, hu: Array, disc_hu: float) -> None:
    centre = (np.array(above.centre_mm) + np.array(below.centre_mm)) / 2
    reach = above.disc_mm / 2 + above.concavity_mm + below.concavity_mm
    if abs(plane.z_mm - centre[2]) > reach + 22:
        return
    half = max(above.width_mm, below.width_mm) / 2 + 6
    window = plane.window(
        (centre[0] - half, centre[0] + half), (centre[1] - half, centre[1] + half)
    )
    if window is None:
        return
    x, y = plane.x[window], plane.y[window]
    _, _, w_above = local_above = above.local(x, y, plane.z_mm)
    _, _, w_below = local_below = below.local(x, y, plane.z_mm)
    relative_above, _ = above.outline(*local_above)
    relative_below, _ = below.outline(*local_below)
    inside = (relative_above < 1.03) & (relative_below < 1.03) & (w_above < 0) & (w_below > 0)
    core = 0.5 * (relative_above + relative_below)
    view = hu[window]
    view[inside] = (disc_hu + 25 * (core - 0.6))[inside]


def _paint_part(
    vertebra: Vertebra,
    part: Capsule,
    surface: BoneSurface,
    plane: Plane,
    hu: Array,
    mark: Mask,
) -> None:
    corners = np.array(
        [[u, v, w] for u in part.bounds()[0] for v in part.bounds()[1] for w in part.bounds()[2]]
    )
    placed = corners @ vertebra.axes + np.array(vertebra.centre_mm)
    low, high = placed.min(axis=0), placed.max(axis=0)
    if not low[2] - 1 < plane.z_mm < high[2] + 1:
        return
    window = plane.window((low[0], high[0]), (low[1], high[1]))
    if window is None:
        return
    depth = part.depth(vertebra.local(plane.x[window], plane.y[window], plane.z_mm))
    inside = depth > 0
    shell = surface.cortex_mm * 1.25 * np.exp(0.35 * plane.shell_noise[window])
    bone = np.where(depth < shell, surface.cortex_hu, surface.cancellous_hu)
    view = hu[window]
    # Two parts that meet share their marrow: the deeper one does not wall off the other.
    known = mark[window]
    keep = inside & ~(known & (depth < shell))
    view[keep] = bone[keep]
    known |= inside


def _paint_body(
    vertebra: Vertebra, surface: BoneSurface, plane: Plane, hu: Array, rest: Mask
) -> tuple[Window, Mask] | None:
    half = vertebra.width_mm / 2 + 8
    x, y, _ = vertebra.centre_mm
    window = plane.window((x - half, x + half), (y - half, y + half))
    if window is None:
        return None
    local = vertebra.local(plane.x[window], plane.y[window], plane.z_mm)
    # No wall where a pedicle joins: marrow runs through.
    wall_mm = surface.cortex_mm * surface.body_wall
    shell = wall_mm * np.exp(0.35 * plane.shell_noise[window]) * ~rest[window]
    values = vertebra.body(local, shell, surface.cortex_hu)
    inside = np.isfinite(values)
    view = hu[window]
    view[inside] = values[inside]
    return window, inside
