"""From a patient and a scan to one CT slice with its marks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscreen.phantom.anatomy import Patient
from osteoscreen.phantom.field import Array, Mask
from osteoscreen.phantom.plane import Plane, Window
from osteoscreen.phantom.scanner import Scan, acquire
from osteoscreen.phantom.spine_painter import paint_spine
from osteoscreen.phantom.tissue import iodine_gain
from osteoscreen.phantom.trunk import paint_trunk
from osteoscreen.phantom.voltage import at_voltage

SPINE_STEP_MM, SOFT_STEP_MM = 0.8, 2.5
SPINE_PLANES, SOFT_PLANES = (2, 9), (1, 3)
"""Distance of the planes that are averaged over the slice thickness, and their fewest and most:
bone has sharp edges across the slice and is cheap, soft tissue is neither."""

WARP_MM = (3.0, 3.0, 0.9, 0.9)
"""Amplitude of the displacement fields: everything organic, nothing torn."""
SPINE_WARP, SPINE_REACH_MM, SOFT_REACH_MM = 0.22, 40.0, 90.0
"""Share of the warp that the spine follows, up to a distance from the column, and the distance
from which on the tissue follows all of it: bone stays anatomical, and muscle stays on bone."""

SPINE_BOX_MM = ((-75.0, 75.0), (-50.0, 100.0))
"""What a lumbar vertebra can reach around the column (left, back)."""


@dataclass(frozen=True, eq=False)
class SliceImage:
    """One simulated slice.

    Args:
        hu: What the scanner stores, shape (rows, columns).
        labels: 0 background; 2k + 1 the body and 2k + 2 the rest of vertebra k of ``levels``;
            same shape. Made before the scanner, so exact.
        levels: Names of the marked vertebrae of the patient, from the head down.
        z_mm: Height of the slice centre in the patient frame.
    """

    hu: Array
    labels: NDArray[np.uint8]
    levels: tuple[str, ...]
    z_mm: float

    @property
    def body(self) -> Mask:
        """The vertebral bodies, shape (rows, columns)."""
        return np.asarray(self.labels % 2 == 1)

    @property
    def vertebra(self) -> Mask:
        """The whole vertebrae, shape (rows, columns)."""
        return np.asarray(self.labels > 0)


def render_slice(patient: Patient, scan: Scan, z_mm: float, rng: np.random.Generator) -> SliceImage:
    """Image one axial slice.

    Args:
        patient: Who.
        scan: How.
        z_mm: Height of the slice centre, mm from the centre of L3, up.
        rng: Source of the quantum noise of this slice.
    Returns: The slice with exact labels; a pixel belongs to bone when at least half of the slice
        thickness does, and to the vertebra that has most of it.
    """
    patient = at_voltage(patient, scan.bone_gain, iodine_gain(scan.kvp))
    y_axis, x_axis = scan.axes_mm()
    plane = _warped(patient, scan, z_mm)
    grains = [grain.plane(z_mm, y_axis, x_axis) for grain in patient.grains]
    soft = np.zeros(plane.x.shape, np.float32)
    heights = _heights(z_mm, scan.thickness_mm, SOFT_STEP_MM, SOFT_PLANES)
    for height in heights:
        at_height = plane.at(height)
        layer = paint_trunk(
            patient.trunk, patient.tissues, patient.surface, at_height, (grains[0], grains[1])
        )
        soft += layer / np.float32(len(heights))
    hu, labels = _with_spine(patient, scan, plane, soft)
    levels = tuple(vertebra.level for vertebra in patient.spine.vertebrae)
    return SliceImage(acquire(scan, rng, hu), labels, levels, z_mm)


def _heights(z_mm: float, thickness_mm: float, step_mm: float, limits: tuple[int, int]) -> Array:
    """Heights of the planes that stand for a slice: the middles of equal parts."""
    count = int(np.clip(np.ceil(thickness_mm / step_mm), *limits))
    steps = (np.arange(count) - (count - 1) / 2) / count
    return np.asarray(z_mm + steps * thickness_mm, np.float32)


def _warped(patient: Patient, scan: Scan, z_mm: float) -> Plane:
    y_axis, x_axis = scan.axes_mm()
    cos, sin = np.cos(np.radians(patient.roll_deg)), np.sin(np.radians(patient.roll_deg))
    turned_x = np.float32(cos) * x_axis[None, :] + np.float32(sin) * y_axis[:, None]
    turned_y = np.float32(cos) * y_axis[:, None] - np.float32(sin) * x_axis[None, :]
    moves = [
        np.float32(size) * field.plane(z_mm, y_axis, x_axis)
        for field, size in zip(patient.warps, WARP_MM)
    ]
    centre_x, centre_y = patient.spine.column.at(z_mm)
    # The canal and the arch lie behind the body: the still zone is centred on the whole vertebra.
    away = np.hypot(turned_x - np.float32(centre_x), turned_y - np.float32(centre_y + 15))
    ramp = np.clip((away - SPINE_REACH_MM) / (SOFT_REACH_MM - SPINE_REACH_MM), 0, 1)
    share = (SPINE_WARP + (1 - SPINE_WARP) * ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
    shell = patient.surface.roughness.plane(z_mm, y_axis, x_axis)
    return Plane(
        turned_x + share * (moves[0] + moves[2]),
        turned_y + share * (moves[1] + moves[3]),
        z_mm,
        shell,
        scan.pixel_mm,
        (x_axis[None, :], y_axis[:, None]),
    )


def _with_spine(
    patient: Patient, scan: Scan, plane: Plane, soft: Array
) -> tuple[Array, NDArray[np.uint8]]:
    """Paint canal and spine into the soft tissue, averaged over the slice thickness."""
    labels = np.zeros(soft.shape, np.uint8)
    window = _spine_window(patient, plane)
    if window is None:
        return soft, labels
    near = plane.part(window)
    total = np.zeros(near.x.shape, np.float32)
    shares: dict[int, Array] = {}
    heights = _heights(plane.z_mm, scan.thickness_mm, SPINE_STEP_MM, SPINE_PLANES)
    for height in heights:
        layer = soft[window].copy()
        at_height = near.at(height)
        mark = paint_spine(patient.spine, patient.surface, patient.tissues, at_height, layer)
        total += layer
        for value in np.unique(mark[mark > 0]):
            share = shares.setdefault(int(value), np.zeros(total.shape, np.float32))
            share += mark == value
    hu = soft.copy()
    hu[window] = total / len(heights)
    labels[window] = _majority(shares, total.shape, len(heights))
    return hu, labels


def _majority(shares: dict[int, Array], shape: tuple[int, ...], planes: int) -> NDArray[np.uint8]:
    """Label of each pixel: the value with the largest share where bone has half of the planes.

    Body and rest of one vertebra, and two vertebrae, may share a pixel: bone is bone, whosever.
    """
    labels, best, bone = np.zeros(shape, np.uint8), np.zeros(shape, np.float32), np.zeros(shape)
    for value, share in sorted(shares.items()):
        labels[share > best] = value
        best = np.maximum(best, share)
        bone += share
    labels[bone < planes / 2] = 0
    return labels


def _spine_window(patient: Patient, plane: Plane) -> Window | None:
    """The part of the image that any vertebra at this height can reach."""
    x, y = patient.spine.column.at(plane.z_mm)
    (left, right), (front, back) = SPINE_BOX_MM
    return plane.window((x + left, x + right), (y + front, y + back))
