"""Studies of an archive, found one by one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archives import write_study, zipped
from osteoscreen.batch.archive import open_archive
from osteoscreen.batch.study import Study
from osteoscreen.errors import BatchError, InputError
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


def test_a_manifest_in_csv_and_parquet_tells_the_same_studies(tmp_path: Path) -> None:
    images = ["x/a", "b.zip", "x/a"]
    rows = "\n".join(f"{image},{number}" for number, image in enumerate(images))
    (tmp_path / "m.csv").write_text(f"image,case_id\n{rows}\n")
    pq.write_table(pa.table({"image": images, "age": [1, 2, 3]}), tmp_path / "m.parquet")
    found = list(find_studies(tmp_path / "m.csv"))
    assert found == list(find_studies(tmp_path / "m.parquet"))
    assert [study.source for study in found] == [f"{tmp_path}/{image}" for image in images]
    assert len({study.key for study in found}) == 3  # one that stands there twice is screened twice


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,colour\na,b\n", "no other columns .* got colour"),
        ("case_id\na\n", "must have the column image"),
        ("", "must have the column image"),
        ("\udcff", "CSV file in UTF-8"),
    ],
)
def test_a_manifest_with_wrong_columns_is_refused_before_it_is_read(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(os.fsencode(text))
    with pytest.raises(BatchError, match=message) as raised:
        find_studies(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ('a,1\n"b,2\nc,3\n', r"m\.csv, up to line 4: .*, unexpected end of data"),
        ('a,1\n"b,2\nc,3\n"d",4\n', r"m\.csv, up to line 5: .*, ',' expected after '\"'"),
        ('a,1\n"b,2\nc",3\nd,4\n', r"m\.csv, up to line 4: .* no line break"),
        ('a,1\nb,"2\nc,3"\nd,4\n', r"m\.csv, up to line 4: .* no line break"),
        (f"a,1\n{'b' * 200_000},2\n", r"m\.csv, up to line 3: .*, field larger than"),
    ],
)
def test_a_row_that_cannot_be_read_is_told_before_any_study_is_found(
    tmp_path: Path, rows: str, message: str
) -> None:
    (tmp_path / "m.csv").write_text(f"image,case_id\n{rows}")
    with pytest.raises(BatchError, match=message) as raised:
        open_archive(str(tmp_path / "m.csv"))
    assert "\n" not in str(raised.value)


def test_an_image_with_a_line_break_is_refused_in_parquet_alike(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": ["a", "b\nc"]}), tmp_path / "m.parquet")
    with pytest.raises(BatchError, match=r"m\.parquet, row 2: .* no line break"):
        open_archive(str(tmp_path / "m.parquet"))


def test_a_parquet_manifest_is_refused_alike(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table({"image": ["a"], "colour": ["b"]}), path)
    with pytest.raises(BatchError, match="got colour"):
        find_studies(path)
    path.write_text("no Parquet")
    with pytest.raises(BatchError, match="must be a Parquet file"):
        find_studies(path)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match="must be a folder"):
        find_studies(tmp_path / "nowhere")


def test_a_study_is_whole_where_nothing_else_is_told() -> None:
    assert Study("0" * 16, "a.zip").folders == ()
