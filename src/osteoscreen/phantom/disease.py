"""Disease of bodies and discs in randomised patients, which a network must not stumble over.

One-sided sclerosis as in Modic's type 3 and on the inner side of a curve, Schmorl's nodes, gas and
lime in discs, dense and lytic lesions. All shares and sizes are chosen settings; a network that had
seen none of these took half-dense bodies for discs and limy discs for bodies.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from osteoscreen.phantom.disc import Disc, Gas, Lime
from osteoscreen.phantom.spine import Spine
from osteoscreen.phantom.vertebra import Endplate, Lesion, Node, Vertebra

DISEASED_SHARE = 0.5
"""Patients with any of it; the others keep the spine that they have."""
LEANING_SHARE, NODE_SHARE, LESION_SHARE = 0.35, 0.2, 0.1
"""Endplates with one-sided sclerosis and with a node, bodies with lesions."""
GAS_SHARE, LIME_SHARE = 0.3, 0.35
"""Discs with gas and with lime."""


def with_disease(rng: np.random.Generator, spine: Spine) -> Spine:
    """Return the spine with disease, or as it is.

    Args:
        rng: Source of every draw.
        spine: Healthy but for common wear; the sacrum stays as it is.
    """
    if rng.random() >= DISEASED_SHARE:
        return spine
    vertebrae = tuple(_diseased(rng, one) for one in spine.vertebrae)
    discs = tuple(_draw_disc(rng, one.disc_mm) for one in spine.bodies[:-1])
    return replace(spine, vertebrae=vertebrae, discs=discs)


def _diseased(rng: np.random.Generator, vertebra: Vertebra) -> Vertebra:
    return replace(
        vertebra,
        upper=_plate(rng, vertebra, vertebra.upper),
        lower=_plate(rng, vertebra, vertebra.lower),
        lesions=_draw_lesions(rng, vertebra) if rng.random() < LESION_SHARE else (),
    )


def _plate(rng: np.random.Generator, vertebra: Vertebra, plate: Endplate) -> Endplate:
    if rng.random() < LEANING_SHARE:
        angle, much = rng.uniform(0, 2 * np.pi), rng.uniform(0.7, 2.0)
        plate = replace(
            plate,
            sclerosis_hu=float(rng.uniform(60, 450)),
            sclerosis_mm=float(rng.uniform(2, 9)),
            lean=(float(much * np.cos(angle)), float(much * np.sin(angle))),
        )
    if rng.random() < NODE_SHARE:
        angle, away = rng.uniform(0, 2 * np.pi), 0.55 * np.sqrt(rng.random())
        node = Node(
            u_mm=float(away * np.cos(angle) * vertebra.width_mm / 2),
            v_mm=float(away * np.sin(angle) * vertebra.depth_mm / 2),
            radius_mm=float(rng.uniform(2.5, 7)),
            depth_mm=float(rng.uniform(2, 7)),
        )
        plate = replace(plate, nodes=(node,))
    return plate


def _draw_lesions(rng: np.random.Generator, vertebra: Vertebra) -> tuple[Lesion, ...]:
    size = np.array([vertebra.width_mm, vertebra.depth_mm, vertebra.height_mm]) / 2
    lesions = []
    for _ in range(int(rng.integers(1, 4))):
        u, v, w = size * rng.uniform(-0.8, 0.8, 3)
        is_dense = rng.random() < 0.6
        lesions.append(
            Lesion(
                centre_mm=(float(u), float(v), float(w)),
                radius_mm=float(rng.uniform(2, 10)),
                change_hu=float(rng.uniform(150, 700) if is_dense else -rng.uniform(50, 150)),
            )
        )
    return tuple(lesions)


def _draw_disc(rng: np.random.Generator, thick_mm: float) -> Disc:
    gas: tuple[Gas, ...] = ()
    lime: tuple[Lime, ...] = ()
    if rng.random() < GAS_SHARE:
        waves = tuple(
            (float(rng.uniform(0, 0.35)), float(rng.uniform(0, 2 * np.pi))) for _ in range(4)
        )
        gas = (
            Gas(
                reach=float(rng.uniform(0.2, 0.8)),
                waves=waves,
                thick_mm=float(rng.uniform(0.1, 0.5) * thick_mm),
                hu=-float(rng.uniform(150, 850)),
            ),
        )
    if rng.random() < LIME_SHARE:
        lime = tuple(
            Lime(
                angle=float(rng.uniform(-np.pi, np.pi)),
                breadth=float(rng.uniform(0.05, 0.8)),
                radius=float(rng.uniform(0.3, 1.05)),
                thickness=float(rng.uniform(0.04, 0.3)),
                tall_mm=float(rng.uniform(0.3, 1) * thick_mm),
                hu=float(rng.uniform(180, 900)),
            )
            for _ in range(int(rng.integers(1, 6)))
        )
    return Disc(lime, gas)
