"""Archives that are what a DICOMweb query finds: from a small server, and from Orthanc."""

from __future__ import annotations

import json
import pickle
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pydicom
import pytest
from pydicom.uid import RLELossless
from typer.testing import CliRunner

import orthanc
from archives import write_study
from bundles import threshold_bundle
from dicomweb_peer import Peer, files_of, listening
from orthanc import Orthanc
from osteoscreen.batch.archive import Archive, open_archive
from osteoscreen.batch.plan import PLAN, plan_of
from osteoscreen.batch.query import QueryArchive, open_query
from osteoscreen.batch.screener import Screener, screen_in_turn
from osteoscreen.batch.table import TABLE, open_table
from osteoscreen.bundle import Bundle
from osteoscreen.cli import REFUSED, WRONG_USAGE, app
from osteoscreen.dicom import web
from osteoscreen.dicom.instance import derived_uid
from osteoscreen.dicom.web import PASSWORD, TOKEN, USER
from osteoscreen.errors import BatchError, ServerError

STUDIES = 3


@pytest.fixture(autouse=True)
def _is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "BACKOFF_MS", 1)
    for name in (USER, PASSWORD, TOKEN):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return threshold_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three studies; the first has two series, the second is compressed, the third is refused."""
    root = tmp_path_factory.mktemp("archive")
    write_study(root / "0" / "1", "0", hu=250)
    write_study(root / "0" / "2", "0", hu=250, series="2", slices=3)
    for file in write_study(root / "1", "1", hu=300).glob("*.dcm"):
        instance = pydicom.dcmread(file)
        instance.compress(RLELossless)
        instance.save_as(file)
    write_study(root / "2", "2", age=12)
    return root


def _rows(records: Iterator[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    rows = [row for told in records for row in told]
    return sorted(rows, key=lambda row: str(row["series"]))


def _screened(archive: Archive, bundle: Bundle, out: Path) -> list[dict[str, Any]]:
    plan = plan_of(archive, bundle, "none").model_copy(update={"salt": "ab" * 16})
    return _rows(screen_in_turn(Screener(plan, archive, bundle.folder, out), archive.studies()))


OF_THE_PLACE = {"study", "input", "reason", "folder"}
"""Columns that say where a study lies."""


def _findings(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: row[key] for key in row if key not in OF_THE_PLACE} for row in rows]


def test_an_address_is_a_server_and_what_to_match() -> None:
    asked = "dicomweb+https://pacs.example:8443/dicom-web/?StudyDate=2020-&PatientName=A%20B*"
    archive = open_query(asked.replace("2020-", "20200101-"))
    assert archive.server.address == "https://pacs.example:8443/dicom-web"
    assert dict(archive.filters) == {
        "ModalitiesInStudy": "CT",
        "PatientName": "A B*",
        "StudyDate": "20200101-",
    }
    assert open_query(archive.address) == archive
    assert pickle.loads(pickle.dumps(archive)) == archive


def test_the_order_of_keywords_makes_no_other_plan() -> None:
    one, other = (
        open_archive(f"dicomweb+http://a/b?{query}")
        for query in ("StudyDate=20200101&StudyID=1", "StudyID=1&StudyDate=20200101")
    )
    assert one == other


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("dicomweb+ftp://a/b", "a query must be dicomweb"),
        ("dicomweb+https:///b", "a query must be dicomweb"),
        ("dicomweb+https://a:b/c", "a query must be dicomweb"),
        ("dicomweb+https://[a/c", "a query must be dicomweb"),
        ("dicomweb+https://a/b#c", "a query must be dicomweb"),
        ("dicomweb+https://a/b?s3cret", "a query must be dicomweb"),
        ("dicomweb+https://a/b?Colour=s3cret&token=s3cret", "^https://a/b: .*got Colour, token$"),
        ("dicomweb+https://a/b?limit=1", "got limit$"),
        ("dicomweb+https://a/b?Modality=CT", "got Modality$"),
        ("dicomweb+https://a/b?StudyID=", "does not give StudyID one"),
        ("dicomweb+https://a/b?StudyID=1&StudyID=2", "does not give StudyID one"),
        ("dicomweb+https://a/b?StudyDate=2020-01-01", "must be YYYYMMDD or .* got 2020-01-01"),
        ("dicomweb+https://u:s3cret@a/b", "^https://a/b: .*no user or password.*DICOMWEB_TOKEN$"),
        ("dicomweb+https://s3cret@a/b", "^https://a/b: .*no user or password"),
    ],
)
def test_what_cannot_be_asked_is_told_in_one_line_without_secrets(
    tmp_path: Path, bundle: Bundle, address: str, message: str
) -> None:
    with pytest.raises(BatchError, match=message):
        open_archive(address)
    command = ["batch", address, "--out", str(tmp_path / "out"), "--bundle", str(bundle.folder)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == WRONG_USAGE
    assert result.stderr.count("\n") == 1
    assert "s3cret" not in result.output
    assert not (tmp_path / "out").exists()


def test_a_server_that_is_not_there_is_wrong_usage(tmp_path: Path, bundle: Bundle) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = ["batch", f"dicomweb+{address}", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*command, "--bundle", str(bundle.folder)])
    assert result.exit_code == WRONG_USAGE
    line = f"error: {address}: a DICOMweb server must answer, got: Connection refused\n"
    assert result.stderr == line
    assert not (tmp_path / "out").exists()


@pytest.fixture
def peer(folder: Path) -> Iterator[Peer]:
    with listening(Peer({"1.2.3": {"1.3.1": ("CT", files_of(folder / "0" / "1"))}})) as peer:
        yield peer


def _asked(peer: Peer) -> QueryArchive:
    return open_query(f"dicomweb+{peer.address}")


def test_values_reach_the_server_as_they_were_meant(peer: Peer) -> None:
    archive = open_query(f"dicomweb+{peer.address}/?PatientName=M%C3%BCller%5EA+B*")
    assert len(list(archive.studies())) == 1
    asked = dict(parse_qsl(peer.asked[-1].partition("?")[2]))
    expected = {"ModalitiesInStudy": "CT", "PatientName": "Müller^A B*"}
    assert {keyword: asked[keyword] for keyword in expected} == expected


def test_a_study_is_fetched_for_a_while(peer: Peer, folder: Path) -> None:
    (study,) = _asked(peer).studies()
    assert study.source == f"{peer.address}/studies/1.2.3"
    with _asked(peer).fetched(study) as fetched:
        assert files_of(fetched.source) == files_of(folder / "0" / "1")
    assert not fetched.source.exists()


def test_keys_do_not_depend_on_the_order_of_a_server(peer: Peer) -> None:
    keys = []
    for uids in (["1.2.3", "1.2.4"], ["1.2.4", "1.2.3"]):
        peer.studies = {uid: {} for uid in uids}
        keys.append({study.source: study.key for study in _asked(peer).studies()})
    assert keys[0] == keys[1]
    assert len(set(keys[0].values())) == 2


@pytest.mark.parametrize("uid", ["../x", "1.2\n3", "", "%2e%2e"])
def test_a_study_under_what_is_no_uid_is_a_row(
    peer: Peer, bundle: Bundle, tmp_path: Path, uid: str
) -> None:
    peer.studies = {uid: {}}
    (row,) = _screened(_asked(peer), bundle, tmp_path)
    assert (row["status"], row["code"]) == ("refused", "NO_INPUT")
    assert row["input"].startswith(f"{peer.address}/studies/")
    assert "\n" not in row["input"] + row["reason"]


def test_a_torn_study_is_a_row_and_the_others_are_screened(
    peer: Peer, bundle: Bundle, tmp_path: Path
) -> None:
    peer.studies["1.2.4"] = {"1.3.2": ("CT", [])}
    rows = _screened(_asked(peer), bundle, tmp_path)
    assert [row["status"] for row in rows] == ["refused", "screened"]
    reason = f"{peer.address}/studies/1.2.4: a series must come whole, got 0 of 0 instances"
    assert (rows[0]["code"], rows[0]["reason"]) == ("TRUNCATED", reason)


def test_a_server_that_is_gone_makes_no_rows(peer: Peer, bundle: Bundle, tmp_path: Path) -> None:
    archive = _asked(peer)
    screener = Screener(plan_of(archive, bundle, "none"), archive, bundle.folder, tmp_path)
    (study,) = archive.studies()
    peer.failing = lambda _: 503
    with pytest.raises(ServerError, match="503 Service Unavailable"):
        screener.screen(study)


def test_a_full_disk_ends_the_run_while_a_study_is_fetched(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (study,) = _asked(peer).studies()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with (
        pytest.raises(ServerError, match="the disk must take what is written, got: No space left"),
        _asked(peer).fetched(study),
    ):
        pass


needs_orthanc = pytest.mark.skipif(not orthanc.IS_HERE, reason="Orthanc is not installed")


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Orthanc]:
    """An Orthanc that holds the three studies, and a study without CT."""
    with orthanc.running(tmp_path_factory.mktemp("orthanc")) as server:
        server.store(folder)
        other = write_study(tmp_path_factory.mktemp("other"), "no CT", slices=2)
        for file in other.glob("*.dcm"):
            instance = pydicom.dcmread(file)
            instance.Modality = "MR"
            instance.save_as(file)
        server.store(other)
        yield server


@pytest.fixture
def _has_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(USER, orthanc.USER)
    monkeypatch.setenv(PASSWORD, orthanc.PASSWORD)


def _query(pacs: Orthanc, more: str = "") -> str:
    return f"dicomweb+http://{pacs.root}/dicom-web{more}"


@needs_orthanc
@pytest.mark.usefixtures("_has_password")
def test_studies_of_orthanc_are_screened_as_those_of_a_folder(
    pacs: Orthanc, folder: Path, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "PAGE", 2)
    archive = open_query(_query(pacs))
    here = _screened(open_archive(str(folder)), bundle, tmp_path)
    there = _screened(archive, bundle, tmp_path)
    assert _findings(there) == _findings(here)
    assert [row["status"] for row in here].count("screened") == 2
    assert "OUT_OF_POPULATION" in {row["code"] for row in here}
    sources = {f"{archive.server.address}/studies/{derived_uid(f'{n}/study')}" for n in range(3)}
    assert {row["input"] for row in there} == sources
    for row in there:
        assert not row["reason"] or row["status"] == "skipped" or row["input"] in row["reason"]


@needs_orthanc
@pytest.mark.usefixtures("_has_password")
def test_orthanc_sends_compressed_files_as_they_are(pacs: Orthanc, folder: Path) -> None:
    uid = derived_uid("1/study")
    archive = open_query(_query(pacs, f"?StudyInstanceUID={uid}"))
    (study,) = archive.studies()
    with archive.fetched(study) as fetched:
        assert sorted(files_of(fetched.source)) == sorted(files_of(folder / "1"))


@needs_orthanc
@pytest.mark.usefixtures("_has_password")
@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?StudyDate=20240131", STUDIES),
        ("?StudyDate=20240201-", 0),
        ("?PatientID=SECRET-1", 1),
        ("?ModalitiesInStudy=MR", 1),
    ],
)
def test_orthanc_finds_what_matches(pacs: Orthanc, query: str, count: int) -> None:
    assert len(list(open_query(_query(pacs, query)).studies())) == count


@needs_orthanc
def test_orthanc_without_a_password_is_told(pacs: Orthanc) -> None:
    with pytest.raises(ServerError, match=r"must answer, got: 401 Unauthorized$"):
        next(open_query(_query(pacs)).studies())


@needs_orthanc
@pytest.mark.usefixtures("_has_password")
def test_results_in_the_study_are_not_fetched(
    pacs: Orthanc, folder: Path, bundle: Bundle, tmp_path: Path
) -> None:
    archive = open_query(_query(pacs, f"?StudyInstanceUID={derived_uid('1/study')}"))
    before = _screened(archive, bundle, tmp_path / "before")
    plan = plan_of(archive, bundle, "all")
    list(screen_in_turn(Screener(plan, archive, bundle.folder, tmp_path), archive.studies()))
    assert len(list(tmp_path.rglob("*.dcm"))) == 4
    pacs.store(tmp_path)
    try:
        assert _screened(archive, bundle, tmp_path / "after") == before
    finally:
        for found in json.loads(pacs.ask("GET", "/series?expand").content):
            if found["MainDicomTags"]["Modality"] not in ("CT", "MR"):
                pacs.ask("DELETE", f"/series/{found['ID']}")


COMMAND = "from osteoscreen.cli import main; main()"


@pytest.mark.slow
@needs_orthanc
@pytest.mark.usefixtures("_has_password")
def test_the_command_screens_a_query_and_goes_on_where_it_was(
    pacs: Orthanc, folder: Path, bundle: Bundle, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", COMMAND, "batch", _query(pacs), "--out", str(out)]
    command += ["--bundle", str(bundle.folder), "--workers", "1"]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == REFUSED, done.stderr
        assert orthanc.PASSWORD not in done.stdout + done.stderr
        assert "2 screened, 1 refused, 1 skipped" in done.stdout
        rows = open_table(out / TABLE).to_table().to_pylist()
        assert len({row["study"] for row in rows}) == STUDIES
        assert len(rows) == STUDIES + 1
    written = "".join(
        file.read_text("utf-8", "replace") for file in out.rglob("*") if file.is_file()
    )
    assert orthanc.PASSWORD not in written
    assert json.loads((out / PLAN).read_text())["archive"].endswith("?ModalitiesInStudy=CT")
