"""osteoscreen reads a routine CT and says how the bone looks. Research use only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# ONNX Runtime would tell its maker which models are opened, from 1.29 on also on Linux. It reads
# this as it is loaded, whichever module is the first to load it.

if TYPE_CHECKING:
    from os import PathLike

    from osteoscreen.findings import ScreeningResult

__version__ = "0.1.0"


def screen(
    path: str | PathLike[str],
    *,
    bundle: str | PathLike[str] | None = None,
    mask: str | PathLike[str] | None = None,
) -> ScreeningResult:
    """Screen one CT study or image.

    Args:
        path: DICOM file, folder, DICOMDIR or zip archive of one study, or a volume file in HU.
        bundle: Folder of a model bundle; ``None`` for the one in the package.
        mask: Marks from elsewhere: a label file of TotalSegmentator, VerSe or osteoscreen on the
            image's grid, or a DICOM SEG of the series.
    Returns: The result; ``status`` is ``"screened"``, or ``"refused"`` where no lumbar vertebra was
        found.
    Raises:
        osteoscreen.errors.InputError: If the input cannot be screened; ``code`` says why.
        osteoscreen.errors.BundleError: If the bundle is incomplete or changed.
    """
    from pathlib import Path

    from osteoscreen.bundle import load_bundle
    from osteoscreen.workflow import screen_path

    loaded = load_bundle(None if bundle is None else Path(bundle))
    return screen_path(Path(path), bundle=loaded, mask=None if mask is None else Path(mask))
