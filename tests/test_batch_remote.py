"""Archives in a store: a real S3 server on loopback."""

from __future__ import annotations

import errno
import logging
import pickle
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest
from fsspec import AbstractFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from archives import write_study, zipped
from bundles import threshold_bundle
from osteoscreen.batch import remote
from osteoscreen.batch.archive import Archive, open_archive
from osteoscreen.batch.plan import Keep, plan_of
from osteoscreen.batch.run import unfinished
from osteoscreen.batch.screener import Screener, screen_in_turn
from osteoscreen.batch.table import number_of, open_table
from osteoscreen.bundle import Bundle
from osteoscreen.cli import REFUSED, WRONG_USAGE, app
from osteoscreen.errors import BatchError, ServerError

BUCKET = "s3://bucket"
HOME = f"{BUCKET}/a"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with one of each: what is screened, what is refused, and what is no image."""
    root = tmp_path_factory.mktemp("archive")
    write_study(root / "0" / "1", "0", series="1")
    write_study(root / "0" / "2", "0", series="2")
    zipped(write_study(root / "1", "1"))
    _forget_uids(write_study(root / "2", "2"))
    _hide_study_uid(write_study(root / "3" / "1", "3", series="1"))
    write_study(root / "3" / "2", "3", series="2")
    (root / "bad").mkdir()
    (root / "bad" / "empty.dcm").touch()
    (root / "bad" / "x.dcm").write_text("no DICOM")
    (root / "bad" / "é.nii").write_text("no NIfTI")
    (root / "notes.txt").write_text("no image")
    return root


def _forget_uids(folder: Path) -> None:
    for file in folder.iterdir():
        image = pydicom.dcmread(file)
        del image.StudyInstanceUID, image.SeriesInstanceUID
        image.save_as(file)


def _hide_study_uid(folder: Path) -> None:
    """Write more before the study's UID than is read of a file at first."""
    for file in folder.iterdir():
        image = pydicom.dcmread(file)
        image.private_block(0x0009, "MAKER", create=True).add_new(
            0x01, "OB", bytes(remote.HEAD_BYTES)
        )
        image.save_as(file)


@pytest.fixture(scope="module")
def store(root: Path) -> Iterator[AbstractFileSystem]:
    """A bucket with the archive; it may be read by what the environment tells."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "key")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        store = fsspec.filesystem("s3", use_listings_cache=False)
        store.mkdir("bucket")
        store.put(f"{root}/", HOME, recursive=True)
        yield store
    server.stop()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return threshold_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary folders."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def _rows(archive: Archive, bundle: Bundle, out: Path, keep: Keep = "none") -> list[dict[str, Any]]:
    plan = plan_of(archive, bundle, keep).model_copy(update={"salt": "00" * 16})
    screener = pickle.loads(pickle.dumps(Screener(plan, archive, bundle.folder, out)))
    return [row for told in screen_in_turn(screener, archive.studies()) for row in told]


def test_an_archive_in_a_store_ends_in_the_table_of_one_on_disk(
    tmp_path: Path, temporary: Path, root: Path, store: AbstractFileSystem, bundle: Bundle
) -> None:
    here = _rows(open_archive(str(root)), bundle, tmp_path)
    there = _rows(open_archive(HOME), bundle, tmp_path)
    for row in here:
        row["input"] = row["input"].replace(str(root), HOME)
        row["reason"] = row["reason"].replace(str(root), HOME)
    assert there == here
    assert sorted({row["status"] for row in there}) == ["refused", "screened", "skipped"]
    assert {row["input"] for row in there} == {
        f"{HOME}/{name}" for name in ("0", "1.zip", "2", "3", "bad", "bad/é.nii")
    }
    assert not any(temporary.iterdir())


def test_what_is_kept_has_the_same_name_each_time(
    tmp_path: Path, store: AbstractFileSystem, bundle: Bundle
) -> None:
    once, again = (_rows(open_archive(HOME), bundle, tmp_path / name, "all") for name in "ab")
    assert once == again
    kept = [row["folder"] for row in once if row["folder"]]
    assert len(set(kept)) == 4
    assert all((tmp_path / "a" / "results" / folder).is_dir() for folder in kept)


def test_what_is_finished_is_not_found_again(store: AbstractFileSystem) -> None:
    archive = open_archive(f"{HOME}/")
    assert archive.address == HOME
    studies = list(archive.studies())
    finished = np.sort(np.array([number_of(study.key) for study in studies[1:]], np.uint64))
    assert list(unfinished(archive, finished)) == studies[:1]


def test_studies_are_found_as_a_stream(store: AbstractFileSystem) -> None:
    """A study that is written while others are found is found, if it is not among the next ones."""
    count = 2 * remote.REQUESTS
    for number in range(count):
        store.pipe(f"{BUCKET}/stream/{number:03d}/x.dcm", b"no DICOM")
    studies = open_archive(f"{BUCKET}/stream").studies()
    first = next(studies)
    store.pipe(f"{BUCKET}/stream/{count - 1:03d}/later/x.dcm", b"no DICOM")
    found = [first, *studies]
    assert [study.source for study in found[:-1]] == [
        f"{BUCKET}/stream/{number:03d}" for number in range(count)
    ]
    assert found[-1].source == f"{BUCKET}/stream/{count - 1:03d}/later"


def test_a_folder_whose_name_no_disk_could_hold_is_left_out(store: AbstractFileSystem) -> None:
    for name in ("a/x.dcm", "/y.dcm", "a//z.dcm", "../x.dcm", "a/./x.dcm", f"{'b' * 256}/x.dcm"):
        store.pipe(f"{BUCKET}/odd/{name}", b"no DICOM")
    (study,) = open_archive(f"{BUCKET}/odd").studies()
    assert study.source == f"{BUCKET}/odd/a"


@pytest.mark.parametrize("is_parquet", [True, False])
def test_a_manifest_in_a_store_tells_the_studies_of_one_on_disk(
    tmp_path: Path, root: Path, store: AbstractFileSystem, bundle: Bundle, is_parquet: bool
) -> None:
    images = ["a/0", "a/1.zip", "a/nowhere", "a/3/2/0000.dcm", "a/2/"]
    if is_parquet:
        name = "m.parquet"
        pq.write_table(pa.table({"image": images}), tmp_path / name)
    else:
        name = "m.csv"
        (tmp_path / name).write_text("\n".join(["image", *images]))
    store.put(str(tmp_path / name), f"{BUCKET}/{name}")
    (tmp_path / "a").symlink_to(root)
    here = _rows(open_archive(str(tmp_path / name)), bundle, tmp_path)
    there = _rows(open_archive(f"{BUCKET}/{name}"), bundle, tmp_path)
    same = ("study", "series", "status", "code", "osteoporosis", "attenuation_hu")
    assert [[row[one] for one in same] for row in there] == [
        [row[one] for one in same] for row in here
    ]
    assert [row["input"] for row in there if row["code"] == "NO_INPUT"] == [f"{HOME}/nowhere"]


def test_a_row_of_a_manifest_without_an_image_downloads_nothing(
    tmp_path: Path, store: AbstractFileSystem, bundle: Bundle
) -> None:
    store.pipe(f"{BUCKET}/empty.csv", b"image,case_id\n,1\n")
    (row,) = _rows(open_archive(f"{BUCKET}/empty.csv"), bundle, tmp_path)
    assert row["code"] == "NO_INPUT"
    assert row["reason"].startswith(f"{BUCKET}: an image must not be a folder")


def test_a_manifest_in_a_store_with_wrong_columns_is_refused(store: AbstractFileSystem) -> None:
    store.pipe(f"{BUCKET}/wrong.csv", b"image,colour\na,b\n")
    with pytest.raises(BatchError, match=r"^s3://bucket/wrong.csv: .* got colour$"):
        open_archive(f"{BUCKET}/wrong.csv")


def test_a_downloaded_study_is_gone_after_an_error(
    temporary: Path, store: AbstractFileSystem
) -> None:
    archive = open_archive(HOME)
    study = next(study for study in archive.studies() if study.folders)
    with pytest.raises(ZeroDivisionError), archive.fetched(study) as fetched:  # noqa: PT012
        assert fetched.source.is_relative_to(temporary)
        assert study.key in str(fetched.source)  # so that the log of a failure tells the study
        assert [len(list(folder.iterdir())) for folder in fetched.folders] == [4, 4]
        raise ZeroDivisionError
    assert not any(temporary.iterdir())


def test_a_full_disk_ends_the_run_while_a_study_is_downloaded(
    temporary: Path, store: AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = open_archive(HOME)
    study = next(study for study in archive.studies() if study.folders)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with (
        pytest.raises(ServerError, match="the disk must take what is written, got: No space left"),
        archive.fetched(study),
    ):
        pass
    assert not any(temporary.iterdir())


def test_a_study_that_is_not_there_any_more_is_a_row(
    tmp_path: Path, temporary: Path, store: AbstractFileSystem, bundle: Bundle
) -> None:
    store.pipe(f"{BUCKET}/lost/a.zip", b"a zip")
    archive = open_archive(f"{BUCKET}/lost")
    (study,) = archive.studies()
    store.rm(f"{BUCKET}/lost/a.zip")
    screener = Screener(plan_of(archive, bundle, "none"), archive, bundle.folder, tmp_path)
    (row,) = screener.screen(study)
    assert (row["status"], row["code"], row["input"]) == ("refused", "NO_INPUT", study.source)
    assert row["reason"].startswith(f"{study.source}: the input must be there and readable, got: ")
    assert "FileNotFoundError" in row["reason"]
    assert not any(temporary.iterdir())


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (f"{BUCKET}/nowhere", "must be there and readable, got: FileNotFoundError"),
        ("s3://other/a", "must be there and readable, got: .* bucket does not exist"),
        (f"{HOME}/notes.txt", "must be a folder, or a CSV or Parquet file"),
        ("nope://a/b", "scheme must be one that fsspec knows"),
        ("gs://a/b", r"package must be installed, got: .*gcsfs"),
        ("s3://key:word@bucket/a", "must hold no user, password or query"),
        ("s3://word@bucket/a", "must hold no user, password or query"),
        ("https://host/a.csv?sig=word@", "must hold no user, password or query"),
        ("s3://[word@", "^s3://: an address must be well formed, got: Invalid IPv6 URL"),
    ],
)
def test_what_cannot_be_opened_is_wrong_usage(
    tmp_path: Path, store: AbstractFileSystem, address: str, message: str
) -> None:
    result = CliRunner().invoke(app, ["batch", address, "--out", str(tmp_path / "out")])
    assert result.exit_code == WRONG_USAGE
    assert result.stderr.count("\n") == 1
    with pytest.raises(BatchError, match=message) as raised:
        open_archive(address)
    assert result.stderr == f"error: {raised.value}\n"
    assert "word@" not in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture
def out_of_reach(store: AbstractFileSystem, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No store where the environment says, and one try of fsspec's to reach it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(type(store), "retries", 1)
    type(store).clear_instance_cache()
    yield
    type(store).clear_instance_cache()


@pytest.mark.usefixtures("out_of_reach")
def test_a_store_that_does_not_answer_is_told_in_a_line() -> None:
    with pytest.raises(
        BatchError, match=f"^{HOME}: the store must answer, got: Endpoint"
    ) as raised:
        open_archive(HOME)
    assert "\n" not in str(raised.value)


def test_a_store_that_stops_to_answer_ends_search_and_screening(
    store: AbstractFileSystem, request: pytest.FixtureRequest
) -> None:
    """No study gets a row for it: the next run goes on."""
    archive = open_archive(HOME)
    study = next(archive.studies())
    request.getfixturevalue("out_of_reach")
    archive = pickle.loads(pickle.dumps(archive))
    with pytest.raises(BatchError, match="must answer"):
        next(archive.studies())
    with pytest.raises(ServerError, match="must answer, got: EndpointConnectionError"):
        archive.fetched(study).__enter__()


def test_an_archive_that_may_not_be_listed_is_told_in_a_line() -> None:
    fsspec.register_implementation("guarded", GuardedStore, clobber=True)
    fsspec.filesystem("guarded").pipe("/locked/x.dcm", b"")
    with pytest.raises(BatchError, match=r"^guarded://locked: .* got: PermissionError"):
        next(open_archive("guarded://locked").studies())


class GuardedStore(MemoryFileSystem):  # type: ignore[misc] # fsspec has no types
    """A store with a folder that may not be listed, and a file that may not be read."""

    protocol = "guarded"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("guarded:/")))

    def ls(self, path: str, detail: bool = True, **more: Any) -> Any:  # noqa: ANN401 - of fsspec
        if path.endswith("locked"):
            raise PermissionError(path)
        return super().ls(path, detail, **more)

    def cat_file(self, path: str, **more: Any) -> Any:  # noqa: ANN401 - of fsspec
        if path.endswith("locked.dcm"):
            raise PermissionError(path)
        return super().cat_file(path, **more)


def test_what_may_not_be_read_does_not_stop_the_others(tmp_path: Path, bundle: Bundle) -> None:
    fsspec.register_implementation("guarded", GuardedStore, clobber=True)
    store = fsspec.filesystem("guarded")
    for name in ("locked/x.dcm", "b/locked.dcm", "c/x.dcm"):
        store.pipe(f"/a/{name}", bytes(200))
    rows = _rows(open_archive("guarded://a"), bundle, tmp_path)
    assert [row["input"] for row in rows] == [
        f"guarded:///a/{name}" for name in ("b", "c", "locked")
    ]
    assert [row["code"] for row in rows] == ["NOT_DICOM", "NOT_DICOM", "NO_INPUT"]
    assert "PermissionError" in rows[-1]["reason"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_the_command_screens_a_store_on_ray(
    tmp_path: Path, root: Path, store: AbstractFileSystem, bundle: Bundle
) -> None:
    out = tmp_path / "out"
    command = ["batch", HOME, "--out", str(out), "--bundle", str(bundle.folder), "--workers", "1"]
    asked = CliRunner().invoke(app, [*command, "--dry-run"])
    assert f"6 studies in {HOME}, 0 finished, 6 to do" in asked.output
    result = CliRunner().invoke(app, command)
    assert result.exit_code == REFUSED, result.output
    rows = open_table(out / "table").to_table().to_pylist()
    wanted = _rows(open_archive(HOME), bundle, tmp_path)
    same = ("study", "series", "status", "input", "reason")
    assert sorted([row[one] for one in same] for row in rows) == sorted(
        [row[one] for one in same] for row in wanted
    )
    again = CliRunner().invoke(app, [*command, "--dry-run"])
    assert f"6 studies in {HOME}, 6 finished, 0 to do" in again.output
