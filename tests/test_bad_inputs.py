"""Every bad input comes to what it must, quickly, and ``docs/bad_inputs.md`` says so."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom.config import disable_value_validation

from bad_inputs import BAD, Bad, _deflate_bomb
from bundles import threshold_bundle
from osteoscreen.bundle import Bundle
from osteoscreen.summary import Row
from osteoscreen.workflow import screen_inputs

DOC = Path(__file__).parents[1] / "docs" / "bad_inputs.md"
HEAD = """# Bad inputs

Made by `tests/bad_inputs.py`, screened by `tests/test_bad_inputs.py`, which compares this table
with what came out (`OSTEOSCREEN_WRITE_DOCS=1` writes it anew). The bundle of these tests marks what
is bright and names no vertebra; what names and attenuation do with odd anatomy is in
[real_ct.md](real_ct.md). A reservation that every result of this bundle carries is left out.

| no. | input | outcome | reservations |
|---|---|---|---|
"""
ALWAYS = {"SYNTHETIC_TRAINING", "LEVELS_UNKNOWN", "DOUBTFUL"}


class _Silent:
    def begin(self, name: str, slices: int) -> None: ...

    def advance(self, slices: int) -> None: ...

    def end(self, row: Row) -> None: ...


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return threshold_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> dict[int, list[Row]]:
    """The rows that came of each input."""
    found = {}
    for index, bad in enumerate(BAD):
        home = tmp_path_factory.mktemp(f"bad{index}")
        (home / "in").mkdir()
        with disable_value_validation(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's, about what is wrong on purpose
            source = bad.make(home / "in")
        found[index] = screen_inputs([source], home / "out", bundle, _Silent())
    return found


def _codes(rows: list[Row]) -> tuple[str, ...]:
    return tuple(sorted(row.code or row.status for row in rows if row.status != "skipped"))


def _told(rows: list[Row]) -> set[str]:
    return {
        code for row in rows if row.status == "screened" for code in row.reservations.split(";")
    }


@pytest.mark.parametrize("index", range(len(BAD)), ids=[f"{b.number} {b.what}" for b in BAD])
def test_a_bad_input_comes_to_what_it_must(index: int, outcomes: dict[int, list[Row]]) -> None:
    bad, rows = BAD[index], outcomes[index]
    assert _codes(rows) == tuple(sorted(bad.codes)), [row.reason for row in rows]
    assert bad.told <= _told(rows)
    assert sum(row.status == "skipped" for row in rows) == bad.skipped
    assert all("\n" not in row.reason and "\x1b" not in row.reason for row in rows)


def _row(bad: Bad, rows: list[Row]) -> str:
    skipped = sum(row.status == "skipped" for row in rows)
    outcome = ", ".join(_codes(rows)) + (f", {skipped} skipped" if skipped else "")
    told = ", ".join(sorted(_told(rows) - ALWAYS - {""}))
    return f"| {bad.number} | {bad.what} | {outcome} | {told} |\n"


def test_the_table_of_the_documents_is_what_came_out(outcomes: dict[int, list[Row]]) -> None:
    table = HEAD + "".join(_row(bad, outcomes[index]) for index, bad in enumerate(BAD))
    if os.environ.get("OSTEOSCREEN_WRITE_DOCS"):
        DOC.write_text(table, encoding="utf-8")
    assert DOC.read_text(encoding="utf-8") == table


MEGABYTE = 2**20


def test_a_deflate_bomb_is_refused_at_once_and_in_little_memory(tmp_path: Path) -> None:
    bomb = _deflate_bomb(tmp_path)
    assert 1.4 < bomb.stat().st_size / MEGABYTE < 1.7
    script = (
        "import resource, sys, time\n"
        "from pathlib import Path\n"
        "from osteoscreen.dicom.discovery import find_series\n"
        "from osteoscreen.errors import InputError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "start = time.perf_counter()\n"
        "try:\n"
        "    find_series(Path(sys.argv[1]))\n"
        "except InputError as error:\n"
        "    print(error.code, time.perf_counter() - start,\n"
        "          resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(bomb)], capture_output=True, text=True, check=True
    )
    code, seconds, kilobytes = done.stdout.split()
    assert code == "TOO_LARGE"
    assert int(kilobytes) < 60 * 1024  # all it asks for is 1.6 GB
    assert float(seconds) < 20  # the figure itself is in docs/performance.md


def test_a_name_in_another_alphabet_comes_back_in_the_segmentation(
    tmp_path: Path, bundle: Bundle
) -> None:
    (japanese,) = (bad for bad in BAD if bad.number == "21")
    (tmp_path / "in").mkdir()
    with disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        japanese.make(tmp_path / "in")
        source = pydicom.dcmread(next((tmp_path / "in").iterdir()))
        wanted = str(source.PatientName)
    (row,) = screen_inputs([tmp_path / "in"], tmp_path / "out", bundle, _Silent())
    marks = pydicom.dcmread(tmp_path / "out" / row.folder / "segmentation.dcm")
    assert "山田" in wanted
    assert str(marks.PatientName) == wanted
    assert marks.SpecificCharacterSet == "ISO_IR 192"
