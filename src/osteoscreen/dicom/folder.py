"""A folder of an archive: which study its images are of, by one header."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from osteoscreen.dicom.header import is_dicom, read_header, text
from osteoscreen.errors import InputError

DIRECTORY = "DICOMDIR"
"""Name of the directory of a medium (PS3.10, section 8.6); it is no image."""


def study_uid_of(files: Iterable[Path]) -> str | None:
    """Return the Study Instance UID of the first DICOM file that tells one.

    Args:
        files: The files of one folder.
    Returns: The UID; empty where no DICOM file tells one, ``None`` where there is no DICOM file.
    """
    is_found = False
    for file in files:
        try:
            if file.name == DIRECTORY or not (is_dicom(file) or file.suffix.lower() == ".dcm"):
                continue
            is_found = True
            uid = text(read_header(file, keywords=("StudyInstanceUID",)), "StudyInstanceUID")
        except (InputError, OSError):
            is_found = True
            continue
        if uid:
            return uid
    return "" if is_found else None
