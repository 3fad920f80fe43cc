"""What the cavity of the trunk holds: organs, gut, kidneys and vessels share it without overlap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.bowel import Gut, gut_hu
from osteoscreen.phantom.contest import Standing, compete, without
from osteoscreen.phantom.field import Array, Mask
from osteoscreen.phantom.kidney import Kidney, kidney_hu, paint_inside
from osteoscreen.phantom.organ import Organ
from osteoscreen.phantom.plane import Window
from osteoscreen.phantom.section import Layers
from osteoscreen.phantom.solid import Cut
from osteoscreen.phantom.tissue import Tissues
from osteoscreen.phantom.vessel import Vessel, Vessels, plaque_hu

GUT_CLAIM_MM = 3.0
VESSEL_CLAIM_MM = 90.0
KIDNEY_CLAIM_MM, CAPSULE_CLAIM_MM = 60.0, 24.0
"""Added to the depth where things touch: who claims more yields less."""
SEAM_MM = 1.0
"""Half the width of the fat between two organs of a lean person."""
FASCIA_HU, SEPTUM_HU = 48.0, 22.0
"""How much brighter than perirenal fat its fascia and its septa are, thinner than a pixel: chosen
to look right beside public CT."""

Fill = Callable[[Window, Array], Array]
"""Attenuation inside, from a window and the depth there."""


@dataclass(frozen=True)
class Abdomen:
    """Everything in the cavity of one trunk.

    Args:
        organs: Solid organs.
        kidneys: Right and left.
        gut: Stomach, colon and small bowel.
        vessels: Blood vessels.
        seam_mm: Width of the fat between neighbours.
    """

    organs: tuple[Organ, ...]
    kidneys: tuple[Kidney, ...]
    gut: tuple[Gut, ...]
    vessels: Vessels
    seam_mm: float


@dataclass(frozen=True, eq=False)
class Piece:
    """One thing cut by the plane, with what fills it and what it adds to its depth."""

    cut: Cut
    fill: Fill
    claim_mm: float
    name: str = ""


def cavity_fat(tissues: Tissues, layers: Layers) -> Array:
    """Return the fat of the cavity: never empty, with strands of vessels and connective tissue.

    Args:
        tissues: Attenuation of the tissues.
        layers: Where.
    Returns: HU, shape (rows, columns).
    """
    fine, coarse = layers.grains
    strand = np.clip(1 - np.abs(fine - 0.7 * coarse) / np.float32(0.16), 0, 1)
    strand = strand * np.clip(coarse + 0.1, 0, 1)
    return np.asarray(tissues.fat + 3 * coarse + 4 * fine + 34 * strand, np.float32)


def paint_abdomen(
    abdomen: Abdomen, tissues: Tissues, layers: Layers, room: Array, hu: Array
) -> None:
    """Paint the contents of the cavity over a plane, in place.

    Args:
        abdomen: The contents.
        tissues: Attenuation of the tissues.
        layers: Where, with depths below the outline.
        room: Depth below the wall of the cavity in mm, negative in the lung; the plane's shape.
        hu: The fat of the cavity, of that shape.
    """
    pieces = _pieces(abdomen, tissues, layers)
    cuts = []
    for number, piece in enumerate(pieces):
        window, depth = piece.cut
        claim = depth + np.float32(piece.claim_mm) * (depth > 0)
        cuts.append((number, (window, np.where(room[window] > 0.8, claim, -1))))
    standing = compete(hu.shape, cuts)
    seam = (standing.margin < abdomen.seam_mm) & (standing.depth > standing.margin)
    for number, piece in enumerate(pieces):
        window, depth = piece.cut
        own = (standing.owner[window] == number) & ~seam[window]
        if own.any():
            hu[window][own] = piece.fill(window, depth)[own]
    free = (standing.owner < 0) & (room > 0.8)
    _paint_kidney_insides(abdomen, tissues, layers, standing, hu)
    _paint_small_vessels(abdomen.vessels.others, tissues, layers, free, hu)
    livers = [number for number, piece in enumerate(pieces) if piece.name == "liver"]
    inside = np.isin(standing.owner, livers) & ~seam
    _paint_small_vessels(abdomen.vessels.hepatic, tissues, layers, inside, hu)


def _pieces(abdomen: Abdomen, tissues: Tissues, layers: Layers) -> list[Piece]:
    """Everything that the plane cuts."""
    plane = layers.plane
    found: list[Piece] = []
    for organ in abdomen.organs:
        cut = organ.cut(plane)
        if cut is not None:
            uneven = _uneven(organ, cut, layers)
            found.append(
                Piece(uneven, _organ_fill(organ, tissues, layers), organ.claim_mm, organ.name)
            )
    for gut in abdomen.gut:
        lumen = gut.cut(plane)
        if lumen is not None:
            window, depth, nearest = lumen
            part, grains = plane.part(window), _grains(layers, window)
            depth = np.asarray(depth + 1.3 * grains[1] + 0.4 * grains[0], np.float32)
            values = gut_hu(gut, tissues, part, (depth, nearest), grains)
            found.append(Piece((window, depth), _given(values), GUT_CLAIM_MM))
    for kidney in abdomen.kidneys:
        capsule, body = kidney.cuts(plane)
        if capsule is not None:
            found.append(Piece(capsule, _capsule_fill(tissues, layers), CAPSULE_CLAIM_MM))
        if body is not None:
            found.append(Piece(body, _kidney_fill(tissues, layers), KIDNEY_CLAIM_MM))
    return found + _great_vessels(abdomen.vessels, tissues, layers)


def _great_vessels(vessels: Vessels, tissues: Tissues, layers: Layers) -> list[Piece]:
    found = []
    for vessel in vessels.others:
        cut = vessel.solid.cut(layers.plane) if vessel.is_great else None
        if cut is not None:
            fill = _flat(getattr(tissues, vessel.blood), layers)
            found.append(Piece(cut, fill, VESSEL_CLAIM_MM))
    aorta = vessels.aorta.cut(layers.plane)
    if aorta is not None:
        window, depth = aorta
        blood = np.full(depth.shape, tissues.aorta, np.float32)
        values = plaque_hu(vessels, tissues, layers.plane.part(window), depth, blood)
        found.append(Piece(aorta, _given(values), 2 * VESSEL_CLAIM_MM))
    return found


def _uneven(organ: Organ, cut: Cut, layers: Layers) -> Cut:
    """Give the surface of an organ the unevenness of life; the pancreas is lobulated."""
    window, depth = cut
    for fissure in organ.fissures:
        groove = fissure.cut(layers.plane)
        if groove is not None:
            window, depth = without((window, depth), groove)
    fine, coarse = _grains(layers, window)
    if organ.name == "pancreas":
        return window, np.asarray(depth + 1.6 * coarse + 1.0 * np.minimum(fine, 0.5), np.float32)
    return window, np.asarray(depth + 1.0 * coarse, np.float32)


def _organ_fill(organ: Organ, tissues: Tissues, layers: Layers) -> Fill:
    match organ.name:
        case "gallbladder" | "bladder":
            inside = tissues.bile if organ.name == "gallbladder" else min(tissues.urine, 60.0)
            return lambda window, depth: (
                np.where(
                    depth < (2.0 if organ.name == "gallbladder" else 3.5),
                    np.float32(tissues.bowel_wall),
                    np.float32(inside),
                )
                + 1.5 * layers.grains[0][window]
            )
        case "pancreas":
            return lambda window, depth: np.asarray(
                tissues.pancreas + 5 * layers.grains[0][window] + 4 * layers.grains[1][window]
            )
        case "adrenal" | "uterus":
            return _flat(tissues.pancreas + 8, layers)
        case _:
            return _flat(getattr(tissues, organ.name), layers)


def _flat(value: float, layers: Layers) -> Fill:
    """One attenuation with the faint unevenness of living tissue."""

    def values(window: Window, depth: Array) -> Array:
        fine, coarse = _grains(layers, window)
        return np.asarray(np.float32(value) + 1.5 * fine + 1.5 * coarse, np.float32)

    return values


def _given(values: Array) -> Fill:
    return lambda window, depth: values


def _kidney_fill(tissues: Tissues, layers: Layers) -> Fill:
    return lambda window, depth: kidney_hu(tissues, depth, _grains(layers, window))


def _capsule_fill(tissues: Tissues, layers: Layers) -> Fill:
    """Perirenal fat inside its thin fascia, bridged by septa."""

    def values(window: Window, depth: Array) -> Array:
        fine, coarse = _grains(layers, window)
        fascia = (depth < 1.0) * np.clip(0.8 + 0.5 * coarse, 0, 1) * np.float32(FASCIA_HU)
        septum = np.clip(1 - np.abs(coarse - 0.3) / np.float32(0.08), 0, 1) * np.float32(SEPTUM_HU)
        return np.asarray(tissues.fat - 2 + 3 * fine + fascia + septum, np.float32)

    return values


def _grains(layers: Layers, window: Window) -> tuple[Array, Array]:
    return layers.grains[0][window], layers.grains[1][window]


def _paint_kidney_insides(
    abdomen: Abdomen, tissues: Tissues, layers: Layers, standing: Standing, hu: Array
) -> None:
    away: Mask = standing.depth > 0
    for kidney in abdomen.kidneys:
        paint_inside(kidney, tissues, layers.plane, hu, away)


def _paint_small_vessels(
    vessels: tuple[Vessel, ...], tissues: Tissues, layers: Layers, free: Mask, hu: Array
) -> None:
    """Vessels of the mesentery in the fat between the organs, and those inside the liver."""
    for vessel in vessels:
        cut = None if vessel.is_great else vessel.solid.cut(layers.plane)
        if cut is not None:
            window, depth = cut
            inside = (depth > 0) & free[window]
            hu[window][inside] = getattr(tissues, vessel.blood)
