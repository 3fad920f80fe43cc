"""What the tube voltage makes of a patient: mineral and iodine are brighter at low voltage."""

from __future__ import annotations

from dataclasses import replace

from osteoscreen.phantom.anatomy import Patient
from osteoscreen.phantom.bone import HU_OFFSET
from osteoscreen.phantom.spine import Spine
from osteoscreen.phantom.tissue import Tissues
from osteoscreen.phantom.vertebra import Vertebra


def at_voltage(patient: Patient, bone_gain: float, iodine_gain: float = 1.0) -> Patient:
    """Return the same patient with bone and contrast agent as bright as at another tube voltage.

    The mineral's part of the attenuation grows; what bone without mineral has stays.

    Args:
        patient: Attenuation of bone as at 120 kVp.
        bone_gain: Attenuation of mineral against 120 kVp.
        iodine_gain: Attenuation of the contrast agent against 120 kVp.
    """
    if bone_gain == iodine_gain == 1:
        return patient
    surface = replace(
        patient.surface,
        cortex_hu=_brighter(patient.surface.cortex_hu, bone_gain),
        cancellous_hu=_brighter(patient.surface.cancellous_hu, bone_gain),
    )
    return replace(
        patient,
        surface=surface,
        spine=_spine(patient.spine, bone_gain),
        tissues=_enhanced(patient.tissues, iodine_gain),
    )


def _enhanced(tissues: Tissues, gain: float) -> Tissues:
    agent = {name: raised * gain for name, raised in tissues.agent_hu.items()}
    more = {
        name: getattr(tissues, name) + agent[name] - raised
        for name, raised in tissues.agent_hu.items()
    }
    return replace(tissues, agent_hu=agent, **more)


def _brighter(hu: float, gain: float) -> float:
    return HU_OFFSET + (hu - HU_OFFSET) * gain


def _spine(spine: Spine, gain: float) -> Spine:
    vertebrae = tuple(_vertebra(one, gain) for one in spine.vertebrae)
    sacrum = replace(
        spine.sacrum, bodies=tuple(_vertebra(one, gain) for one in spine.sacrum.bodies)
    )
    return replace(spine, vertebrae=vertebrae, sacrum=sacrum)


def _vertebra(vertebra: Vertebra, gain: float) -> Vertebra:
    upper, lower = vertebra.upper, vertebra.lower
    return replace(
        vertebra,
        trabecular_hu=_brighter(vertebra.trabecular_hu, gain),
        upper=replace(upper, sclerosis_hu=upper.sclerosis_hu * gain),
        lower=replace(lower, sclerosis_hu=lower.sclerosis_hu * gain),
        texture=tuple(lattice * gain for lattice in vertebra.texture),
    )
