"""What the tube voltage makes of a patient: mineral and iodine are brighter at low voltage."""

from __future__ import annotations

from dataclasses import dataclass, replace

from osteoscreen.phantom.anatomy import Patient
from osteoscreen.phantom.bone import HU_OFFSET
from osteoscreen.phantom.spine import COMPRESSED_DENSER, Spine
from osteoscreen.phantom.tissue import Tissues
from osteoscreen.phantom.vertebra import Vertebra


def at_voltage(patient: Patient, bone_gain: float, iodine_gain: float = 1.0) -> Patient:
    """Return the same patient with bone and contrast agent as bright as at another tube voltage.

    The mineral's part of the attenuation grows by its gain, the agent's by its own, that in the
    marrow included; what bone without mineral has stays.

    Args:
        patient: Attenuation of bone as at 120 kVp.
        bone_gain: Attenuation of mineral against 120 kVp.
        iodine_gain: Attenuation of the contrast agent against 120 kVp.
    """
    if bone_gain == iodine_gain == 1:
        return patient
    marrow = _Marrow(patient.tissues.marrow_shift_hu, bone_gain, iodine_gain)
    surface = replace(
        patient.surface,
        cortex_hu=_brighter(patient.surface.cortex_hu, bone_gain),
        cancellous_hu=marrow.brighter(patient.surface.cancellous_hu),
    )
    return replace(
        patient,
        surface=surface,
        spine=_spine(patient.spine, marrow),
        tissues=_enhanced(patient.tissues, iodine_gain),
    )


def _enhanced(tissues: Tissues, gain: float) -> Tissues:
    agent = {name: raised * gain for name, raised in tissues.agent_hu.items()}
    more = {
        name: getattr(tissues, name) + agent[name] - raised
        for name, raised in tissues.agent_hu.items()
    }
    return replace(
        tissues,
        agent_hu=agent,
        marrow_shift_hu=tissues.marrow_shift_hu * gain,
        oral_contrast=tissues.oral_contrast * gain,
        **more,
    )


def _brighter(hu: float, gain: float) -> float:
    return HU_OFFSET + (hu - HU_OFFSET) * gain


@dataclass(frozen=True)
class _Marrow:
    """Trabecular bone as mineral and the agent between it, which have gains of their own."""

    shift_hu: float
    bone_gain: float
    iodine_gain: float

    def brighter(self, hu: float, crush: float = 1.0) -> float:
        """Attenuation at the voltage; ``crush`` is how much denser a broken body is."""
        agent = self.shift_hu * crush
        return _brighter(hu - agent, self.bone_gain) + agent * self.iodine_gain


def _spine(spine: Spine, marrow: _Marrow) -> Spine:
    vertebrae = tuple(_vertebra(one, marrow) for one in spine.vertebrae)
    sacrum = replace(
        spine.sacrum, bodies=tuple(_vertebra(one, marrow) for one in spine.sacrum.bodies)
    )
    return replace(spine, vertebrae=vertebrae, sacrum=sacrum)


def _vertebra(vertebra: Vertebra, marrow: _Marrow) -> Vertebra:
    upper, lower, gain = vertebra.upper, vertebra.lower, marrow.bone_gain
    crush = 1 + COMPRESSED_DENSER * vertebra.height_loss
    return replace(
        vertebra,
        trabecular_hu=marrow.brighter(vertebra.trabecular_hu, crush),
        upper=replace(upper, sclerosis_hu=upper.sclerosis_hu * gain),
        lower=replace(lower, sclerosis_hu=lower.sclerosis_hu * gain),
        texture=tuple(lattice * gain for lattice in vertebra.texture),
        lesions=tuple(replace(one, change_hu=one.change_hu * gain) for one in vertebra.lesions),
    )
