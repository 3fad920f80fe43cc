"""The spine T10 to S3: its vertebrae, how they stand on each other, and how they wear."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from osteoscreen.phantom.arch import ArchPlan, draw_arch
from osteoscreen.phantom.bone import Bone
from osteoscreen.phantom.capsule import Frame
from osteoscreen.phantom.column import Column
from osteoscreen.phantom.disc import Disc
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.implant import Implant
from osteoscreen.phantom.sacrum import Sacrum, draw_sacrum
from osteoscreen.phantom.vertebra import (
    TEXTURE_PITCH_MM,
    TEXTURE_STRETCH,
    BodyOutline,
    Endplate,
    Osteophyte,
    Vertebra,
)

Size = NDArray[np.float64]

THORACIC = ("T10", "T11", "T12")
SACRAL = ("S1", "S2", "S3")
LUMBAR_COUNTS, LUMBAR_SHARES = (4, 5, 6), (0.03, 0.93, 0.04)
"""Number of lumbar vertebrae and how often: transitional anatomy with a count other than five is
found in 4 to 8 % of adults (a chosen setting within that range)."""

THORACIC_SIZE_MM = {
    "T10": (31.0, 29.0, 22.5, 4.0),
    "T11": (34.0, 30.0, 23.5, 4.5),
    "T12": (38.0, 30.5, 25.0, 5.5),
}
LUMBAR_SIZE_MM = (
    (41.0, 31.0, 26.0, 7.0),
    (42.5, 32.0, 27.0, 8.5),
    (44.5, 33.0, 27.5, 9.5),
    (47.0, 33.5, 27.5, 10.5),
    (49.5, 34.0, 27.0, 10.0),
)
SACRAL_SIZE_MM = {
    "S1": (50.0, 32.0, 29.0, 2.5),
    "S2": (38.0, 23.0, 25.0, 1.0),
    "S3": (30.0, 17.0, 22.0, 1.0),
}
"""Body width, depth, height and the disc below, mm, of a person of 1.68 m; the lumbar ones from the
first to the last. Within 42-55 x 30-36 mm, height 26-28 and disc 5-12, chosen to look right beside
public CT."""

THORACIC_TILT_DEG = {"T10": -13.0, "T11": -12.5, "T12": -11.0}
LUMBAR_TILT_DEG = (-9.0, -5.0, 0.0, 8.0, 19.0)
SACRAL_TILT_DEG = {"S1": 36.0, "S2": 48.0, "S3": 58.0}
"""Tilt of the bodies against the axial plane at average lordosis; positive faces forward."""
SACRAL_UNEVEN_DEG = 2.0
"""Largest spread of the tilts of the sacral bodies, which are grown together: more, and at the
strongest lordosis one would lie above its upper neighbour."""

BRIDGE_ANGLE = -2.1
"""Mean place of bridging spurs: between front (-pi / 2) and right (pi)."""

FRACTURE_LOGIT, FRACTURE_LOGIT_PER_HU = -5.6, -0.033
FRACTURE_MIDDLE_HU, FRACTURE_LEAST_HU = 170.0, 60.0
"""Log odds of a compressed vertebra at the middle, for each HU that the patient's trabecular bone
lies above, and the attenuation below which they grow no more: 0.4 % of vertebrae at 170 HU, 2 % at
114, 12 % from 60 HU down (a chosen setting: prevalence grows about twofold a T-score of 22.5 HU).
One of L1 to L4 at least is broken in 1.3, 6.7 and 21 % of the patients of the three classes.
The attenuation decides and not the T-score, so that a fracture tells nothing of the class that the
attenuation does not: ``difficulty.py`` counts on it."""
FRACTURES_LOSS = ((0.9, 0.15), (0.25, 0.7), (0.7, 0.6))
FRACTURE_SHARES = (0.55, 0.3, 0.15)
"""Share of the lost height that goes at the front and in the middle: wedge, biconcave, crush; and
how often each is found (wedges are the commonest; a chosen setting)."""
COMPRESSED_DENSER = 0.6
"""A body that lost a share s of its height is denser by this times s: crushed and healed bone."""


@dataclass(frozen=True)
class SpineShape:
    """Curvature and wear of one spine.

    Args:
        scale: Size against a person of 1.68 m.
        lordosis: Factor on the tilts.
        scoliosis_deg: Largest side tilt.
        wear: 0 (young) to 1 (worn): thinner discs, osteophytes, sclerosis.
        lumbar_count: Number of lumbar vertebrae, 4 to 6.
        sclerosis: Factor on the dense bone under the endplates.
        uneven_deg: Spread of the tilt of each body around the curve; of the sacral ones 2 at most.
        bridging: 0 (none) to 1: broad, dense spurs that bridge the discs, as in diffuse
            idiopathic skeletal hyperostosis.
        sacral_deg: How much more than usual the sacrum is tilted; the last lumbar vertebra takes
            half of it.
    """

    scale: float
    lordosis: float
    scoliosis_deg: float
    wear: float
    lumbar_count: int = 5
    sclerosis: float = 1.0
    uneven_deg: float = 1.5
    bridging: float = 0.0
    sacral_deg: float = 0.0


@dataclass(frozen=True, eq=False)
class Spine:
    """The spine of one patient; the centre of L3 is the origin of the patient frame.

    Args:
        shape: Curvature and wear.
        vertebrae: T10 to the last lumbar vertebra, from the head down: these are marked.
        sacrum: The sacrum; painted, but not marked.
        column: The line through the centres of all bodies.
        implants: Screws, rods and cement.
        discs: What wear has left in each disc, from the head down; none for plain discs.
    """

    shape: SpineShape
    vertebrae: tuple[Vertebra, ...]
    sacrum: Sacrum
    column: Column
    implants: tuple[Implant, ...] = field(default=())
    discs: tuple[Disc, ...] = field(default=())

    @property
    def bodies(self) -> tuple[Vertebra, ...]:
        """All bodies, those of the sacrum included, from the head down."""
        return (*self.vertebrae, *self.sacrum.bodies)

    def vertebra(self, level: str) -> Vertebra:
        """Return one vertebra by name, such as ``"L3"``.

        Raises: KeyError if the patient has no vertebra of that name.
        """
        return {one.level: one for one in self.bodies}[level]


def draw_spine(rng: np.random.Generator, bone: Bone, shape: SpineShape) -> Spine:
    """Draw all vertebrae.

    Args:
        rng: Source of every draw.
        bone: Density and texture that the vertebrae share.
        shape: Size, curvature and wear.
    Returns: The spine, without implants.
    """
    lumbar = tuple(f"L{number + 1}" for number in range(shape.lumbar_count))
    levels = (*THORACIC, *lumbar, *SACRAL)
    sizes = _sizes(rng, shape, levels)
    frames = _frames(rng, shape, levels, sizes)
    places = _positions(levels, shape.lumbar_count)
    bodies = []
    for level in levels:
        own = np.random.default_rng(rng.integers(2**63))
        drawing = _Drawing(own, bone, shape, level, sizes[level], frames[level], places[level])
        bodies.append(drawing.vertebra())
    rising = np.array([one.centre_mm for one in reversed(bodies)])
    column = Column(tuple(rising[:, 2]), tuple(rising[:, 0]), tuple(rising[:, 1]))
    count = len(levels) - len(SACRAL)
    sacrum = draw_sacrum(rng, tuple(bodies[count:]), shape.scale)
    return Spine(shape, tuple(bodies[:count]), sacrum, column)


def _positions(levels: tuple[str, ...], lumbar_count: int) -> dict[str, float]:
    """Place of a level: 0 at the first lumbar vertebra, 1 at the last."""
    first = levels.index("L1")
    return {level: (i - first) / (lumbar_count - 1) for i, level in enumerate(levels)}


def _typical(
    levels: tuple[str, ...], lumbar_count: int, lumbar: Size, others: dict[str, Size]
) -> dict[str, Size]:
    """Spread a table of five lumbar vertebrae over those that there are."""
    places = _positions(levels, lumbar_count)
    grid = np.linspace(0, 1, len(lumbar))
    return {
        level: others[level]
        if level in others
        else np.array([np.interp(places[level], grid, column) for column in lumbar.T])
        for level in levels
    }


def _sizes(rng: np.random.Generator, shape: SpineShape, levels: tuple[str, ...]) -> dict[str, Size]:
    others = {level: np.array(size) for level, size in (THORACIC_SIZE_MM | SACRAL_SIZE_MM).items()}
    typical = _typical(levels, shape.lumbar_count, np.array(LUMBAR_SIZE_MM), others)
    sizes = {level: typical[level] * shape.scale * rng.normal(1, 0.025, 4) for level in levels}
    for level in levels:
        sizes[level][3] *= 1 - 0.55 * shape.wear * rng.random()
    return sizes


def _frames(
    rng: np.random.Generator, shape: SpineShape, levels: tuple[str, ...], sizes: dict[str, Size]
) -> dict[str, Frame]:
    others = {
        level: np.array([tilt]) for level, tilt in (THORACIC_TILT_DEG | SACRAL_TILT_DEG).items()
    }
    lumbar = np.array(LUMBAR_TILT_DEG)[:, None]
    tilts = _typical(levels, shape.lumbar_count, lumbar, others)
    phase = rng.uniform(0, 2 * np.pi)
    last = f"L{shape.lumbar_count}"
    axes = {}
    for index, level in enumerate(levels):
        uneven = min(shape.uneven_deg, SACRAL_UNEVEN_DEG) if level in SACRAL else shape.uneven_deg
        more = 1.0 if level in SACRAL else 0.5 if level == last else 0.0
        usual = float(tilts[level][0]) * shape.lordosis + more * shape.sacral_deg
        tilt = np.radians(usual + rng.normal(0, uneven))
        side = np.radians(shape.scoliosis_deg * np.sin(index * 0.75 + phase) + rng.normal(0, 0.8))
        turn = 0.6 * side + np.radians(rng.normal(0, 1.0))
        matrix = _turn((1, 2), tilt) @ _turn((0, 2), side) @ _turn((0, 1), turn)
        axes[level] = matrix.astype(np.float32)
    centres = _centres(levels, sizes, axes)
    return {level: Frame(centres[level], axes[level]) for level in levels}


def _turn(plane: tuple[int, int], angle: float) -> Size:
    """Return a rotation; in double precision, so that its products are the same everywhere."""
    matrix = np.eye(3)
    i, j = plane
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[i, j], matrix[j, i] = np.sin(angle), -np.sin(angle)
    return matrix


def _centres(
    levels: tuple[str, ...], sizes: dict[str, Size], axes: dict[str, Array]
) -> dict[str, tuple[float, float, float]]:
    """Stack the bodies: each disc is shared by the axes of the bodies above and below."""
    position = np.zeros(3)
    places = {levels[0]: position}
    for above, below in pairwise(levels):
        position = (
            position
            - axes[above][2] * (sizes[above][2] / 2 + sizes[above][3] / 2)
            - axes[below][2] * (sizes[below][2] / 2 + sizes[above][3] / 2)
        )
        places[below] = position
    origin = places["L3"]
    return {
        level: (float(p[0] - origin[0]), float(p[1] - origin[1]), float(p[2] - origin[2]))
        for level, p in places.items()
    }


@dataclass(frozen=True, eq=False)
class _Drawing:
    """What is known of a vertebra before the rest of it is drawn."""

    rng: np.random.Generator
    bone: Bone
    shape: SpineShape
    level: str
    size: Size
    frame: Frame
    position: float

    def vertebra(self) -> Vertebra:
        rng = self.rng
        width, depth, height, disc = (float(value) for value in self.size)
        is_sacral = self.level in SACRAL
        loss, upper, lower = self._endplates(height, can_break=not is_sacral)
        plan = ArchPlan(self.position, depth, height, self.shape.scale, self.shape.wear)
        return Vertebra(
            level=self.level,
            frame=self.frame,
            outline=self._outline(width, depth),
            height_mm=height,
            upper=upper,
            lower=lower,
            disc_mm=disc,
            trabecular_hu=float(
                (self.bone.trabecular_hu + rng.normal(0, 5)) * (1 + COMPRESSED_DENSER * loss)
            ),
            height_loss=loss,
            arch=() if is_sacral else draw_arch(rng, plan),
            osteophytes=() if is_sacral else self._osteophytes(),
            texture=self._texture(),
        )

    def _outline(self, width: float, depth: float) -> BodyOutline:
        rng, place = self.rng, float(np.clip(self.position, -0.5, 1))
        waves = tuple(
            (float(abs(rng.normal(0, 0.016)) / (1 + 0.3 * order)), float(rng.uniform(0, 2 * np.pi)))
            for order in range(5)
        )
        return BodyOutline(
            width_mm=width,
            depth_mm=depth,
            exponent=float(rng.uniform(2.1, 2.55)),
            notch=float(max(rng.normal(0.15 - 0.09 * place, 0.03), 0.02)),
            waist=float(rng.uniform(0.04, 0.11)),
            waves=waves,
        )

    def _endplates(self, height: float, *, can_break: bool) -> tuple[float, Endplate, Endplate]:
        """Height loss and both endplates: wedge, both concave, or crushed."""
        rng = self.rng
        above = max(self.bone.trabecular_hu, FRACTURE_LEAST_HU) - FRACTURE_MIDDLE_HU
        odds = np.exp(FRACTURE_LOGIT + FRACTURE_LOGIT_PER_HU * above)
        is_broken = bool(rng.random() < odds / (1 + odds)) and can_break
        loss = float(rng.uniform(0.2, 0.45)) if is_broken else 0.0
        front, dip = FRACTURES_LOSS[rng.choice(len(FRACTURES_LOSS), p=FRACTURE_SHARES)]
        upper_share = float(rng.uniform(0.5, 0.9))
        lost = loss * height
        upper = self._endplate(lost * upper_share * front, lost * upper_share * dip)
        lower = self._endplate(lost * (1 - upper_share) * front, lost * (1 - upper_share) * dip)
        return loss, upper, lower

    def _endplate(self, front_mm: float, dip_mm: float) -> Endplate:
        rng, bone = self.rng, self.bone
        thin = 0.6 + 0.4 * bone.cortex_mm
        concavity = rng.uniform(1.0, 2.4) + 0.8 * max(bone.coarseness - 1, 0)
        return Endplate(
            concavity_mm=float(concavity + dip_mm),
            front_mm=float(front_mm + rng.normal(0, 0.3)),
            side_mm=float(rng.normal(0, 0.5)),
            thickness_mm=float(rng.uniform(0.5, 1.0) * thin),
            sclerosis_hu=float(
                self.shape.sclerosis * (rng.uniform(10, 60) + 70 * self.shape.wear * rng.random())
            ),
        )

    def _osteophytes(self) -> tuple[Osteophyte, ...]:
        rng, wear = self.rng, self.shape.wear
        plain = tuple(
            Osteophyte(
                float(rng.uniform(-np.pi, 0.6)), float(rng.uniform(1, 1 + 6 * wear)), bool(up)
            )
            for up in rng.integers(0, 2, rng.poisson(2.5 * wear))
        )
        return plain + self._bridges() if self.shape.bridging else plain

    def _bridges(self) -> tuple[Osteophyte, ...]:
        """Spurs of a bridging spine, most of them right of the front: the aorta keeps the left."""
        rng, much, disc = self.rng, self.shape.bridging, float(self.size[3])
        return tuple(
            Osteophyte(
                angle=float(rng.normal(BRIDGE_ANGLE, 0.7)),
                size_mm=float(rng.uniform(2, 3 + 8 * much)),
                is_upper=bool(up),
                breadth=float(rng.uniform(0.25, 0.6)),
                tall_mm=float(rng.uniform(3, 9)),
                lip_mm=float(rng.uniform(0.2, 0.8) * disc),
                dense_hu=float(rng.uniform(0, 500)),
            )
            for up in rng.integers(0, 2, rng.poisson(5 * much))
        )

    def _texture(self) -> tuple[Array, ...]:
        """Patches, coarse and fine grain; loss shifts the spread towards the coarse one."""
        bone = self.bone
        coarse_share = np.clip(0.35 + 0.4 * (bone.coarseness - 1), 0.1, 0.8)
        spreads = (
            PATCH_SHARE * abs(bone.trabecular_hu) + 3.0,
            bone.trabecular_sd_hu * np.sqrt(coarse_share),
            bone.trabecular_sd_hu * np.sqrt(1 - coarse_share),
        )
        lattices = []
        for pitch, spread in zip(TEXTURE_PITCH_MM, spreads):
            pitches = (pitch * TEXTURE_STRETCH, pitch, pitch)
            shape = [int(extent / one) + 3 for extent, one in zip((38, 46, 66), pitches)]
            lattice = self.rng.standard_normal(shape, dtype=np.float32)
            lattices.append(np.float32(spread / INTERPOLATED_SD) * lattice)
        return tuple(lattices)


PATCH_SHARE = 0.07
"""Spread of the patches of marrow against the mean attenuation."""
INTERPOLATED_SD = float((2 / 3) ** 1.5)
"""Standard deviation of a white 3-D lattice, interpolated linearly at random points: the mean of
the squared weights is 2/3 along each axis."""
