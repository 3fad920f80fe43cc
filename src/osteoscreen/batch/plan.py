"""The plan of a run: what is screened, with what, and what is kept; an output folder has one."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from osteoscreen import __version__
from osteoscreen.batch.archive import Archive
from osteoscreen.batch.part import part_of, whole
from osteoscreen.bundle import Bundle
from osteoscreen.cohort.lock import LOCK
from osteoscreen.errors import BatchError

PLAN = "plan.json"

Keep = Literal["all", "flagged", "none"]


class Plan(BaseModel):
    """What makes the table of a run: a run with the same plan goes on, another one is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    archive: str = Field(description="address of a folder, manifest or query")
    bundle: str = Field(description="SHA-256 of the bundle's settings")
    keep: Keep = Field(description="which result folders are written")
    software: str = Field(default=__version__, description="version")
    salt: str = Field(
        default_factory=lambda: secrets.token_hex(16),
        repr=False,
        description="mixed into the hashes of the patients' identifiers, so that studies of one "
        "patient are linked within this run and with nothing outside it",
    )

    def differences(self, other: Plan) -> list[str]:
        """Say in what another plan differs, but for its salt."""
        return [
            f"{name} {getattr(self, name)}, not {getattr(other, name)}"
            for name in type(self).model_fields
            if name != "salt" and getattr(self, name) != getattr(other, name)
        ]


def plan_of(archive: Archive, bundle: Bundle, keep: Keep) -> Plan:
    """Return the plan of screening an archive."""
    return Plan(archive=archive.address, bundle=bundle.sha256, keep=keep)


def find_plan(out: Path, wanted: Plan) -> Plan | None:
    """Return the plan of an output folder with its salt; ``None`` where the folder is new.

    Args:
        out: Output folder; it need not exist.
        wanted: What is to be done there.
    Raises:
        BatchError: If the folder belongs to another run, or to something else.
    """
    path = out / PLAN
    if not path.is_file():
        begun = {LOCK, part_of(path).name}  # by a run that got no further
        if out.exists() and (not out.is_dir() or {one.name for one in out.iterdir()} - begun):
            raise BatchError(f"{out}: the output folder must be empty or a run's, it is neither")
        return None
    try:
        found = Plan.model_validate_json(path.read_bytes())
    except ValidationError:
        raise BatchError(f"{path}: the plan of a run must be whole, it is not") from None
    differences = found.differences(wanted)
    if differences:
        raise BatchError(f"{out}: the output folder belongs to another run: it has "
                         f"{'; '.join(differences)}")  # fmt: skip
    return found


def write_plan(plan: Plan, out: Path) -> None:
    """Write the plan of a new output folder, for its owner alone; it is whole or not there."""
    with whole(out / PLAN) as part:
        part.touch(0o600)
        part.write_text(plan.model_dump_json(indent=1) + "\n", encoding="utf-8")
