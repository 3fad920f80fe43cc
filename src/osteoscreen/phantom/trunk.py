"""Everything around the spine: skin, fat, muscle, cavity, chest, pelvis and what lies around.

Each shape is a solid of three dimensions in the patient frame (x left, y back, z head; origin at
the centre of L3), so that neighbouring slices agree. From outside in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.abdomen import SEAM_MM, Abdomen, cavity_fat, paint_abdomen
from osteoscreen.phantom.course import Diet, draw_gut
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.ilium import paint_ilia
from osteoscreen.phantom.kidney import draw_kidneys
from osteoscreen.phantom.muscle import Muscle, draw_muscles, muscle_hu, paint_muscles
from osteoscreen.phantom.organ import draw_organs
from osteoscreen.phantom.outline import SKIN_MM, Outline, draw_outline
from osteoscreen.phantom.pelvis import (
    Pelvis,
    bone_back,
    draw_pelvic_organs,
    inside_wings,
    paint_gluteals,
    wings,
)
from osteoscreen.phantom.person import Person
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.section import Layers, Section, layers
from osteoscreen.phantom.spine import Spine
from osteoscreen.phantom.surface import BoneSurface, paint_bone
from osteoscreen.phantom.surroundings import (
    Surroundings,
    draw_surroundings,
    paint_arm,
    paint_on_skin,
    paint_table,
)
from osteoscreen.phantom.thorax import Thorax, draw_thorax, lung_height, paint_lung
from osteoscreen.phantom.tissue import AIR_HU, Tissues
from osteoscreen.phantom.vasculature import draw_vessels

RIB_SHELL, RIB_MARROW_HU = 0.8, 60.0
"""Cortex of a rib against that of the patient's bones, and how much less dense its marrow is."""
DIAPHRAGM_MM = 2.2
LIMY_SHARE = 0.35
"""Randomised patients whose aorta is as wide, limy and close to the column as in a few of life."""
MARGIN_MM = 14.0
"""Room around the skin for cloth and cables."""


@dataclass(frozen=True)
class Trunk:
    """Outline and contents of one trunk.

    Args:
        outline: Skin, fat and wall.
        abdomen: Organs, gut and vessels.
        muscles: Muscles along the spine.
        thorax: Ribs, lungs and diaphragm.
        pelvis: Iliac wings and their muscles.
        surroundings: Table, clothes, arms, cables.
        infiltration: Share of fat inside the muscles, 0 to 1.
    """

    outline: Outline
    abdomen: Abdomen
    muscles: tuple[Muscle, ...]
    thorax: Thorax
    pelvis: Pelvis
    surroundings: Surroundings
    infiltration: float

    @property
    def half_width_mm(self) -> float:
        """Half width of the waist at L3."""
        return abs(self.outline.section(0.0).place(0.0, 0.0)[0])


def paint_trunk(
    trunk: Trunk,
    tissues: Tissues,
    surface: BoneSurface,
    plane: Plane,
    grains: tuple[Array, Array],
) -> Array:
    """Paint everything but the spine of one axial plane.

    Args:
        trunk: Outline and contents.
        tissues: Attenuation of the tissues.
        surface: Cortex and cancellous bone.
        plane: Warped coordinates of the grid.
        grains: Unit fields of fine and coarse grain, each of the grid's shape.
    Returns: HU, shape (rows, columns); the spine is still missing.
    """
    hu = np.full(plane.x.shape, AIR_HU, np.float32)
    around = trunk.surroundings
    if around.table is not None:
        paint_table(around.table, plane, hu)
    section = trunk.outline.section(plane.z_mm)
    window = plane.window(*_box(section))
    if window is not None:
        part = plane.part(window)
        near = layers(section, part, (grains[0][window], grains[1][window]))
        _paint_inside(trunk, tissues, surface, near, hu[window])
        paint_on_skin(around, near, hu[window])
    for arm in around.arms:
        paint_arm(arm, tissues, surface, plane, hu)
    return hu


def _box(section: Section) -> tuple[tuple[float, float], tuple[float, float]]:
    right, left, front, back = section.skin_box()
    return (right - MARGIN_MM, left + MARGIN_MM), (front - MARGIN_MM, back + MARGIN_MM)


def _paint_inside(
    trunk: Trunk, tissues: Tissues, surface: BoneSurface, near: Layers, hu: Array
) -> None:
    """Paint all within the skin, in place."""
    plane = near.plane
    _paint_shell(trunk, tissues, near, hu)
    found = wings(trunk.pelvis, plane)
    room = inside_wings(found, near.cavity) if found else near.cavity
    inside = room > 0
    hu[inside] = cavity_fat(tissues, near)[inside]
    height = lung_height(trunk.thorax, near, plane.z_mm)
    lung = (height > 0) & (room > 0.7)
    muscle = muscle_hu(tissues, 0.3 * trunk.infiltration, near.grains)
    paint_abdomen(trunk.abdomen, tissues, near, np.where(height > -DIAPHRAGM_MM, -1, room), hu)
    diaphragm = (height > -DIAPHRAGM_MM) & ~lung & (room > 0)
    hu[diaphragm] = muscle[diaphragm]
    if lung.any():
        paint_lung(trunk.thorax, tissues, plane, lung, near.grains[0], hu)
    paint_gluteals(trunk.pelvis, found, tissues, near, hu)
    paint_muscles(trunk.muscles, tissues, near, hu)
    paint_ilia(trunk.pelvis.sacrum, surface, plane, hu)
    _paint_ribs(trunk.thorax, tissues, surface, near, hu)


def _paint_shell(trunk: Trunk, tissues: Tissues, near: Layers, hu: Array) -> None:
    """Paint skin, subcutaneous fat and the muscular wall, in place."""
    fine, coarse = near.grains
    body = near.skin > 0
    septum = np.clip(1 - np.abs(coarse) / np.float32(0.05), 0, 1) * np.float32(24)
    fat = tissues.fat + 2 * coarse + 3 * fine + septum
    # The membranous layer of the fat, half way down.
    layer = np.abs(near.skin + near.fascia * -0.6 - 3 * coarse - 4)
    fat = fat + 16 * np.clip(1 - layer / np.float32(1.0), 0, 1) * (coarse > -0.3)
    hu[body] = fat[body]
    hu[body & (near.skin < SKIN_MM)] = tissues.skin
    below = near.fascia
    wall = (below > 0) & (below < near.wall)
    muscle = muscle_hu(tissues, 0.45 * trunk.infiltration, near.grains)
    share = below / np.maximum(near.wall, 1)
    is_flank = (
        (near.wall > 11) & (np.abs(near.beside) > 70) & (near.plane.z_mm < trunk.outline.margin_mm)
    )
    line = np.minimum(np.abs(share - 0.40), np.abs(share - 0.74) * 1.1) * near.wall
    parted = np.clip(1 - (line - 0.15) / np.float32(0.55), 0, 1) * np.clip(
        0.75 + 0.4 * coarse, 0, 1
    )
    muscle = np.where(is_flank, muscle + parted * (tissues.fat - muscle) * np.float32(0.65), muscle)
    hu[wall] = muscle[wall]


def _paint_ribs(
    thorax: Thorax, tissues: Tissues, surface: BoneSurface, near: Layers, hu: Array
) -> None:
    for cartilage in thorax.cartilages:
        cut = cartilage.cut(near.plane)
        if cut is not None:
            window, depth = cut
            inside = (depth > 0) & (near.skin[window] > 3)
            hu[window][inside] = tissues.cartilage + 6 * near.grains[1][window][inside]
    for rib in thorax.ribs:
        cut = rib.cut(near.plane)
        if cut is not None:
            window, depth = cut
            noise = near.plane.shell_noise[window]
            depth = np.minimum(depth, near.skin[window] - 3)
            hus = (0.9 * surface.cortex_hu, surface.cancellous(noise) - RIB_MARROW_HU)
            paint_bone(
                hu[window], depth, surface.shell_mm(noise, RIB_SHELL), near.plane.pixel_mm, hus
            )


def draw_trunk(
    rngs: tuple[np.random.Generator, np.random.Generator],
    person: Person,
    spine: Spine,
    *,
    is_randomised: bool,
) -> Trunk:
    """Draw everything around a spine.

    Args:
        rngs: Sources of the draws: of the body, and of the organs.
        person: Who.
        spine: What the tissue follows.
        is_randomised: Whether to draw more widely than life, to train the segmenter.
    Returns: The trunk.
    """
    rng, organ_rng = rngs
    scale, age = person.scale, person.age
    centres = {vertebra.level: vertebra.centre_mm for vertebra in spine.vertebrae}
    infiltration = float(np.clip(0.04 + 0.34 * (age - 40) / 50 + rng.normal(0, 0.07), 0.01, 0.6))
    pelvis = Pelvis(spine.sacrum, infiltration)
    margin = centres["L2"][2] + float(rng.normal(0, 8))
    heights = (pelvis.crest_mm, margin)
    outline = draw_outline(rng, person, spine.column, heights, bone_back(spine.sacrum))
    sink = float(rng.normal(0, 22 if is_randomised else 12))
    bulk = float(
        np.clip(
            rng.normal(1.06 - 0.10 * (age - 40) / 50 - 0.05 * (person.sex == "F"), 0.07), 0.7, 1.25
        )
    )
    return Trunk(
        outline=outline,
        abdomen=_draw_abdomen(organ_rng, person, outline, sink, is_randomised=is_randomised),
        muscles=draw_muscles(rng, spine.column, scale, infiltration, bulk),
        thorax=draw_thorax(rng, outline, centres, scale, sink, is_randomised=is_randomised),
        pelvis=pelvis,
        surroundings=draw_surroundings(rng, outline, scale, is_randomised=is_randomised),
        infiltration=infiltration,
    )


def _draw_abdomen(
    rng: np.random.Generator,
    person: Person,
    outline: Outline,
    sink_mm: float,
    *,
    is_randomised: bool,
) -> Abdomen:
    scale, plump = person.scale, person.plumpness
    kidneys = draw_kidneys(rng, outline.column, scale, plump, person.age)
    diet = Diet(
        has_oral_contrast=bool(rng.random() < (0.35 if is_randomised else 0.0)),
        gas=float(rng.uniform(0.4, 2.0) if is_randomised else rng.uniform(0.6, 1.3)),
        slack=float(np.clip(0.03 + 0.4 * plump + rng.normal(0, 0.08), 0.02, 0.75)),
    )
    gut = draw_gut(rng, outline, scale, diet)
    points = [gut_part.tube.points_mm for gut_part in gut[5:]]
    flat = [point for line in points for point in line]
    picks = rng.integers(0, max(len(flat), 1), 46 if flat else 0)
    targets = tuple((flat[int(i)][0], flat[int(i)][1], flat[int(i)][2]) for i in picks)
    hila = (kidneys[0].hilum_mm, kidneys[1].hilum_mm)
    return Abdomen(
        organs=(
            *draw_organs(rng, outline, scale, sink_mm),
            *draw_pelvic_organs(rng, outline, person),
        ),
        kidneys=kidneys,
        gut=gut,
        vessels=draw_vessels(
            rng,
            outline.column,
            (scale, person.age),
            hila,
            targets,
            is_limy=bool(is_randomised and rng.random() < LIMY_SHARE),
        ),
        seam_mm=float(SEAM_MM * (0.6 + 2.4 * plump) * rng.uniform(0.8, 1.2)),
    )
