"""Painting a spine over a plane: canal, discs, arches, bodies, pelvis and implants."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from osteoscreen.phantom.capsule import union_depth
from osteoscreen.phantom.disc import PLAIN, paint_disc
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.ilium import SACROILIAC_GAP_MM
from osteoscreen.phantom.plane import Plane, Window
from osteoscreen.phantom.spine import Spine
from osteoscreen.phantom.surface import BoneSurface, covered, paint_bone
from osteoscreen.phantom.tissue import Tissues
from osteoscreen.phantom.vertebra import Vertebra

REACH_MM = 75.0
"""Farthest that a vertebra reaches above or below its centre."""
JOINT_GAP_MM = 1.6
"""Cartilage between two bones that would meet."""
FLAVUM_MM, FLAVUM_HU = 3.5, 70.0
"""Yellow ligament, which lines the arch towards the canal: thickness and attenuation."""
CANAL_MM = 8.5
"""Distance of the middle of the canal from the back wall of the body."""
ARCH_SHELL = 1.3
"""Cortex of the arches against that of the patient's bones."""
SPURS_MM = 20.0
"""The spurs of a body reach no farther out, many as they are."""

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
    discs = spine.discs or (PLAIN,) * (len(spine.bodies) - 1)
    for disc, bodies in zip(discs, pairwise(spine.bodies)):
        paint_disc(disc, bodies, plane, hu, tissues.disc)
    mark = _paint_arches(arches, surface, plane, hu)
    for index, vertebra in enumerate(spine.bodies):
        arch = arches.get(min(index, len(spine.vertebrae)))
        inside = _paint_body(vertebra, arch, surface, plane, hu)
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
    if plane.z_mm < _canal_height(spine.bodies[-1]):
        return
    above, below, share = _around(spine, plane.z_mm)
    window = _canal_window(above, below, plane)
    if window is None:
        return
    view, part = hu[window], plane.part(window)
    # From body to body the canal bends without a step. It is measured from their back walls.
    (u, v, _), (u_below, v_below, _) = above.frame.local(part), below.frame.local(part)
    v -= np.float32(above.depth_mm / 2)
    u += share * (u_below - u)
    v += share * (v_below - np.float32(below.depth_mm / 2) - v)
    width = above.width_mm + share * (below.width_mm - above.width_mm)
    size = np.float32(np.clip(width / 45, 0.75, 1.1))
    middle = np.float32(CANAL_MM)
    fat = (u / (24 * size)) ** 2 + ((v - middle) / (10.5 * size)) ** 2 < 1
    view[fat & (v > -2)] = tissues.fat * 0.75
    if arches:
        arch = np.max([depth[window] for depth in arches.values()], axis=0)
        lining = (arch > -FLAVUM_MM) & (v > middle) & (np.abs(u) < 15 * size)
        view[lining] = FLAVUM_HU
    for side in (-1, 1):
        place = np.hypot(u - side * (15 * size), (v - 4) * 0.8)
        view[place < 2.6] = tissues.muscle - 10
    sac = (u / (9.8 * size)) ** 2 + ((v - middle + 0.5) / (7.6 * size)) ** 2 < 1
    view[sac & (v > -1)] = tissues.thecal_sac
    for order in range(6):
        angle = np.float32(np.pi * (0.1 + 0.16 * order))
        root = np.hypot(
            u - 6.2 * size * np.cos(angle), v - middle - 0.5 - 4.2 * size * np.sin(angle)
        )
        view[root < 1.1] = tissues.thecal_sac + 18


def _around(spine: Spine, z_mm: float) -> tuple[Vertebra, Vertebra, np.float32]:
    """Return the bodies whose canals lie above and below a height, and the way between them."""
    heights = [_canal_height(one) for one in spine.bodies]
    first = int(np.clip(sum(height >= z_mm for height in heights) - 1, 0, len(heights) - 2))
    share = (heights[first] - z_mm) / (heights[first] - heights[first + 1])
    return spine.bodies[first], spine.bodies[first + 1], np.float32(np.clip(share, 0, 1))


def _canal_height(vertebra: Vertebra) -> float:
    """Height of the middle of the canal, which a tilt moves against the body's."""
    behind = vertebra.depth_mm / 2 + CANAL_MM
    return vertebra.centre_mm[2] + behind * float(vertebra.frame.axes[1, 2])


def _canal_window(above: Vertebra, below: Vertebra, plane: Plane) -> Window | None:
    """The part of a plane that the canal may pass between two bodies."""
    boxes = [
        one.frame.window(((-32, 32), (-10, one.depth_mm / 2 + 30), (-60, 60)), plane)
        for one in (above, below)
    ]
    found = [box for box in boxes if box is not None]
    if not found:
        return None
    rows, columns = (
        slice(min(box[i].start for box in found), max(box[i].stop for box in found))
        for i in range(2)
    )
    return rows, columns


def _paint_arches(arches: dict[int, Array], surface: BoneSurface, plane: Plane, hu: Array) -> Marks:
    mark = np.zeros(hu.shape, np.uint8)
    for index, depth in arches.items():
        rough = depth + np.float32(0.35) * plane.shell_noise
        near = np.nonzero(rough > -2 * plane.pixel_mm)
        if not len(near[0]):
            continue
        window = (
            slice(int(near[0].min()), int(near[0].max()) + 1),
            slice(int(near[1].min()), int(near[1].max()) + 1),
        )
        noise = plane.shell_noise[window]
        shell = surface.shell_mm(noise, ARCH_SHELL)
        hus = (surface.cortex_hu, surface.cancellous(noise))
        paint_bone(hu[window], rough[window], shell, plane.pixel_mm, hus)
        mark[rough > 0] = 2 * index + 2
    return mark


def _paint_body(
    vertebra: Vertebra, arch: Array | None, surface: BoneSurface, plane: Plane, hu: Array
) -> NDArray[np.bool_] | None:
    beside, above = vertebra.margins_mm
    half = vertebra.width_mm / 2 + max(8.0, min(beside, SPURS_MM))
    tall = vertebra.height_mm / 2 + 2 + above
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
    shell = surface.shell_mm(part.shell_noise[near], surface.body_wall)
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
