"""Painting a spine over a plane: canal, discs, arches, bodies, pelvis and implants."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from osteoscreen.phantom.capsule import union_depth
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.ilium import SACROILIAC_GAP_MM
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.spine import Spine
from osteoscreen.phantom.surface import BoneSurface, covered, paint_bone
from osteoscreen.phantom.tissue import Tissues
from osteoscreen.phantom.vertebra import Vertebra

REACH_MM = 62.0
"""Farthest that a vertebra reaches above or below its centre."""
JOINT_GAP_MM = 1.6
"""Cartilage between two bones that would meet."""
FLAVUM_MM, FLAVUM_HU = 3.5, 70.0
"""Yellow ligament, which lines the arch towards the canal: thickness and attenuation."""
ARCH_SHELL = 1.3
"""Cortex of the arches against that of the patient's bones."""
ANNULUS_HU = 25.0
"""How much denser the rim of a disc is than its middle."""

Marks = NDArray[np.uint8]


def paint_spine(
    spine: Spine, surface: BoneSurface, tissues: Tissues, plane: Plane, hu: Array
) -> Marks:
    """Paint the spine over a plane, in place.

    Args:
        spine: The patient's spine.
        surface: Cortex and cancellous bone of the patient.
        tissues: Attenuation of disc, thecal sac and fat.
        plane: Where to paint.
        hu: Soft tissue, shape (rows, columns); the spine is painted over it.
    Returns: Marks of that shape: 2k + 1 the body and 2k + 2 the rest of ``spine.vertebrae[k]``, 0
        elsewhere, the sacrum included.
    """
    arches = _arches(spine, plane)
    _paint_canal(spine, tissues, plane, hu, arches)
    for above, below in pairwise(spine.bodies):
        _paint_disc(above, below, plane, hu, tissues.disc)
    mark = _paint_arches(arches, surface, plane, hu)
    for index, vertebra in enumerate(spine.bodies):
        inside = _paint_body(vertebra, arches.get(index), surface, plane, hu)
        if inside is not None:
            mark[inside] = 2 * index + 1
    mark[mark > 2 * len(spine.vertebrae)] = 0
    for implant in spine.implants:
        depth = implant.depth(plane)
        if depth is not None:
            cover = covered(depth, plane.pixel_mm)
            hu += cover * (np.float32(implant.hu) - hu)
    return mark


def _arches(spine: Spine, plane: Plane) -> dict[int, Array]:
    """Depth below the surface of each arch that the plane may cut, by number of the body.

    Where two would meet a joint keeps them apart: each ends half a gap before their bisector.
    """
    found = {}
    for index, vertebra in enumerate(spine.vertebrae):
        if abs(plane.z_mm - vertebra.centre_mm[2]) < REACH_MM:
            depth = union_depth(vertebra.arch, vertebra.frame, plane)
            if depth is not None:
                found[index] = depth
    sacrum = spine.sacrum.depth(plane)
    if sacrum is not None:
        for side in (-1, 1):
            ilium = spine.sacrum.ilium_depth(plane, side)
            if ilium is not None:
                gap = np.float32(SACROILIAC_GAP_MM)
                sacrum = np.minimum(sacrum, (sacrum - ilium - gap) / 2)
        found[len(spine.vertebrae)] = sacrum
    return _kept_apart(found, JOINT_GAP_MM)


def _kept_apart(depths: dict[int, Array], gap_mm: float) -> dict[int, Array]:
    apart = {}
    for index, depth in depths.items():
        others = [other for key, other in depths.items() if key != index]
        limit = depth
        for other in others:
            limit = np.minimum(limit, (depth - other - np.float32(gap_mm)) / 2)
        apart[index] = limit
    return apart


def _paint_canal(
    spine: Spine, tissues: Tissues, plane: Plane, hu: Array, arches: dict[int, Array]
) -> None:
    """Fat, yellow ligament, thecal sac and nerve roots between the bodies and the arches."""
    nearest = min(spine.bodies, key=lambda one: abs(one.centre_mm[2] - plane.z_mm))
    back = np.float32(nearest.depth_mm / 2)
    size = np.float32(np.clip(nearest.width_mm / 45, 0.75, 1.1))
    window = nearest.frame.window(((-32, 32), (0, nearest.depth_mm / 2 + 30), (-40, 40)), plane)
    if window is None:
        return
    view, part = hu[window], plane.part(window)
    u, v, _ = nearest.frame.local(part)
    middle = back + np.float32(8.5)
    fat = (u / (24 * size)) ** 2 + ((v - middle) / (10.5 * size)) ** 2 < 1
    view[fat & (v > back - 2)] = tissues.fat * 0.75
    if arches:
        arch = np.max([depth[window] for depth in arches.values()], axis=0)
        lining = (arch > -FLAVUM_MM) & (v > middle) & (np.abs(u) < 15 * size)
        view[lining] = FLAVUM_HU
    for side in (-1, 1):
        place = np.hypot(u - side * (15 * size), (v - back - 4) * 0.8)
        view[place < 2.6] = tissues.muscle - 10
    sac = (u / (9.8 * size)) ** 2 + ((v - middle + 0.5) / (7.6 * size)) ** 2 < 1
    view[sac & (v > back - 1)] = tissues.thecal_sac
    for order in range(6):
        angle = np.float32(np.pi * (0.1 + 0.16 * order))
        root = np.hypot(
            u - 6.2 * size * np.cos(angle), v - middle - 0.5 - 4.2 * size * np.sin(angle)
        )
        view[root < 1.1] = tissues.thecal_sac + 18


def _paint_disc(above: Vertebra, below: Vertebra, plane: Plane, hu: Array, disc_hu: float) -> None:
    frame, half = above.frame, above.width_mm / 2 + 6
    reach = -above.height_mm / 2
    box = ((-half, half), (-half, half), (reach - above.disc_mm - 12, reach + 6))
    window = frame.window(box, plane)
    if window is None:
        return
    part = plane.part(window)
    local_above, local_below = frame.local(part), below.frame.local(part)
    relative_above, wall_above = above.wall(local_above)
    relative_below, wall_below = below.wall(local_below)
    between = (local_above[2] < 0) & (local_below[2] > 0)
    # The ring bulges a little beyond both rims.
    depth = np.minimum(wall_above, wall_below) + np.float32(0.7)
    cover = covered(depth, plane.pixel_mm) * between
    core = np.float32(0.5) * (relative_above + relative_below)
    view = hu[window]
    view += cover * (np.float32(disc_hu) + np.float32(ANNULUS_HU) * (core - np.float32(0.6)) - view)


def _paint_arches(arches: dict[int, Array], surface: BoneSurface, plane: Plane, hu: Array) -> Marks:
    mark = np.zeros(hu.shape, np.uint8)
    shell = surface.shell_mm(plane.shell_noise, ARCH_SHELL)
    for index, depth in arches.items():
        rough = depth + np.float32(0.35) * plane.shell_noise
        near = np.nonzero(rough > -2 * plane.pixel_mm)
        if not len(near[0]):
            continue
        window = (
            slice(int(near[0].min()), int(near[0].max()) + 1),
            slice(int(near[1].min()), int(near[1].max()) + 1),
        )
        view = hu[window]
        hus = (surface.cortex_hu, surface.cancellous(plane.shell_noise[window]))
        paint_bone(view, rough[window], shell[window], plane.pixel_mm, hus)
        mark[rough > 0] = 2 * index + 2
    return mark


def _paint_body(
    vertebra: Vertebra, arch: Array | None, surface: BoneSurface, plane: Plane, hu: Array
) -> NDArray[np.bool_] | None:
    half = vertebra.width_mm / 2 + 8
    tall = vertebra.height_mm / 2 + 2
    window = vertebra.frame.window(((-half, half), (-half, half), (-tall, tall)), plane)
    if window is None:
        return None
    part = plane.part(window)
    local = vertebra.frame.local(part)
    _, wall, upper, lower = vertebra.depths(local)
    plates = np.minimum(upper, lower)
    depth = np.minimum(wall, plates)
    near = depth > -plane.pixel_mm
    if not near.any():
        return None
    u, v, w = (axis[near] for axis in local)
    inside_hu = vertebra.inside_hu((u, v, w), (upper[near], lower[near]))
    pixel = plane.pixel_mm
    shell = surface.shell_mm(part.shell_noise, surface.body_wall)[near]
    if arch is not None:
        # No wall where a pedicle joins, and none where the vein leaves: marrow runs through.
        shell = shell * (arch[window][near] < 0)
    shell = shell * (1 - vertebra.vein((u, v, w)))
    cortex = np.float32(surface.cortex_hu)
    below_wall = covered(wall[near] - shell, pixel)
    plate_hu = np.float32(0.6) * cortex
    for plate, plate_depth in ((vertebra.upper, upper), (vertebra.lower, lower)):
        below = covered(plate_depth[near] - np.float32(plate.thickness_mm), pixel)
        inside_hu = plate_hu + below * (inside_hu - plate_hu)
    values = cortex + below_wall * (inside_hu - cortex)
    cover = covered(depth[near], pixel)
    view = hu[window]
    view[near] += cover * (values - view[near])
    inside = np.zeros(hu.shape, bool)
    inside[window] = depth > 0
    return inside
