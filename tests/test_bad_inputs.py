"""Every bad input comes to what it must, quickly, and ``docs/bad_inputs.md`` says so."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.config import disable_value_validation

from bad_inputs import BAD, Bad, deflate_bomb, extension_bomb, nifti_bomb, series, zip_bomb
from bundles import threshold_bundle
from osteoscreen.bundle import Bundle
from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.header import MAX_INFLATED_BYTES, PIECE_BYTES
from osteoscreen.errors import InputError
from osteoscreen.summary import Row
from osteoscreen.workflow import Silent, screen_inputs

DOC = Path(__file__).parents[1] / "docs" / "bad_inputs.md"
FIGURES = Path(__file__).parents[1] / "results" / "hostile_files.json"
HEAD = """# Bad inputs

Made by `tests/bad_inputs.py`, screened by `tests/test_bad_inputs.py`, which compares this table
with what came out (`OSTEOSCREEN_WRITE_DOCS=1` writes it anew). The bundle of these tests marks what
is bright and names no vertebra; what names and attenuation do with odd anatomy is in
[real_ct.md](real_ct.md). A reservation that every result of this bundle carries is left out.
*Same*: the result and the picture of the slices are those of the plain, uncompressed series to the
last digit. HTJ2K has no row, since nothing here writes it; that its decoder is there is tested.

Hostile files, by `PYTHONPATH=tests python benchmarks/hostile_files.py`; at most 2 s, 200 MB each:

{hostile}
| no. | input | outcome | reservations |
|---|---|---|---|
"""
ALWAYS = {"SYNTHETIC_TRAINING", "LEVELS_UNKNOWN", "DOUBTFUL"}


@dataclass(frozen=True)
class Outcome:
    """What came of one input: its rows, and the results of those that were screened."""

    rows: list[Row]
    results: list[dict[str, Any]]

    def is_same(self, other: Outcome) -> bool:
        """Whether both hold one result, the same one."""
        return len(self.results) == 1 and self.results == other.results


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return threshold_bundle(tmp_path_factory.mktemp("bundle"))


def _outcome(make: Callable[[Path], object], home: Path, bundle: Bundle) -> Outcome:
    (home / "in").mkdir()
    with disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, about what is wrong on purpose
        source = make(home / "in")
    assert isinstance(source, Path)
    rows = screen_inputs([source], home / "out", bundle, Silent())
    return Outcome(rows, [_result(home / "out" / row.folder) for row in rows if row.folder])


def _result(folder: Path) -> dict[str, Any]:
    """What a result says of the image, and its picture."""
    said: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    picture = hashlib.sha256((folder / "overlay.png").read_bytes()).hexdigest()
    return {
        key: value for key, value in said.items() if key not in ("timing_s", "subject")
    } | {"picture": picture}  # fmt: skip


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Outcome:
    """What comes of a good series, uncompressed."""
    return _outcome(
        lambda folder: series(folder)[0].parent, tmp_path_factory.mktemp("good"), bundle
    )


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> list[Outcome]:
    return [
        _outcome(bad.make, tmp_path_factory.mktemp(f"bad{index}"), bundle)
        for index, bad in enumerate(BAD)
    ]


def _codes(rows: list[Row]) -> tuple[str, ...]:
    return tuple(sorted(row.code or row.status for row in rows if row.status != "skipped"))


def _told(rows: list[Row]) -> set[str]:
    return {
        code for row in rows if row.status == "screened" for code in row.reservations.split(";")
    }


@pytest.mark.parametrize("index", range(len(BAD)), ids=[f"{b.number} {b.what}" for b in BAD])
def test_a_bad_input_comes_to_what_it_must(
    index: int, outcomes: list[Outcome], plain: Outcome
) -> None:
    bad, rows = BAD[index], outcomes[index].rows
    assert _codes(rows) == tuple(sorted(bad.codes)), [row.reason for row in rows]
    assert bad.told <= _told(rows)
    assert sum(row.status == "skipped" for row in rows) == bad.skipped
    assert all("\n" not in row.reason and "\x1b" not in row.reason for row in rows)
    if bad.is_same:
        assert outcomes[index].results == plain.results


def _row(bad: Bad, outcome: Outcome, plain: Outcome) -> str:
    skipped = sum(row.status == "skipped" for row in outcome.rows)
    came = ", ".join(_codes(outcome.rows)) + (f", {skipped} skipped" if skipped else "")
    same = ", same" if outcome.is_same(plain) else ""
    told = ", ".join(sorted(_told(outcome.rows) - ALWAYS - {""}))
    return f"| {bad.number} | {bad.what} | {came}{same} | {told} |\n"


def _hostile() -> str:
    """The table of the benchmark's figures."""
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    head = "| file | size, MB | asks for, MB | outcome | s | MB more |\n|---|---|---|---|---|---|\n"
    return head + "".join(
        f"| {what} | {one['size_mb']:g} | {one['asked_mb']:g} | {one['outcome']} "
        f"| {one['seconds']:g} | {one['more_mb']:g} |\n"
        for what, one in figures["files"].items()
    )


def test_the_table_of_the_documents_is_what_came_out(
    outcomes: list[Outcome], plain: Outcome
) -> None:
    table = HEAD.format(hostile=_hostile()) + "".join(
        _row(bad, outcome, plain) for bad, outcome in zip(BAD, outcomes)
    )
    if os.environ.get("OSTEOSCREEN_WRITE_DOCS"):
        DOC.write_text(table, encoding="utf-8")
    assert DOC.read_text(encoding="utf-8") == table


LEAST = """
import resource
import sys
from pathlib import Path

from osteoscreen.errors import InputError
from osteoscreen.intake import Unit, find_units
from osteoscreen.nifti import read_nifti

pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + {more}
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
with find_units(Path(sys.argv[1])) as units:
    for found in units:
        try:
            print(read_nifti(found.source).hu.shape if isinstance(found, Unit) else found.code)
        except InputError as error:
            print(error.code)
"""
"""Looks at a file with little more memory than its imports took."""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs the size of a process")
@pytest.mark.parametrize(
    ("make", "outcome"),
    [
        (deflate_bomb, "TOO_LARGE"),
        (zip_bomb, "TOO_LARGE"),
        (nifti_bomb, "TOO_LARGE"),
        (extension_bomb, "(6, 72, 72)"),
    ],
    ids=["deflate", "zip", "nifti", "extension"],
)
def test_a_bomb_needs_little_memory(
    make: Callable[[Path], Path], outcome: str, tmp_path: Path
) -> None:
    script = LEAST.format(more=96 * 2**20)  # the bombs ask for 128 MiB and 1.6 GB
    done = subprocess.run(
        [sys.executable, "-c", script, str(make(tmp_path))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == outcome, done.stderr


def test_a_deflate_bomb_is_inflated_to_its_bound_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inflate, inflated = zlib.decompressobj, []

    class Counting:
        """An inflator that counts what it gives."""

        def __init__(self, bits: int) -> None:
            self._inflator = inflate(bits)

        def decompress(self, content: bytes, most: int) -> bytes:
            piece = self._inflator.decompress(content, most)
            inflated.append(len(piece))
            return piece

        def __getattr__(self, name: str) -> object:
            return getattr(self._inflator, name)

    bomb = deflate_bomb(tmp_path)
    monkeypatch.setattr(zlib, "decompressobj", Counting)
    with pytest.raises(InputError, match="must not inflate"):
        find_series(bomb)
    assert MAX_INFLATED_BYTES < sum(inflated) <= MAX_INFLATED_BYTES + PIECE_BYTES


def test_a_name_in_another_alphabet_comes_back_in_the_segmentation(
    tmp_path: Path, bundle: Bundle
) -> None:
    (japanese,) = (bad for bad in BAD if bad.what == "Japanese name")
    (tmp_path / "in").mkdir()
    with disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        japanese.make(tmp_path / "in")
        source = pydicom.dcmread(next((tmp_path / "in").iterdir()))
        wanted = str(source.PatientName)
    (row,) = screen_inputs([tmp_path / "in"], tmp_path / "out", bundle, Silent())
    marks = pydicom.dcmread(tmp_path / "out" / row.folder / "segmentation.dcm")
    assert "山田" in wanted
    assert str(marks.PatientName) == wanted
    assert marks.SpecificCharacterSet == "ISO_IR 192"
