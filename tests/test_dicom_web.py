"""Search and retrieval over DICOMweb, from a small server that can be told to misbehave."""

from __future__ import annotations

import base64
import logging
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archives import write_study
from dicomweb_peer import NO_ANSWER, Answer, Peer, files_of, listening
from osteoscreen.dicom import web
from osteoscreen.dicom.web import PASSWORD, TOKEN, USER, Server
from osteoscreen.errors import InputError, OsteoscreenError, RefusalCode, ServerError

STUDIES = [f"1.2.{number}" for number in range(7)]


@pytest.fixture(autouse=True)
def _is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "BACKOFF_MS", 1)
    monkeypatch.setattr(web, "PAGE", 3)
    for name in (USER, PASSWORD, TOKEN):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    """Seven studies, each with a CT of four slices, a CT of two and results of ours."""
    files = files_of(write_study(tmp_path / "in", "A"))
    series = {
        "1.3.1": ("CT", files),
        "1.3.2": ("SEG", [b"not to be fetched"]),
        "1.3.3": ("CT", files[:2]),
        "1.3.4": ("SR", [b"not to be fetched"]),
    }
    with listening(Peer(dict.fromkeys(STUDIES, series))) as peer:
        yield peer


def _found(peer: Peer) -> list[str]:
    return list(Server(peer.address).study_uids({"ModalitiesInStudy": "CT"}))


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_studies_are_found_page_by_page(peer: Peer) -> None:
    assert _found(peer) == STUDIES
    assert peer.asked[0].startswith("/studies?")
    assert all("ModalitiesInStudy=CT" in one for one in peer.asked)
    assert len(peer.asked) == 5  # for 3, 1 to see how limits count, 3, 1 and no studies


def test_a_search_asks_only_a_page_ahead(peer: Peer) -> None:
    found = Server(peer.address).study_uids({})
    assert next(found) == STUDIES[0]
    assert [one.partition("?")[2] for one in peer.asked] == [
        "limit=3&offset=0",
        "limit=1&offset=3",
        "limit=3&offset=3",
    ]


@pytest.mark.parametrize("largest", [1, 2, 1000])
def test_a_server_may_tell_less_than_it_is_asked_for(peer: Peer, largest: int) -> None:
    peer.largest_page = largest
    assert _found(peer) == STUDIES


@pytest.mark.parametrize("count", range(8))
def test_limits_may_count_from_the_first_result(peer: Peer, count: int) -> None:
    peer.counts_from_start = True
    peer.studies = dict(list(peer.studies.items())[:count])
    assert _found(peer) == STUDIES[:count]


def test_a_study_that_moves_to_the_next_page_is_told_once(peer: Peer) -> None:
    found = Server(peer.address).study_uids({})
    first = next(found)
    peer.studies = {"1.9": {}, **peer.studies}  # arrives at the front: all others move on
    assert [first, *found] == STUDIES


def test_a_server_without_heed_for_offsets_is_noticed_before_the_first_study(peer: Peer) -> None:
    peer.heeds_offset = False
    with pytest.raises(ServerError, match="must heed the offset"):
        next(Server(peer.address).study_uids({}))


def test_no_study_is_no_error(peer: Peer) -> None:
    peer.studies = {}
    assert _found(peer) == []


def _fails_once(status: int) -> Callable[[str], int | None]:
    left = [status]
    return lambda _: left.pop() if left else None


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_fails_for_a_moment_is_asked_again(peer: Peer, status: int) -> None:
    peer.failing = _fails_once(status)
    assert _found(peer) == STUDIES


@pytest.mark.parametrize(
    ("status", "cause", "asked"),
    [
        (401, "401 Unauthorized", 1),
        (404, "404 Not Found", 1),
        (500, "500 Internal Server Error", web.TRIES),
        (200, "no DICOM JSON", 1),
        (499, "status 499", 1),
        (NO_ANSWER, "ConnectionError", web.TRIES),
    ],
)
def test_what_is_no_dicomweb_server_is_told_in_one_line(
    peer: Peer, status: int, cause: str, asked: int
) -> None:
    peer.failing = lambda _: status
    with pytest.raises(ServerError) as raised:
        list(Server(peer.address).study_uids({"PatientID": "SECRET"}))
    assert str(raised.value) == f"{peer.address}: a DICOMweb server must answer, got: {cause}"
    assert len(peer.asked) == asked


def test_json_that_is_not_dicoms_is_told(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Peer, "answer", lambda *_: Answer(b'["studies"]'))
    with pytest.raises(ServerError, match="must answer in DICOM JSON"):
        Server(peer.address).check()


def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "TIMEOUT_SECONDS", (5.0, 0.05))
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(ServerError, match="must answer, got: nothing in time"),
    ):
        Server(f"http://127.0.0.1:{silent.getsockname()[1]}").check()


def test_entries_without_a_uid_are_one(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [b"[{}, {}]", b"[{}]", b"[]"]

    def answer(_: Peer, __: str, query: dict[str, str]) -> Answer:
        return Answer(answers[int(query["offset"]) // 2])

    monkeypatch.setattr(Peer, "answer", answer)
    with pytest.raises(ServerError, match="must heed the offset"):
        next(Server(peer.address).study_uids({}))
    answers[1] = b"[]"
    assert _found(peer) == [""]


def test_a_server_that_is_not_there_is_told_in_one_line() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    for ask in (Server(address).check, lambda: next(Server(address).study_uids({}))):
        with pytest.raises(ServerError) as raised:
            ask()
        line = f"{address}: a DICOMweb server must answer, got: Connection refused"
        assert str(raised.value) == line


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_certificate_is_verified(
    peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "certificate.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {file}.key -out {file}"
    more = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *more], check=True, capture_output=True)
    both = tmp_path / "both.pem"
    both.write_bytes(file.read_bytes() + Path(f"{file}.key").read_bytes())
    with listening(Peer(peer.studies), both) as secure:
        monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
        with pytest.raises(ServerError, match="certificate verify failed"):
            Server(secure.address).check()
        assert secure.asked == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
        assert list(Server(secure.address).study_uids({})) == STUDIES


def test_a_host_is_asked_for_with_its_port(peer: Peer) -> None:
    Server(peer.address).check()
    assert peer.headers[0]["Host"] == peer.address.removeprefix("http://")


def test_a_user_and_a_token_come_from_the_environment_and_are_shown(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    Server(peer.address).check()
    monkeypatch.setenv(USER, "jürgen")
    monkeypatch.setenv(PASSWORD, "gehe1m")
    Server(peer.address).check()
    monkeypatch.setenv(TOKEN, "t0ken")
    Server(peer.address).check()
    shown = [one.get("Authorization") for one in peer.headers]
    basic = base64.b64encode("jürgen:gehe1m".encode()).decode()
    assert shown == [None, f"Basic {basic}", "Bearer t0ken"]
    assert not any(word in caplog.text for word in ("gehe1m", basic, "t0ken"))


def test_the_ct_series_of_a_study_are_written_as_they_are_stored(
    peer: Peer, tmp_path: Path
) -> None:
    folder = _folder(tmp_path)
    Server(peer.address).retrieve_ct(STUDIES[0], folder)
    files = files_of(tmp_path / "in")
    assert files_of(folder / "0000") == files
    assert files_of(folder / "0001") == files[:2]
    assert len(list(folder.rglob("*"))) == 8  # two folders and six files, numbered
    accepted = peer.headers[-1]["Accept"]
    assert accepted == 'multipart/related; type="application/dicom"; transfer-syntax=*'


def test_a_series_that_broke_off_once_is_whole_in_the_end(peer: Peer, tmp_path: Path) -> None:
    peer.cut = 2000

    def mended(path: str) -> None:
        if sum(one == path for one in peer.asked) == 2:
            peer.cut = 0

    peer.failing = mended
    folder = _folder(tmp_path)
    Server(peer.address).retrieve_ct(STUDIES[0], folder)
    assert files_of(folder / "0000") == files_of(tmp_path / "in")


def _without_ct(peer: Peer) -> None:
    peer.studies[STUDIES[0]].pop("1.3.1")
    peer.studies[STUDIES[0]].pop("1.3.3")


@pytest.mark.parametrize(
    ("harm", "code", "reason"),
    [
        (lambda peer: setattr(peer, "cut", 1), "TRUNCATED", "must end with its closing delimiter"),
        (lambda peer: setattr(peer, "cut", 9000), "TRUNCATED", "must end with its closing"),
        (lambda peer: setattr(peer, "short", 1), "TRUNCATED", "got 3 of 4 instances"),
        (_without_ct, "NOT_CT", "must have a CT series at the server"),
        (lambda peer: peer.studies.clear(), "NOT_CT", "must have a CT series at the server"),
        (
            lambda peer: setattr(peer, "failing", lambda path: 500 if "1.3.1" in path else None),
            "NO_INPUT",
            "the server must send the study, got: 500 Internal Server Error",
        ),
        (
            lambda peer: setattr(peer, "failing", lambda path: 404 if "1.3.1" in path else None),
            "NO_INPUT",
            "got: 404 Not Found",
        ),
    ],
)
def test_a_study_that_does_not_come_whole_is_refused_with_its_reason(
    peer: Peer, tmp_path: Path, harm: Callable[[Peer], None], code: str, reason: str
) -> None:
    harm(peer)
    with pytest.raises(InputError, match=reason) as raised:
        Server(peer.address).retrieve_ct(STUDIES[0], _folder(tmp_path))
    assert raised.value.code == RefusalCode(code)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("uid", ["", "..", "../studies", "1..2", "1.2/series", "1.2\n"])
def test_what_is_no_uid_is_never_asked_for(peer: Peer, tmp_path: Path, uid: str) -> None:
    with pytest.raises(InputError, match="must have a UID"):
        Server(peer.address).retrieve_ct(uid, _folder(tmp_path))
    assert peer.asked == []


def test_a_series_without_end_is_refused(
    peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "MAX_SERIES_BYTES", 30_000)
    with pytest.raises(InputError, match="got more") as raised:
        Server(peer.address).retrieve_ct(STUDIES[0], _folder(tmp_path))
    assert raised.value.code is RefusalCode.TOO_LARGE


def test_where_the_server_is_gone_no_study_is_blamed(peer: Peer, tmp_path: Path) -> None:
    peer.failing = lambda _: 503
    with pytest.raises(OsteoscreenError, match="503 Service Unavailable") as raised:
        Server(peer.address).retrieve_ct(STUDIES[0], _folder(tmp_path))
    assert isinstance(raised.value, ServerError)
