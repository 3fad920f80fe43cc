"""Beam hardening, saturated rays and photon starvation: the errors that streak an image.

Only the *error* of the measured line integrals is reconstructed and added to the painted image, so
a coarse grid is enough and an ideal beam changes nothing. Second-order beam hardening follows
Herman 1979 (Phys. Med. Biol. 24, 81): the deviation grows with the square of the path.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.field import Array
from osteoscreen.phantom.projection import WATER_PER_MM, projector

GRID_PIXELS, GRID_VIEWS = 160, 150
"""Pixels of 3 mm: about 60 ms a slice."""

METAL_HU = 2500.0
"""Denser than any bone at 80 kVp: titanium and steel saturate the twelve bits."""

BONE_HU = 150.0
"""Attenuation above this hardens the beam more than water does."""

WATER_HARDENING = 0.003
"""Residue of the scanner's water correction, per squared path: a cup of about 17 HU in a water
disc of 350 mm at strength 1 (a chosen setting)."""

BONE_HARDENING = 0.06
"""Error a unit of bone path and of total path, after water correction (a chosen setting: dark
bands of some tens of HU between two dense bones)."""

METAL_HARDENING = 0.8
"""Saturation of the path through metal."""

STARVED_PHOTONS = 40.0
"""A ray with fewer photons adds streaks to the noise that is painted anyway."""

MAX_ERROR_HU = 1200.0


@dataclass(frozen=True)
class Artefacts:
    """How far the beam is from ideal.

    Args:
        hardening: Strength of beam hardening; 0 none, 1 an ordinary scanner.
        leakage: Share of the open beam that reaches a detector behind anything: scatter and
            electronics.
        photons: Photons of an unattenuated ray.
    """

    hardening: float = 1.0
    leakage: float = 1e-5
    photons: float = 3e5


ORDINARY = Artefacts()
"""What every slice with metal gets."""


def has_metal(hu: Array) -> bool:
    """Whether anything in a painted slice is denser than bone."""
    return bool(hu.max() > METAL_HU)


def beam_error_hu(artefacts: Artefacts, rng: np.random.Generator, hu: Array) -> Array:
    """Reconstruct the error of a beam through one slice.

    Args:
        artefacts: How far the beam is from ideal.
        rng: Source of the photon noise of starved rays.
        hu: Attenuation over the whole scan field, shape (160, 160).
    Returns: Error in HU, same shape; over the patient's rays it has no mean.
    """
    beam = projector(GRID_PIXELS, GRID_VIEWS)
    per_mm = attenuation_per_mm(hu)
    path = beam.project(per_mm)
    error = _hardening(artefacts, path, beam.project(_excess(hu, BONE_HU, METAL_HU)))
    if has_metal(hu):
        metal = beam.project(_excess(hu, METAL_HU, np.inf))
        error -= METAL_HARDENING * artefacts.hardening * metal**2 / (1 + metal)
    measured = np.maximum(path + error, 0)
    passed = np.exp(-measured)
    error -= np.log1p(artefacts.leakage / passed) - np.log1p(artefacts.leakage)
    lacking = np.maximum(
        1 / (artefacts.photons * (passed + artefacts.leakage)) - 1 / STARVED_PHOTONS, 0
    )
    error += np.sqrt(np.minimum(lacking, 1)) * rng.standard_normal(path.shape, dtype=np.float32)
    found = beam.reconstruct(error) * np.float32(1000 / WATER_PER_MM)
    return np.asarray(np.clip(found, -MAX_ERROR_HU, MAX_ERROR_HU), dtype=np.float32)


def attenuation_per_mm(hu: Array) -> Array:
    """Turn HU into linear attenuation; nothing is below 0."""
    return np.asarray(np.maximum(1 + hu / 1000, 0) * WATER_PER_MM, dtype=np.float32)


def _excess(hu: Array, low: float, high: float) -> Array:
    """Attenuation of what lies between two limits, above the lower one."""
    return np.asarray((np.clip(hu, low, high) - low) / 1000 * WATER_PER_MM, dtype=np.float32)


def _hardening(artefacts: Artefacts, path: Array, bone: Array) -> Array:
    """Second-order error, without its part in proportion to water and bone.

    That part scales the whole image; a calibrated scanner has taken it out, and painted bone is
    what such a scanner reads.
    """
    water = WATER_HARDENING * _deviation(path, path)
    return np.asarray(
        -artefacts.hardening * (water + BONE_HARDENING * _deviation(bone, path)), dtype=np.float32
    )


def _deviation(part: Array, path: Array) -> Array:
    """The product of two paths, less what is in proportion to the first (least squares)."""
    product = part * path
    slope = float((product * part).sum()) / max(float((part**2).sum()), 1e-6)
    return product - np.float32(slope) * part
