"""Manifests as streams of images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from osteoscreen.batch.archive import open_archive
from osteoscreen.batch.manifest import images_of
from osteoscreen.batch.study import Study
from osteoscreen.errors import BatchError


def find_studies(root: Path) -> Iterator[Study]:
    return open_archive(str(root)).studies()


def test_a_manifest_in_csv_and_parquet_tells_the_same_studies(tmp_path: Path) -> None:
    images = ["x/a", "b.zip", "x/a"]
    rows = "\n".join(f"{image},{number}" for number, image in enumerate(images))
    (tmp_path / "m.csv").write_text(f"image,case_id\n{rows}\n")
    pq.write_table(pa.table({"image": images, "age": [1, 2, 3]}), tmp_path / "m.parquet")
    found = list(find_studies(tmp_path / "m.csv"))
    assert found == list(find_studies(tmp_path / "m.parquet"))
    assert [study.source for study in found] == [f"{tmp_path}/{image}" for image in images]
    assert len({study.key for study in found}) == 3  # one that stands there twice is screened twice


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


@pytest.mark.parametrize("name", ["m.csv", "m.parquet"])
def test_images_are_read_as_a_stream_up_to_the_row_that_cannot_be(name: str) -> None:
    """As of a manifest in a store, which is not read ahead."""
    images = ["a", "b\nc"]
    file = BytesIO()
    if name == "m.csv":
        file.write(b'image\na\n"b\nc"\n')
    else:
        pq.write_table(pa.table({"image": images}), file)
    stream = images_of(name, lambda: BytesIO(file.getvalue()))
    assert next(stream) == "a"
    with pytest.raises(BatchError, match=r"^m\..* no line break"):
        next(stream)
