"""Small archives: studies of a few slices through a bright bone, in folders and zips."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from osteoscreen.dicom.instance import SeriesHeader, derived_uid, write_ct_series
from osteoscreen.volume import Volume

SIZE = 72
AFFINE = np.array([[0, 0, 1.5, -54], [0, 1.5, 0, -54], [4, 0, 0, 100], [0, 0, 0, 1.0]])


def write_study(
    folder: Path,
    name: str,
    *,
    patient: str = "",
    series: str = "1",
    hu: float = 360,
    slices: int = 4,
    study_date: str = "20240131",
    age: int = 63,
    sex: str = "F",
    model: str = "MODEL",
    kvp: float = 120,
) -> Path:
    """Write one series of a study and return its folder.

    Args:
        folder: Where its files go.
        name: Of the study; the study's UID follows from it.
        patient: Patient's ID; by default one of his own.
        series: Name of the series.
        hu: Attenuation of the bone.
        slices: How many.
        study_date: When, YYYYMMDD.
        age: In years.
        sex: F or M.
        model: Of the scanner.
        kvp: Tube voltage.
    """
    steps = np.arange(SIZE)
    volume = np.full((slices, SIZE, SIZE), -1000, np.float32)
    volume[:, 5:68, 4:69] = 40
    volume[:, np.hypot(steps[:, None] - 44, steps[None, :] - 28) <= 14] = hu
    header = SeriesHeader(
        patient_id=f"SECRET-{patient or name}",
        patient_name="DOE^JANE",
        sex="F" if sex == "F" else "M",
        age=age,
        study_date=study_date,
        study_uid=derived_uid(f"{name}/study"),
        series_uid=derived_uid(f"{name}/series/{series}"),
        frame_of_reference_uid=derived_uid(f"{name}/frame"),
        kvp=kvp,
        manufacturer="MAKER",
        model=model,
        kernel="soft",
    )
    write_ct_series(Volume(volume, AFFINE), header, folder)
    return folder


def write_archive(root: Path, studies: int) -> Path:
    """Write studies with ever brighter bones, the second one zipped, and a folder to be refused."""
    for number in range(studies):
        write_study(root / f"{number}" / "ct", f"{number}", hu=250 + 40 * number)
    zipped(root / "1" / "ct")
    (root / "bad").mkdir()
    (root / "bad" / "x.dcm").write_text("no DICOM")
    return root


def zipped(folder: Path) -> Path:
    """Replace a folder by a zip archive of it and return that."""
    archive = Path(shutil.make_archive(str(folder), "zip", folder))
    shutil.rmtree(folder)
    return archive
