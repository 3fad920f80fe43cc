"""What a bundle says about itself and its data: its card in TOML."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError

from osteoscreen.bundle import TrainedOn
from osteoscreen.errors import RecipeError


@dataclass(frozen=True)
class Provenance:
    """What the bundle says about its data.

    Args:
        name, version: Of the bundle.
        trained_on: Acquisition and nature of the training data.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    version: str
    trained_on: TrainedOn


def read_provenance(path: Path) -> Provenance:
    """Read the name, version and data of a bundle from TOML.

    Raises:
        RecipeError: If the file does not exist, or a setting is missing or wrong.
    """
    try:
        return TypeAdapter(Provenance).validate_python(tomllib.loads(path.read_text("utf-8")))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: the card must be a TOML file, {error}") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise RecipeError(f"{path}: {wrong}") from None
