"""An archive that is what a DICOMweb query finds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from osteoscreen.batch.study import Fetched, Study, key_of
from osteoscreen.dicom.web import MATCHED, PASSWORD, TOKEN, USER, Server
from osteoscreen.door import check_room
from osteoscreen.errors import BatchError, InputError, RefusalCode
from osteoscreen.scratch import scratch

SCHEME = "dicomweb+"
"""Before the ``https`` or ``http`` of a server's address."""

DATES = re.compile(r"[0-9]{8}|[0-9]{8}-|-[0-9]{8}|[0-9]{8}-[0-9]{8}")
"""Of StudyDate (PS3.4 section C.2.2.2.5.1): of others, a server makes what it likes."""


@dataclass(frozen=True)
class QueryArchive:
    """The studies of a server that match a query.

    Args:
        server: The server.
        filters: Keywords and the values to match, sorted.
    """

    server: Server
    filters: tuple[tuple[str, str], ...]

    @property
    def address(self) -> str:
        """The address that opens it."""
        return f"{SCHEME}{self.server.address}?{urlencode(self.filters)}"

    def studies(self) -> Iterator[Study]:
        """Find the studies one by one; a key depends on the Study Instance UID alone."""
        self.server.check()
        for uid in self.server.study_uids(dict(self.filters)):
            yield Study(key_of([uid.encode()]), f"{self.server.address}/studies/{quote(uid, '')}")

    @contextmanager
    def fetched(self, study: Study) -> Iterator[Fetched]:
        """Have the CT series of a study in a folder that lasts as long as the context."""
        uid = unquote(study.source.rpartition("/")[2])
        with scratch() as home:
            try:
                self.server.retrieve_ct(uid, home)
            except OSError as error:
                check_room(error)
                cause = error.strerror or type(error).__name__
                reason = f"the study must be written to the disk, got: {cause}"
                raise InputError(RefusalCode.NO_INPUT, reason) from None
            yield Fetched(home)


def open_query(address: str) -> QueryArchive:
    """Return the archive that a query finds; nothing is asked yet.

    Args:
        address: Such as ``dicomweb+https://pacs.example/dicom-web?StudyDate=20200101-20201231``.
            Without ModalitiesInStudy, it is CT.
    Raises:
        BatchError: If it is no such address, has unknown keywords, or holds a user or password.
    """
    try:
        parts = urlsplit(address.removeprefix(SCHEME))
        filters = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        is_whole = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or parts.fragment:
        raise BatchError(f"a query must be {SCHEME}https://HOST/PATH?KEYWORD=VALUE&..., it is not")
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    if "@" in parts.netloc:
        raise BatchError(f"{place}: an address must hold no user or password: they come from "
                         f"{USER} and {PASSWORD}, or {TOKEN}")  # fmt: skip
    _check_filters(place, filters)
    known = {"ModalitiesInStudy": "CT", **dict(filters)}
    return QueryArchive(Server(place), tuple(sorted(known.items())))


def _check_filters(place: str, filters: list[tuple[str, str]]) -> None:
    keywords = [keyword for keyword, _ in filters]
    unknown = sorted(set(keywords) - MATCHED)
    if unknown:
        raise BatchError(f"{place}: a query must have no other keywords than those that every "
                         f"server knows, {', '.join(sorted(MATCHED))}; "
                         f"got {', '.join(unknown)}")  # fmt: skip
    bad = {keyword for keyword, value in filters if not value or keywords.count(keyword) > 1}
    if bad:
        raise BatchError(f"{place}: a query must give each keyword one value, it does not give "
                         f"{', '.join(sorted(bad))} one")  # fmt: skip
    dates = dict(filters).get("StudyDate")
    if dates is not None and not DATES.fullmatch(dates):
        raise BatchError(f"{place}: StudyDate must be YYYYMMDD or a range YYYYMMDD-YYYYMMDD, "
                         f"got {dates}")  # fmt: skip
