"""From a patient and a scan to one CT slice with its marks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscreen.phantom.anatomy import Patient
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.scanner import Scan, acquire
from osteoscreen.phantom.spine import Plane, paint_spine
from osteoscreen.phantom.trunk import paint_outer_bones, paint_trunk

SUB_PLANES = 3
"""Planes averaged over the slice thickness: enough for the partial volume of an endplate."""

WARP_MM = (3.0, 3.0, 0.9, 0.9)
"""Amplitude of the displacement fields: everything organic, nothing torn."""
SPINE_WARP = 0.22
"""Share of the warp that the spine follows: bone stays anatomical."""

BODY, REST = 1, 2
"""Label values: vertebral body, and the rest of the vertebra."""


@dataclass(frozen=True, eq=False)
class SliceImage:
    """One simulated slice.

    Args:
        hu: What the scanner stores, shape (rows, columns).
        labels: 0 background, 1 vertebral body, 2 rest of the vertebra; same shape. Made before
            the scanner, so exact.
        z_mm: Height of the slice centre in the patient frame.
    """

    hu: Array
    labels: NDArray[np.uint8]
    z_mm: float


def render_slice(patient: Patient, scan: Scan, z_mm: float, rng: np.random.Generator) -> SliceImage:
    """Image one axial slice.

    Args:
        patient: Who.
        scan: How.
        z_mm: Height of the slice centre, mm from the centre of L3, up.
        rng: Source of the quantum noise of this slice.
    Returns: The slice with exact labels; a pixel belongs to bone when at least half of the slice
        thickness does.
    """
    y_axis, x_axis = scan.axes_mm()
    planes = [
        _spine_plane(patient, y_axis, x_axis, z_mm + offset)
        for offset in (np.arange(SUB_PLANES) - (SUB_PLANES - 1) / 2)
        * scan.thickness_mm
        / SUB_PLANES
    ]
    shift_x, shift_y = _warp(patient, y_axis, x_axis, z_mm)
    shell = patient.surface.roughness.plane(z_mm, y_axis, x_axis)
    outer = Plane(x_axis[None, :] + shift_x, y_axis[:, None] + shift_y, z_mm, shell)
    grains = [grain.plane(z_mm, y_axis, x_axis) for grain in patient.grains]
    soft = paint_trunk(patient.trunk, patient.tissues, outer, (grains[0], grains[1]))
    paint_outer_bones(patient.trunk, patient.vertebrae, patient.surface, outer, soft)
    _paint_canal(patient, outer, soft)
    window = _spine_window(planes[0])
    hu, body, rest = soft.copy(), np.zeros(soft.shape), np.zeros(soft.shape)
    hu[window] = 0
    for plane in planes:
        layer = soft[window].copy()
        inner = Plane(plane.x[window], plane.y[window], plane.z_mm, plane.shell_noise[window])
        marks = paint_spine(patient.vertebrae, patient.surface, inner, layer, patient.tissues.disc)
        hu[window] += layer / SUB_PLANES
        body[window] += marks[0] / SUB_PLANES
        rest[window] += marks[1] / SUB_PLANES
    if scan.bone_gain != 1:
        hu = np.where(hu > 100, 100 + (hu - 100) * scan.bone_gain, hu).astype(np.float32)
    labels = np.where(body >= 0.5, BODY, np.where(body + rest >= 0.5, REST, 0)).astype(np.uint8)
    return SliceImage(acquire(scan, rng, hu), labels, z_mm)


def _warp(patient: Patient, y_axis: Array, x_axis: Array, z_mm: float) -> tuple[Array, Array]:
    moves = [
        np.float32(size) * field.plane(z_mm, y_axis, x_axis)
        for field, size in zip(patient.warps, WARP_MM)
    ]
    return moves[0] + moves[2], moves[1] + moves[3]


def _spine_plane(patient: Patient, y_axis: Array, x_axis: Array, z_mm: float) -> Plane:
    shift_x, shift_y = _warp(patient, y_axis, x_axis, z_mm)
    shell = patient.surface.roughness.plane(z_mm, y_axis, x_axis)
    share = np.float32(SPINE_WARP)
    return Plane(x_axis[None, :] + share * shift_x, y_axis[:, None] + share * shift_y, z_mm, shell)


def _spine_window(plane: Plane) -> tuple[slice, slice]:
    """The part of the image that any vertebra can reach."""
    window = plane.window((-95.0, 95.0), (-75.0, 125.0))
    return window if window is not None else (slice(0, 0), slice(0, 0))


def _paint_canal(patient: Patient, plane: Plane, hu: Array) -> None:
    """Fat and thecal sac behind the bodies, before the arches close around them."""
    nearest = min(patient.vertebrae, key=lambda vertebra: abs(vertebra.centre_mm[2] - plane.z_mm))
    u, v, _ = nearest.local(plane.x, plane.y, plane.z_mm)
    middle = np.float32(nearest.depth_mm / 2 + 9)
    squared = (u / 12) ** 2 + ((v - middle) / 9.5) ** 2
    hu[squared < 1] = patient.tissues.fat * 0.6
    hu[(u / 8.5) ** 2 + ((v - middle + 0.5) / 7) ** 2 < 1] = patient.tissues.thecal_sac
