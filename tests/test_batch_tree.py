"""Studies of a tree of folders, found one by one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from archives import write_study, zipped
from osteoscreen.batch.archive import open_archive
from osteoscreen.batch.study import Study
from osteoscreen.intake import Unit, find_units


def find_studies(root: Path) -> Iterator[Study]:
    return open_archive(str(root)).studies()


def _sources(root: Path) -> list[str]:
    return [study.source.removeprefix(f"{root}/") for study in find_studies(root)]


def test_series_folders_of_one_study_are_one(tmp_path: Path) -> None:
    write_study(tmp_path / "p" / "s" / "1", "A", series="1")
    write_study(tmp_path / "p" / "s" / "2", "A", series="2")
    write_study(tmp_path / "p" / "t" / "1", "B")
    one, other = find_studies(tmp_path)
    assert one.source == str(tmp_path / "p" / "s")
    assert one.folders == (f"{tmp_path}/p/s/1", f"{tmp_path}/p/s/2")
    assert other.folders == (other.source,) == (f"{tmp_path}/p/t/1",)


def test_series_folders_of_two_studies_side_by_side_are_two_studies(tmp_path: Path) -> None:
    for name, series in (("A", "1"), ("A", "2"), ("B", "1")):
        write_study(tmp_path / f"{name}{series}", name, series=series)
    one, other = find_studies(tmp_path)
    assert [len(study.folders) for study in (one, other)] == [2, 1]
    assert one.source == str(tmp_path)
    with find_units(tmp_path, None, tuple(map(Path, one.folders))) as found:
        units = [unit for unit in found if isinstance(unit, Unit)]
    assert len(units) == 1
    assert len(units[0].following) == 1


def test_archives_and_volume_files_are_studies(tmp_path: Path) -> None:
    zipped(write_study(tmp_path / "b" / "z", "A"))
    (tmp_path / "b" / "a.nii.gz").touch()
    (tmp_path / "b" / "notes.txt").write_text("no image")
    (tmp_path / "empty").mkdir()
    assert _sources(tmp_path) == ["b/a.nii.gz", "b/z.zip"]


def test_a_folder_whose_files_tell_no_study_is_found_to_be_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.dcm").write_text("no DICOM")
    assert _sources(tmp_path) == ["a", "b"]


def test_a_file_that_tells_nothing_does_not_hide_its_folders_study(tmp_path: Path) -> None:
    write_study(tmp_path / "a", "A")
    (tmp_path / "a" / "0.dcm").write_text("no DICOM")
    write_study(tmp_path / "b", "A", series="2")
    (study,) = find_studies(tmp_path)
    assert len(study.folders) == 2


def test_keys_depend_on_the_place_in_the_archive_alone(tmp_path: Path) -> None:
    for name in ("A", "B"):
        write_study(tmp_path / "here" / name, name)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    here, there = (
        [study.key for study in find_studies(tmp_path / place)] for place in ("here", "there")
    )
    assert here == there
    assert len(set(here)) == 2


def test_studies_are_found_as_a_stream(tmp_path: Path) -> None:
    for name in ("A", "B", "C"):
        write_study(tmp_path / name, name)
    stream = find_studies(tmp_path)
    first = list(islice(stream, 1))
    write_study(tmp_path / "C" / "later", "D")  # found, for nothing was listed ahead of the walk
    assert len([*first, *stream]) == 4
