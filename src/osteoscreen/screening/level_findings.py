"""What each vertebra says, which of them count, and what the patient's values are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscreen.box import box_of
from osteoscreen.cores import on_all_cores
from osteoscreen.findings import BoneCondition, LeftOut, LevelFinding, Probabilities
from osteoscreen.screening.attenuation import Measured, measure_vertebra
from osteoscreen.screening.decision import aggregate
from osteoscreen.screening.vertebrae import Vertebra
from osteoscreen.volume import Volume

COUNTED = ("L1", "L2", "L3", "L4")
"""The levels that DXA measures and the networks were trained on."""

DENSE_SHARE = 0.03
"""More of the region above 500 HU is no spongy bone: metal, cement or a compact island."""
COLLAPSED_SHARE = 0.75
"""A body lower than this share of the others' median is broken: 25 % of height lost is a moderate
fracture (Genant et al., J Bone Miner Res 1993;8:1137)."""
LEAST_STEPS = 1.5
"""Slices of height that must be lost besides: a height is known to a slice at each end."""
OUTLIER_HU, OUTLIER_SHARE = 50.0, 0.35
"""How far the attenuation of a body may lie from the median of the others, as HU and as a share of
it, whichever is more. Neighbours of one spine differ by some 10 HU."""
UNEVEN = 2.0
"""A body whose HU spread this many times as far as in the others holds an island of compact bone or
fat, a haemangioma say."""
LEAST_TO_COMPARE = 3
"""Vertebrae that it takes to call one of them unlike the others."""


@dataclass(frozen=True, eq=False)
class SeenVertebra:
    """A vertebra with what was measured and classified of it.

    Args:
        vertebra: Where it lies.
        measured: Its attenuation, if enough of its body is marked.
        height_mm: Of its body along the series.
        step_mm: Distance of the slices.
        chances: Probabilities of its classified slices by slice; empty where none was.
    """

    vertebra: Vertebra
    measured: Measured | None
    height_mm: float
    step_mm: float
    chances: Mapping[int, NDArray[np.float64]]

    @property
    def probabilities(self) -> Probabilities | None:
        """Mean over its slices."""
        return aggregate(np.stack(list(self.chances.values()))) if self.chances else None


def see_vertebrae(
    volume: Volume,
    bodies: NDArray[np.uint8] | None,
    vertebrae: Iterable[Vertebra],
    chances: Mapping[int, NDArray[np.float64]],
) -> tuple[SeenVertebra, ...]:
    """Measure vertebrae and collect what their slices say.

    Args:
        volume: Standing CT in HU.
        bodies: Number of the vertebra that each voxel of a body belongs to; ``None`` where bodies
            are not told from arches, and nothing can be measured.
        vertebrae: Where they lie.
        chances: Probabilities of the classified slices.
    """
    box = None if bodies is None else box_of(bodies)

    def measured(one: Vertebra) -> Measured | None:
        if bodies is None or box is None:
            return None
        own = slice(one.start, one.stop), *box[1:]
        return measure_vertebra(volume.hu[own], bodies[own] == one.number, volume.spacing_mm)

    def see(one: Vertebra) -> SeenVertebra:
        return SeenVertebra(
            one,
            measured(one),
            len(one.body) * volume.spacing_mm[0],
            volume.spacing_mm[0],
            {at: chances[at] for at in one.middle if at in chances},
        )

    return tuple(on_all_cores(see, vertebrae))


def left_out(seen: Sequence[SeenVertebra]) -> tuple[LeftOut | None, ...]:
    """Say of each vertebra why it does not count, or that it does.

    A vertebra that the series cuts off counts where none is whole, as in a few slices.
    """
    lumbar = [one for one in seen if one.vertebra.is_lumbar]
    has_whole = any(not one.vertebra.is_cut for one in lumbar if one.vertebra.level in COUNTED)
    return tuple(_left_out(one, lumbar, has_whole=has_whole) for one in seen)


def _left_out(
    one: SeenVertebra, lumbar: Sequence[SeenVertebra], *, has_whole: bool
) -> LeftOut | None:
    if one.vertebra.level not in COUNTED:
        return LeftOut.NOT_LUMBAR
    if one.vertebra.is_cut and has_whole:
        return LeftOut.CUT
    if _is_dense(one):
        return LeftOut.DENSE
    others = [
        other
        for other in lumbar
        if other is not one and not other.vertebra.is_cut and not _is_dense(other)
    ]
    if len(others) + 1 < LEAST_TO_COMPARE or one.vertebra.is_cut:
        return None
    usual_mm = float(np.median([other.height_mm for other in others]))
    lost_mm = usual_mm - one.height_mm
    if one.height_mm < COLLAPSED_SHARE * usual_mm and lost_mm > LEAST_STEPS * one.step_mm:
        return LeftOut.COLLAPSED
    measured = [other.measured for other in others if other.measured is not None]
    if one.measured is not None and len(measured) + 1 >= LEAST_TO_COMPARE:
        usual = float(np.median([other.mean_hu for other in measured]))
        apart = abs(one.measured.mean_hu - usual)
        spread = float(np.median([other.spread_hu for other in measured]))
        if apart > max(OUTLIER_HU, OUTLIER_SHARE * abs(usual)) or (
            one.measured.spread_hu > UNEVEN * spread
        ):
            return LeftOut.OUTLIER
    return None


def _is_sound(one: SeenVertebra) -> bool:
    """Whether a vertebra beside L1 to L4 may stand for a neighbour."""
    return not one.vertebra.is_cut and not _is_dense(one)


def _is_dense(one: SeenVertebra) -> bool:
    return one.measured is not None and one.measured.dense_share > DENSE_SHARE


def level_findings(
    seen: Sequence[SeenVertebra],
    reasons: Sequence[LeftOut | None],
    confidence: float | None,
    index_of: Sequence[int],
) -> tuple[LevelFinding, ...]:
    """Tell the vertebrae, from the head down.

    Args:
        seen: Rising.
        reasons: Why each does not count.
        confidence: That the names are not off by one; ``None`` where they were given.
        index_of: Position in the input of each slice.
    """
    return tuple(
        LevelFinding(
            level=one.vertebra.level,
            confidence=None if confidence is None else round(confidence, 3),
            slices=tuple(index_of[at] for at in one.vertebra.middle),
            attenuation_hu=None if one.measured is None else round(one.measured.mean_hu, 1),
            attenuation_median_hu=(
                None if one.measured is None else round(one.measured.median_hu, 1)
            ),
            attenuation_spread_hu=(
                None if one.measured is None else round(one.measured.spread_hu, 1)
            ),
            height_mm=None if one.vertebra.is_cut else round(one.height_mm, 1),
            left_out=reason,
            probabilities=one.probabilities,
        )
        for one, reason in reversed(list(zip(seen, reasons)))
    )


def patient_probabilities(
    seen: Sequence[SeenVertebra], reasons: Sequence[LeftOut | None]
) -> Probabilities | None:
    """Mean over the vertebrae that count; over L1 to L4 all alike where none does."""
    counted = [one for one, reason in zip(seen, reasons) if reason is None]
    fallback = [one for one in seen if one.vertebra.level in COUNTED]
    for group in (counted, fallback):
        means = [p.as_tuple() for one in group if (p := one.probabilities) is not None]
        if means:
            return aggregate(np.array(means))
    return None


def patient_hu(seen: Sequence[SeenVertebra], reasons: Sequence[LeftOut | None]) -> float | None:
    """Mean attenuation over the vertebrae that count; ``None`` where none was measured."""
    measured = _measured(seen, reasons)
    return float(np.mean([one.mean_hu for one in measured])) if measured else None


def patient_noise_hu(
    seen: Sequence[SeenVertebra], reasons: Sequence[LeftOut | None]
) -> float | None:
    """Median spread of trabecular HU in the vertebrae that count: noise and the grain of bone."""
    measured = _measured(seen, reasons)
    return float(np.median([one.spread_hu for one in measured])) if measured else None


def _measured(seen: Sequence[SeenVertebra], reasons: Sequence[LeftOut | None]) -> list[Measured]:
    """What was measured of the vertebrae that count."""
    return [
        one.measured
        for one, reason in zip(seen, reasons)
        if reason is None and one.measured is not None
    ]


def shifted_conditions(
    seen: Sequence[SeenVertebra], reasons: Sequence[LeftOut | None]
) -> dict[str, BoneCondition]:
    """The class if every name were one too high or too low.

    Args:
        seen: Rising.
        reasons: Why each does not count.
    Returns: By ``"up"`` (each vertebra is really the one above its name) and ``"down"``; what the
        classified vertebrae cannot tell is missing.
    """
    by_level = {
        one.vertebra.level: one.probabilities
        for one, reason in zip(seen, reasons)
        if (reason is None or (reason is LeftOut.NOT_LUMBAR and _is_sound(one)))
        and one.probabilities is not None
    }
    found = {}
    for name, wanted in (("up", ("L2", "L3", "L4", "L5")), ("down", ("T12", "L1", "L2", "L3"))):
        means = [by_level[level].as_tuple() for level in wanted if level in by_level]
        if means and wanted[0 if name == "down" else -1] in by_level:
            found[name] = aggregate(np.array(means)).condition
    return found
