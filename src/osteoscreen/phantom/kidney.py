"""Kidneys: cortex, pyramids, sinus fat, pelvis and cysts, in their perirenal fat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.column import Column
from osteoscreen.phantom.contest import without
from osteoscreen.phantom.field import Array, Mask
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.solid import Blob, Cut, Knot, Loft
from osteoscreen.phantom.tissue import Tissues

CORTEX_MM = 6.5


@dataclass(frozen=True)
class Kidney:
    """One kidney.

    Args:
        body: Its outer shape.
        sinus: The notch that opens towards the midline and the front.
        pelvis: Where urine collects.
        capsule: The space of perirenal fat.
        cysts: Round lakes of fluid.
        hilum_mm: Where the vessels enter (x, y, z).
    """

    body: Loft
    sinus: Loft
    pelvis: Blob
    capsule: Loft
    cysts: tuple[Blob, ...]
    hilum_mm: tuple[float, float, float]

    def cuts(self, plane: Plane) -> tuple[Cut | None, Cut | None]:
        """Return the cut of the perirenal space and that of the kidney without its sinus."""
        body = self.body.cut(plane)
        if body is not None:
            sinus = self.sinus.cut(plane)
            body = body if sinus is None else without(body, sinus)
        return self.capsule.cut(plane), body


def kidney_hu(tissues: Tissues, depth: Array, grains: tuple[Array, Array]) -> Array:
    """Return the attenuation inside a kidney: cortex outside and between the pyramids.

    Args:
        tissues: Attenuation of the tissues, by phase.
        depth: Depth below the surface in mm, shape (rows, columns).
        grains: Unit fields, fine and coarse, of that shape.
    Returns: HU of that shape.
    """
    fine, coarse = grains
    sunk = np.clip((depth - CORTEX_MM - 1.5 * coarse) / 1.5, 0, 1)
    pyramid = sunk * np.clip(0.75 + 0.6 * coarse, 0, 1)
    mixed = tissues.kidney + (tissues.medulla - tissues.kidney) * pyramid
    return np.asarray(mixed + 1.5 * fine, np.float32)


def paint_inside(kidney: Kidney, tissues: Tissues, plane: Plane, hu: Array, free: Mask) -> None:
    """Paint pelvis and cysts over a plane, in place.

    Args:
        kidney: Which.
        tissues: Attenuation of the tissues.
        plane: Where.
        hu: What is there already, shape (rows, columns).
        free: Mask of that shape: where they may be.
    """
    cut = kidney.pelvis.cut(plane)
    if cut is not None:
        window, depth = cut
        inside = (depth > 0) & free[window]
        hu[window][inside] = tissues.urine
    for cyst in kidney.cysts:
        cut = cyst.cut(plane)
        if cut is not None:
            window, depth = cut
            inside = (depth > 0) & free[window]
            hu[window][inside] = 6.0


def draw_kidneys(
    rng: np.random.Generator, column: Column, scale: float, plump: float, age: float
) -> tuple[Kidney, Kidney]:
    """Draw the right and the left kidney.

    Args:
        rng: Source of every draw.
        column: What they lie beside.
        scale: Size of the person.
        plump: Fatness: it parts the kidneys from what surrounds them.
        age: Years: cysts become common.
    Returns: Right and left kidney.
    """
    right = _draw_kidney(rng, column, -1, (scale, plump, age))
    return right, _draw_kidney(rng, column, 1, (scale, plump, age))


def _draw_kidney(
    rng: np.random.Generator, column: Column, side: int, who: tuple[float, float, float]
) -> Kidney:
    scale, plump, age = who
    middle = (44 + 5 * side + float(rng.normal(0, 8))) * scale
    half = float(rng.normal(55, 4)) * scale
    wide, deep = float(rng.normal(25, 1.5)) * scale, float(rng.normal(29, 1.5)) * scale
    out = 58 + 7 * plump
    turn = side * float(rng.normal(0.55, 0.12))
    body, sinus, capsule = [], [], []
    for share in np.linspace(-1, 1, 13):
        z = middle + share * half
        x0, y0 = column.at(z)
        x = x0 + side * (out - 9 * share) * scale
        y = y0 + (4 + 9 * share - 4 * plump) * scale
        swell = float(np.sqrt(max(1 - abs(share) ** 2.4, 0.0)))
        body.append(Knot(z, x, y, wide * swell, deep * swell, turn))
        hollow = float(np.sqrt(max(1 - (share / 0.6) ** 2, 0.0)))
        to_hilum = (-side * np.cos(0.75) * 14 * scale, -np.sin(0.75) * 14 * scale)
        sinus.append(
            Knot(
                z,
                x + to_hilum[0],
                y + to_hilum[1],
                15 * hollow * scale,
                5.5 * hollow * scale,
                side * 0.8,
            )
        )
        coat = 4 + 13 * plump
        capsule.append(Knot(z, x, y + 1, wide * swell + coat, deep * swell + coat, turn))
    x0, y0 = column.at(middle)
    spot = (x0 + side * (out - 14) * scale, y0 - 7 * scale, middle)
    hilum = (x0 + side * (out - 26) * scale, y0 - 15 * scale, middle)
    cysts = []
    for _ in range(int(rng.poisson(max(age - 45, 0) / 35))):
        angle, height = rng.uniform(0, 2 * np.pi), rng.uniform(-0.7, 0.7)
        size = float(rng.gamma(2.5, 4.0) + 3)
        centre = (
            x0 + side * out * scale + wide * float(np.cos(angle)),
            y0 + deep * float(np.sin(angle)),
            middle + float(height) * half,
        )
        cysts.append(Blob(centre, (size, size, size)))
    pelvis = Blob(spot, (7 * scale, 2.6 * scale, 9 * scale), side * 0.8)
    return Kidney(
        Loft(tuple(body)), Loft(tuple(sinus)), pelvis, Loft(tuple(capsule)), tuple(cysts), hilum
    )
