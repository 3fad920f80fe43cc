"""``osteoscreen batch`` as it is typed."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from archives import write_archive, write_study
from bundles import threshold_bundle
from interruption import screen_in_loop
from osteoscreen.batch.archive import Archive, open_archive
from osteoscreen.batch.run import Run
from osteoscreen.batch.table import open_table
from osteoscreen.bundle import Bundle
from osteoscreen.cli import WRONG_USAGE, app

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

STUDIES = 3
runner = CliRunner()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return threshold_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return open_archive(str(write_archive(tmp_path_factory.mktemp("archive"), STUDIES)))


def _command(archive: str, out: Path, bundle: Bundle, *more: str) -> list[str]:
    return ["batch", archive, "--out", str(out), "--bundle", str(bundle.folder), *more]


@pytest.mark.parametrize(
    ("is_there", "message"),
    [(True, "must hold DICOM, zip or NIfTI"), (False, "must be a folder, or a CSV")],
)
def test_an_archive_without_studies_is_wrong_usage(
    tmp_path: Path, bundle: Bundle, is_there: bool, message: str
) -> None:
    if is_there:
        (tmp_path / "in").mkdir()
    result = runner.invoke(app, _command(str(tmp_path / "in"), tmp_path / "out", bundle))
    assert result.exit_code == WRONG_USAGE
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("is_auto", [False, True])
def test_an_unreachable_cluster_is_wrong_usage(
    tmp_path: Path,
    archive: Archive,
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    is_auto: bool,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    asked = "auto" if is_auto else address
    result = runner.invoke(app, _command(archive.address, tmp_path / "out", bundle, "--ray", asked))
    assert result.exit_code == WRONG_USAGE
    assert f"{address}: a Ray cluster must answer, got: " in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    tmp_path: Path, archive: Archive, bundle: Bundle
) -> None:
    result = runner.invoke(app, _command(archive.address, tmp_path / "out", bundle, "--dry-run"))
    assert result.exit_code == 0
    assert (
        f"{STUDIES + 1} studies in {archive.address}, 0 finished, {STUDIES + 1} to do"
        in result.output
    )
    assert not (tmp_path / "out").exists()


def test_auto_is_wrong_usage_where_no_cluster_is_known(
    tmp_path: Path, archive: Archive, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where Ray notes its latest cluster
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", set)  # others may run here
    result = runner.invoke(
        app, _command(archive.address, tmp_path / "out", bundle, "--ray", "auto")
    )
    assert result.exit_code == WRONG_USAGE
    assert "auto: a Ray cluster must answer, got: none on this machine" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,colour\na,b\n", "got colour"),
        ('image\na\n"b\n', "up to line 3: a manifest must be a CSV file"),
    ],
)
def test_a_manifest_that_cannot_be_read_to_its_end_is_wrong_usage(
    tmp_path: Path, bundle: Bundle, text: str, message: str
) -> None:
    (tmp_path / "m.csv").write_text(text)
    result = runner.invoke(app, _command(str(tmp_path / "m.csv"), tmp_path / "out", bundle))
    assert result.exit_code == WRONG_USAGE
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def _written(folder: Path) -> dict[str, bytes]:
    return {str(one): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_the_second_of_two_runs_in_one_folder_is_wrong_usage(
    tmp_path: Path, archive: Archive, bundle: Bundle
) -> None:
    run = Run(archive, tmp_path / "out", bundle)
    with run.claimed():
        before = _written(run.out)
        result = runner.invoke(app, _command(archive.address, run.out, bundle))
        assert _written(run.out) == before
    assert result.exit_code == WRONG_USAGE
    assert f"{run.out}: a folder is written by one run at a time" in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_folder_of_another_run_is_wrong_usage(
    tmp_path: Path, archive: Archive, bundle: Bundle
) -> None:
    run = Run(archive, tmp_path / "out", bundle)
    screen_in_loop(run)
    before = _written(run.out)
    result = runner.invoke(app, _command(archive.address, run.out, bundle, "--keep", "all"))
    assert result.exit_code == WRONG_USAGE
    assert f"{run.out}: the output folder belongs to another run" in result.stderr
    assert result.stderr.count("\n") == 1
    assert _written(run.out) == before


def test_what_is_new_in_an_archive_is_screened_and_old_rows_stay(
    tmp_path: Path, bundle: Bundle
) -> None:
    """One study goes, one comes, one grows by a folder and one within its folder."""
    root = write_archive(tmp_path / "archive", 4)
    run = Run(open_archive(str(root)), tmp_path / "out", bundle)
    screen_in_loop(run)
    before = open_table(run.table).to_table().to_pylist()
    shutil.rmtree(root / "0")
    write_study(root / "2" / "later", "2", series="2")
    write_study(root / "3" / "ct", "3", series="2")
    write_study(root / "new" / "ct", "new")
    result = runner.invoke(app, _command(str(root), run.out, bundle, "--dry-run"))
    assert f"5 studies in {root}, 3 finished, 2 to do" in result.output
    screen_in_loop(run)
    after = open_table(run.table).to_table().to_pylist()
    added = [row for row in after if row not in before]
    assert all(row in after for row in before)
    assert {row["input"] for row in added} == {f"{root}/2", f"{root}/new/ct"}
    assert {row["study"] for row in added}.isdisjoint(row["study"] for row in before)
