"""DICOMweb (PS3.18): CT studies of a server, searched with QIDO-RS and retrieved with WADO-RS.

dicomweb-client searches. Instances are written as they come: its retrieval holds each as a whole,
parses it without bounds, and takes one that is torn for whole.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from dicomweb_client import DICOMwebClient
from requests import PreparedRequest, Session
from requests.auth import HTTPBasicAuth
from requests.exceptions import (
    ChunkedEncodingError,
    ConnectionError,  # noqa: A004 - requests' own, which is no built-in ConnectionError
    HTTPError,
    JSONDecodeError,
    RequestException,
    SSLError,
    Timeout,
)
from retrying import Retrying

from osteoscreen.dicom.multipart import BrokenMessageError, boundary_of, parts_of
from osteoscreen.errors import InputError, RefusalCode, ServerError

USER, PASSWORD, TOKEN = (f"OSTEOSCREEN_DICOMWEB_{one}" for one in ("USER", "PASSWORD", "TOKEN"))
"""Names of the environment's variables with what a server asks for."""

MATCHED = frozenset(
    {
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "ModalitiesInStudy",
        "ReferringPhysicianName",
        "PatientName",
        "PatientID",
        "StudyInstanceUID",
        "StudyID",
    }
)
"""What every server must match studies by (PS3.18 table 10.6.1-5); anything else it may ignore, and
answer with all that it has."""

PAGE = 200
"""Studies that are asked for at a time."""

TIMEOUT_SECONDS = (10.0, 120.0)
"""To connect, and between two pieces of an answer."""

TRIES = 5
BACKOFF_MS = 500
"""Waits of 1, 2, 4 and 8 s."""

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses of a server that may answer a little later."""

EVERY_SYNTAX = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""As stored: without the last word a server may convert (PS3.18 section 8.7.3)."""

MAX_SERIES_BYTES = 8 * 2**30
CHUNK_BYTES = 2**20

UID = re.compile(r"[0-9]+(\.[0-9]+)*")

INSTANCES = "NumberOfSeriesRelatedInstances"

_Entry = Mapping[str, Any]
"""A data set of DICOM JSON (PS3.18 annex F)."""


T = TypeVar("T")


@dataclass(frozen=True)
class Server:
    """A DICOMweb server; what it asks for to let us in comes from the environment.

    Args:
        address: Of its service, such as ``https://pacs.example/dicom-web``.
    """

    address: str

    def check(self) -> None:
        """Ask for one study, once.

        Raises: ServerError if the server does not answer, or not as a DICOMweb server does.
        """
        with self._asked() as client:
            self._ask(client.search_for_studies, 1, 0)

    def study_uids(self, filters: Mapping[str, str]) -> Iterator[str]:
        """Search studies a page at a time.

        A study that moves on to the next page while others arrive is told once.

        Args:
            filters: Values to match, by keyword.
        Raises:
            ServerError: As ``check``, or if the server pays no heed to the offset of a page.
        """
        with self._asked() as client:
            search = partial(client.search_for_studies, search_filters=dict(filters))
            for page in self._pages(search, "StudyInstanceUID"):
                yield from page

    def retrieve_ct(self, study_uid: str, folder: Path) -> None:
        """Write the CT series of a study below a folder: a folder a series, a file an instance.

        Args:
            study_uid: Study Instance UID.
            folder: An empty folder.
        Raises:
            InputError: NO_INPUT if the server has no such study, or does not send it; NOT_CT if it
                has no CT series; TRUNCATED if less comes than the server has; TOO_LARGE.
            ServerError: If the server does not answer any more.
        """
        if not UID.fullmatch(study_uid):
            raise InputError(RefusalCode.NO_INPUT, "a study must have a UID, it has none")
        try:
            with _opened(self.address) as (client, session):
                for number, series in enumerate(self._ct_series(client, study_uid).items()):
                    place = folder / f"{number:04d}"
                    address = f"{self.address}/studies/{study_uid}/series/"
                    _patiently(partial(_retrieve, session, address, series, place))
        except BrokenMessageError as error:
            raise InputError(RefusalCode.TRUNCATED, str(error)) from None
        except RequestException as error:
            self.check()  # where the server is well, the study is to blame
            reason = f"the server must send the study, got: {_cause(error)}"
            raise InputError(RefusalCode.NO_INPUT, reason) from None

    def _ct_series(self, client: DICOMwebClient, study_uid: str) -> dict[str, int]:
        """Return the UIDs of a study's CT series, and how many instances each one has."""
        search = partial(
            client.search_for_series,
            study_uid,
            search_filters={"Modality": "CT"},
            fields=[INSTANCES],
        )
        found = {
            uid: int(told) if (told := _value(entry, INSTANCES)).isdecimal() else 0
            for page in self._pages(search, "SeriesInstanceUID")
            for uid, entry in page.items()
            if _value(entry, "Modality") == "CT" and UID.fullmatch(uid)
        }
        if not found:
            reason = "the study must have a CT series at the server, it has none"
            raise InputError(RefusalCode.NOT_CT, reason)
        return found

    def _pages(self, search: Callable[..., Any], keyword: str) -> Iterator[dict[str, _Entry]]:
        """Return what a search finds by its UIDs; a page is told when the next one is there."""

        def ask(limit: int, offset: int) -> list[_Entry]:
            return _patiently(partial(self._ask, search, limit, offset))

        found = ask(PAGE, 0)
        offset = len(found)
        counts_from_start = offset >= PAGE and _counts_from_start(ask, offset)
        page = {_value(one, keyword): one for one in found}
        while page:
            found = ask(PAGE + offset if counts_from_start else PAGE, offset)
            offset += len(found)
            told = {_value(one, keyword): one for one in found}
            rest = {uid: one for uid, one in told.items() if uid not in page}
            if found and not rest:
                raise ServerError(f"{self.address}: a DICOMweb server must heed the offset of a "
                                  "search, it answers the same again")  # fmt: skip
            yield page
            page = rest

    def _ask(self, search: Callable[..., Any], limit: int, offset: int) -> list[_Entry]:
        entries = search(limit=limit, offset=offset)
        if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
            raise ServerError(f"{self.address}: a DICOMweb server must answer in DICOM JSON, it "
                              "does not")  # fmt: skip
        return entries

    @contextmanager
    def _asked(self) -> Iterator[DICOMwebClient]:
        try:
            with _opened(self.address) as (client, _):
                yield client
        except RequestException as error:
            raise ServerError(
                f"{self.address}: a DICOMweb server must answer, got: {_cause(error)}"
            ) from None


def _counts_from_start(ask: Callable[[int, int], Any], offset: int) -> bool:
    """Return whether the limit of a page counts from the first result, not from the offset.

    So does Orthanc 1.10 where it is asked for ModalitiesInStudy: taken at its word, it would have
    no second page.
    """
    return not ask(1, offset) and bool(ask(1 + offset, offset))


@contextmanager
def _opened(address: str) -> Iterator[tuple[DICOMwebClient, Session]]:
    # The client would log a server's remark that there are more results than those of a page.
    logging.getLogger("dicomweb_client").setLevel(logging.ERROR)
    with Session() as session:
        session.auth = _authentication()
        client = DICOMwebClient(address, session, permissive_uid=True, timeout=TIMEOUT_SECONDS)
        client.host = urlsplit(address).netloc  # for the Host field; it would leave the port out
        client.set_http_retry_params(retry=False)  # it would retry what cannot get better
        yield client, session


class _Bearer:
    """Shows a token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _authentication() -> _Bearer | HTTPBasicAuth | None:
    token, user, password = (os.environ.get(name, "").strip() for name in (TOKEN, USER, PASSWORD))
    if token:
        return _Bearer(token)
    return HTTPBasicAuth(user.encode(), password.encode()) if user else None


def _patiently(ask: Callable[[], T]) -> T:
    """Ask again, after longer and longer waits, where the answer may get better."""
    asking = Retrying(
        stop_max_attempt_number=TRIES,
        wait_exponential_multiplier=BACKOFF_MS,
        retry_on_exception=_is_transient,
    )
    answer: T = asking.call(ask)
    return answer


def _is_transient(error: Exception) -> bool:
    if isinstance(error, HTTPError):
        return _status(error) in TRANSIENT
    is_lost = isinstance(error, (ConnectionError, Timeout, ChunkedEncodingError))
    return (is_lost or isinstance(error, BrokenMessageError)) and not isinstance(error, SSLError)


def _status(error: HTTPError) -> int:
    return 0 if error.response is None else error.response.status_code


def _retrieve(session: Session, address: str, series: tuple[str, int], folder: Path) -> None:
    """Write the instances of a series, numbered as they come."""
    uid, told = series
    shutil.rmtree(folder, ignore_errors=True)  # of a try that broke off
    folder.mkdir()
    wanted = {"Accept": EVERY_SYNTAX}
    got = size = 0
    with session.get(
        address + uid, headers=wanted, stream=True, timeout=TIMEOUT_SECONDS
    ) as response:
        response.raise_for_status()
        boundary = boundary_of(response.headers.get("Content-Type", ""))
        for part in parts_of(response.iter_content(CHUNK_BYTES), boundary):
            with (folder / f"{got:06d}.dcm").open("wb") as stream:
                for piece in part:
                    stream.write(piece)
                    size += len(piece)
                    if size > MAX_SERIES_BYTES:
                        reason = f"a series must be at most {MAX_SERIES_BYTES >> 30} GiB, got more"
                        raise InputError(RefusalCode.TOO_LARGE, reason)
            got += 1
    if got < max(told, 1):
        raise BrokenMessageError(f"a series must come whole, got {got} of {told} instances")


def _value(entry: _Entry, keyword: str) -> str:
    """Return the first value of an attribute as text; empty where there is none."""
    try:
        return str(entry[DICOMwebClient.lookup_tag(keyword)]["Value"][0]).strip(" \0")
    except (KeyError, IndexError, TypeError):
        return ""


def _cause(error: BaseException) -> str:
    """Name a cause in words of ours: those of the libraries hold the address with its query."""
    if isinstance(error, HTTPError):
        status = _status(error)
        known = status in set(HTTPStatus)
        return f"{status} {HTTPStatus(status).phrase}" if known else f"status {status}"
    if isinstance(error, Timeout):
        return "nothing in time"
    if isinstance(error, JSONDecodeError):
        return "no DICOM JSON"
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, OSError) and at.strerror:
            return at.strerror
        at = at.__cause__ or at.__context__
    return type(error).__name__
