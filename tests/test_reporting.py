"""The report again from a result: the same bytes, without pixels; bad results say why."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from bundles import threshold_bundle
from osteoscreen.cli import WRONG_USAGE, app
from osteoscreen.errors import ResultError
from osteoscreen.reporting import PAGE, PDF, PICTURES, REPORT_FILES, RESULT, RING, report_again
from osteoscreen.workflow import Silent, screen_inputs
from pdf_words import pages, words


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A screened and a refused result."""
    home = tmp_path_factory.mktemp("results")
    bundle = threshold_bundle(home / "bundle")
    hu = np.full((20, 72, 72), -1000, np.float32)
    hu[:, 5:68, 4:69] = 40
    soft = hu.copy()
    hu[:, 30:58, 14:42] = 330
    found: dict[str, Path] = {}
    for name, image in (("screened", hu), ("refused", soft)):
        file = home / f"{name}.nii"
        nibabel.save(nibabel.Nifti1Image(image.T, np.diag([-1.5, -1.5, 4, 1])), file)
        (row,) = screen_inputs([file], home / name, bundle, Silent())
        assert row.status == name
        found[name] = home / name / row.folder
    return found


@pytest.mark.parametrize("status", ["screened", "refused"])
def test_the_report_again_is_the_same_to_the_byte(
    folders: dict[str, Path], tmp_path: Path, status: str
) -> None:
    source = folders[status]
    copy = tmp_path / source.name
    copy.mkdir()
    for name in (RESULT, *PICTURES.values()):
        if (source / name).is_file():
            shutil.copy(source / name, copy / name)
    done = CliRunner().invoke(app, ["report", str(copy)])
    assert done.exit_code == 0
    assert str(copy / PDF) in done.output
    written = {path.name for path in copy.iterdir()}
    assert written == {path.name for path in source.iterdir()} & set(REPORT_FILES)
    assert (RING in written) == (status == "screened")
    for name in written:
        assert (copy / name).read_bytes() == (source / name).read_bytes(), name


def test_a_result_is_found_by_its_file_and_without_its_pictures(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copy(folders["screened"] / RESULT, tmp_path / RESULT)
    assert report_again(tmp_path / RESULT) == tmp_path
    assert pages((tmp_path / PDF).read_bytes()) == 1
    assert (tmp_path / PAGE).read_text().count("<img") == 1  # the ring


@pytest.mark.parametrize(
    ("name", "is_shown"),
    [
        ("series-0123456789ab", True),
        ("DOE^JANE 19500101", False),
        ("series-0123456789ab DOE", False),
        ("series-DOE", False),
    ],
)
def test_a_folder_is_named_only_by_its_hash(
    folders: dict[str, Path], tmp_path: Path, name: str, *, is_shown: bool
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(folders["screened"] / RESULT, folder / RESULT)
    report_again(folder)
    pdf = (folder / PDF).read_bytes()
    for said in ((folder / PAGE).read_text(), words(pdf), pdf.decode("latin-1")):
        assert (name in said) is is_shown
        assert "DOE" not in said
        assert "Bone report" in said


def test_page_and_pdf_say_the_same(folders: dict[str, Path]) -> None:
    printed = words((folders["refused"] / PDF).read_bytes())
    page = (folders["refused"] / PAGE).read_text()
    for said in ("Not screened", "NO_LUMBAR", "Research use only."):
        assert said in printed
        assert said in page


def test_what_is_no_result_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="is needed, there is none"):
        report_again(tmp_path)
    (tmp_path / RESULT).write_text('{"schema": "osteoscreen.result/0"}')
    with pytest.raises(ResultError, match=r"result\.json: not a result of this version"):
        report_again(tmp_path)
    (tmp_path / RESULT).write_bytes(b"\x00\xff")
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert done.exit_code == WRONG_USAGE
    assert done.stderr.count("\n") == 1


def test_a_picture_that_is_none_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copy(folders["screened"] / RESULT, tmp_path / RESULT)
    (tmp_path / "overlay.png").write_bytes(b"GIF89a")
    with pytest.raises(ResultError, match=r"overlay\.png: .* must be a PNG"):
        report_again(tmp_path)
