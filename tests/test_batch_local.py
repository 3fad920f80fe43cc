"""Archives on this machine's disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from archives import write_study, zipped
from osteoscreen.batch.archive import open_archive
from osteoscreen.errors import BatchError, InputError


def _sources(root: Path) -> list[str]:
    return [study.source.removeprefix(f"{root}/") for study in open_archive(str(root)).studies()]


def test_linked_folders_and_archives_are_left_out(tmp_path: Path) -> None:
    write_study(tmp_path / "a" / "1", "A")
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    zipped(write_study(tmp_path / "b" / "z", "B"))
    (tmp_path / "b" / "again.zip").symlink_to(tmp_path / "b" / "z.zip")
    assert _sources(tmp_path) == ["a/1", "b/z.zip"]


def test_a_link_in_a_circle_is_left_out(tmp_path: Path) -> None:
    write_study(tmp_path / "a", "A")
    for name in ("circle", "circle.zip", "circle.dcm"):
        (tmp_path / name).symlink_to(tmp_path / name)
        (tmp_path / "a" / name).symlink_to(tmp_path / "a" / name)
    assert _sources(tmp_path) == ["a"]


@pytest.mark.parametrize("image", ["", ".", "..", "a/..", "link", "/"])
def test_a_folder_that_the_manifest_lies_in_is_no_image(tmp_path: Path, image: str) -> None:
    write_study(tmp_path / "home" / "a", "A")
    (tmp_path / "home" / "link").symlink_to(tmp_path)
    (tmp_path / "home" / "m.csv").write_text(f"image,case_id\n{image},1\na,2\n")
    archive = open_archive(str(tmp_path / "home" / "m.csv"))
    above, below = archive.studies()
    with pytest.raises(InputError, match="a folder that the manifest lies in"):
        archive.fetched(above)
    with archive.fetched(below) as fetched:
        assert fetched.source == tmp_path / "home" / "a"


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match="must be a folder"):
        open_archive(str(tmp_path / "nowhere"))
