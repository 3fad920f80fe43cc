"""A model bundle: both networks as ONNX with their settings, checked and run without PyTorch.

A bundle is a folder: ``segmenter.onnx``, ``classifier.onnx``, ``bundle.json``, ``MODEL_CARD.md``,
and ``levels.onnx`` where it names vertebrae. Weights are stored as float16 and computed in float32.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from osteoscreen import texts
from osteoscreen.cores import on_all_cores
from osteoscreen.errors import BundleError
from osteoscreen.findings import CONDITIONS, BundleReference

SCHEMA: Literal["osteoscreen.bundle/1"] = "osteoscreen.bundle/1"
SETTINGS, CARD = "bundle.json", "MODEL_CARD.md"
SEGMENTER, CLASSIFIER, LEVELS = "segmenter.onnx", "classifier.onnx", "levels.onnx"

PLACES = ("above", "T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5", "S1", "below")
"""Places along the body that LevelNet tells apart, from the head down: ``above`` is the chest and
what lies over it, ``below`` the pelvis from S2 down and the legs."""

BUNDLED = "phantom-v1"
"""The bundle in the package; trained on synthetic CT only."""

BATCH = 2
"""Slices a call: a core is no faster with more, and few slices are shared out evenly."""

FloatArray = NDArray[np.float32]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class SegmenterSettings(_Section):
    """What MS-Net sees and gives."""

    size: int = Field(ge=64, description="rows and columns of the grid")
    spacing_mm: float | None = Field(gt=0, description="pixel spacing; null: as scanned")
    window_hu: tuple[float, float]
    marks: tuple[Literal["vertebra", "body"], ...] = Field(min_length=1)
    threshold: float = Field(default=0.5, gt=0, lt=1)


class ClassifierSettings(_Section):
    """What BCC-Net sees and gives."""

    size: int = Field(ge=32)
    window_hu: tuple[float, float]
    mark: Literal["vertebra", "body"]
    fill: float = Field(default=0.9, gt=0, le=1)
    channels: Literal[1, 3] = 1
    class_names: tuple[str, ...] = tuple(CONDITIONS)
    temperature: float = Field(default=1.0, gt=0)
    conformal_quantile: float | None = Field(
        default=None, ge=0, le=1, description="a class with 1 - p up to this is in the set"
    )
    conformal_coverage: float | None = Field(default=None, gt=0, lt=1)

    @property
    def sees(self) -> tuple[object, ...]:
        """What decides about a roi: classifiers that see alike read the same rois."""
        return self.size, self.window_hu, self.mark, self.fill

    @model_validator(mode="after")
    def _names_the_classes(self) -> Self:
        if self.class_names != tuple(CONDITIONS):
            raise ValueError(f"class_names must be {tuple(CONDITIONS)}, got {self.class_names}")
        return self


class LevelSettings(_Section):
    """What LevelNet sees and gives."""

    size: int = Field(ge=32, description="rows and columns of the view")
    spacing_mm: float = Field(gt=0, description="pixel spacing of the view")
    soft_window_hu: tuple[float, float] = (-1024.0, 200.0)
    bone_window_hu: tuple[float, float] = (-200.0, 1000.0)
    places: tuple[str, ...] = PLACES

    @model_validator(mode="after")
    def _names_the_places(self) -> Self:
        if self.places != PLACES:
            raise ValueError(f"places must be {PLACES}, got {self.places}")
        return self


class TypicalSettings(_Section):
    """The calibration patients, for ``osteoscreen.screening.unlike``."""

    mean: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...] = Field(description="inverse of the covariance")
    limit: float = Field(gt=0, description="a score above it is unlike them")


class OperatingPoints(_Section):
    """Thresholds of the decision; the paper gives the rules (section 3.5), not the numbers."""

    clear_probability: float = Field(
        default=0.6, gt=0, lt=1, description="a class is clear from here on"
    )
    smallest_mark_mm2: float = Field(
        default=300.0, gt=0, description="a smaller vertebral mark is not classified"
    )
    area_share: float = Field(
        default=0.6, gt=0, le=1, description="share of the largest mark that a slice must reach"
    )
    thickest_mm: float = Field(default=7.5, gt=0, description="thicker slices allow no statement")
    noisiest_hu: float = Field(
        default=150.0, gt=0, description="a larger spread of trabecular HU allows no statement"
    )
    level_confidence: float = Field(
        default=0.8, gt=0, lt=1, description="names of vertebrae are sure from here on"
    )
    sensitive_probability: float | None = Field(
        default=None,
        ge=0,
        description="P(osteoporosis) from which on 90 % of the calibration patients with "
        "osteoporosis are found",
    )
    specific_probability: float | None = Field(
        default=None,
        ge=0,
        description="P(osteoporosis) below which 90 % of the other calibration patients lie",
    )


class TrainedOn(_Section):
    """What the acquisition must be like for the result to mean what the card says."""

    is_synthetic: bool
    description: str
    kvp: tuple[float, float]
    thickness_mm: tuple[float, float]

    @property
    def notice(self) -> str:
        """What every output says of the use and of the training."""
        return texts.NOTICE if self.is_synthetic else texts.OWN_DATA_NOTICE


class BundleSettings(_Section):
    """``bundle.json``."""

    schema_version: Literal["osteoscreen.bundle/1"] = Field(default=SCHEMA, alias="schema")
    name: str
    version: str
    segmenter: SegmenterSettings
    classifier: ClassifierSettings
    levels: LevelSettings | None = Field(default=None, description="null: levels are not named")
    typical: TypicalSettings | None = Field(
        default=None, description="null: whether a patient is unlike them is not known"
    )
    operating_points: OperatingPoints = OperatingPoints()
    trained_on: TrainedOn
    runs: dict[str, Any] = Field(description="records of the trainings: recipe, data, hardware")
    metrics: dict[str, Any] = Field(description="held-out figures with intervals")
    sha256: dict[str, str] = Field(description="checksum of each file")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.classifier.mark not in self.segmenter.marks:
            raise ValueError(
                f"the classifier needs the mark {self.classifier.mark}, got {self.segmenter.marks}"
            )
        for low, high in (self.segmenter.window_hu, self.classifier.window_hu):
            if not low < high:
                raise ValueError(f"window_hu must rise, got {(low, high)}")
        return self


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Args:
        folder: Where it lies.
        settings: ``bundle.json``.
        sha256: Hash of ``bundle.json``, which holds the hashes of all other files.
    """

    folder: Path
    settings: BundleSettings
    sha256: str

    @property
    def reference(self) -> BundleReference:
        """Name, version and hash, as a result carries them."""
        return BundleReference(
            name=self.settings.name, version=self.settings.version, sha256=self.sha256
        )

    def marks(self, grey: FloatArray) -> FloatArray:
        """Run MS-Net.

        Args:
            grey: Slices on the bundle's grid, grey 0..255, shape (slices, size, size).
        Returns: Mark probabilities, shape (slices, marks, size, size).
        """
        return _run(self._segmenter, grey[:, None])

    def logits(self, rois: FloatArray) -> FloatArray:
        """Run BCC-Net.

        Args:
            rois: Grey 0..255, shape (slices, size, size).
        Returns: Logits before the temperature, shape (slices, 3).
        """
        channels = self.settings.classifier.channels
        return _run(self._classifier, np.repeat(rois[:, None], channels, axis=1))

    def level_logits(self, views: FloatArray) -> FloatArray:
        """Run LevelNet.

        Args:
            views: Grey and marks 0..255, shape (slices, 4, size, size).
        Returns: Logits, shape (slices, places).
        """
        return _run(self._levels, views)

    @cached_property
    def _segmenter(self) -> Any:  # noqa: ANN401 - onnxruntime carries no types
        return _session(self.folder / SEGMENTER)

    @cached_property
    def _classifier(self) -> Any:  # noqa: ANN401 - onnxruntime carries no types
        return _session(self.folder / CLASSIFIER)

    @cached_property
    def _levels(self) -> Any:  # noqa: ANN401 - onnxruntime carries no types
        return _session(self.folder / LEVELS)


def load_bundle(folder: Path | None = None) -> Bundle:
    """Read and verify a bundle.

    Args:
        folder: A bundle folder; ``None`` for the one in the package.
    Returns: The bundle; its networks are opened when they are first run.
    Raises:
        BundleError: If a file is missing or changed, or the settings are of another version.
    """
    home = folder or Path(str(resources.files("osteoscreen") / "models" / BUNDLED))
    path = home / SETTINGS
    if not path.is_file():
        raise BundleError(f"{home}: a model bundle must hold {SETTINGS}, it does not")
    raw = path.read_bytes()
    try:
        settings = BundleSettings.model_validate_json(raw)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise BundleError(f"{path}: {wrong}") from None
    needed = (SEGMENTER, CLASSIFIER) if settings.levels is None else (SEGMENTER, CLASSIFIER, LEVELS)
    for name in needed:
        if name not in settings.sha256:
            raise BundleError(f"{path}: a checksum of {name} is needed, there is none")
    for name, expected in settings.sha256.items():
        file = home / name
        found = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "no file"
        if found != expected:
            raise BundleError(f"{file}: the checksum must be {expected[:12]}, got {found[:12]}")
    return Bundle(home, settings, hashlib.sha256(raw).hexdigest())


def write_settings(settings: BundleSettings, folder: Path) -> None:
    """Write ``bundle.json`` with the checksums of the other files of the bundle.

    Args:
        settings: What to write; its own checksums are replaced.
        folder: The bundle's; files that are not there yet get no checksum.
    """
    names = (SEGMENTER, CLASSIFIER, LEVELS, CARD)
    checksums = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in names
        if (folder / name).is_file()
    }
    complete = settings.model_copy(update={"sha256": checksums})
    text = json.dumps(complete.model_dump(mode="json", by_alias=True), indent=1)
    (folder / SETTINGS).write_text(text + "\n", encoding="utf-8")


CPU = "CPUExecutionProvider"
GPU = ("CUDAExecutionProvider", {"use_tf32": "0"})
"""Used where ONNX Runtime's GPU build is installed; TF32 has ten bits of mantissa, too few here."""


def _session(path: Path) -> Any:  # noqa: ANN401 - onnxruntime carries no types
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # slices are run side by side instead
    there = onnxruntime.get_available_providers()
    gpu = [GPU] if GPU[0] in there else []
    return onnxruntime.InferenceSession(path, options, providers=[*gpu, CPU])


def _run(session: Any, images: FloatArray) -> FloatArray:  # noqa: ANN401 - as above
    name = session.get_inputs()[0].name
    batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    if len(batches) == 1:  # as from a caller that runs on all cores itself
        return np.asarray(session.run(None, {name: images})[0], np.float32)
    parts = on_all_cores(lambda batch: session.run(None, {name: batch})[0], batches)
    return np.concatenate(list(parts)).astype(np.float32)
