"""The ledger of a run: studies come when they are due, and deaths are counted."""

from __future__ import annotations

import time
from threading import Thread

from osteoscreen.batch.ledger import Ledger
from osteoscreen.batch.study import Study


def test_studies_are_found_a_little_ahead_of_the_workers() -> None:
    """However many there are, and however small they seem to Ray Data."""
    ahead = 20
    ledger = Ledger(lambda: (Study(f"{number:016x}", "nowhere") for number in range(100)), ahead, 2)
    found: list[str] = []

    def take() -> None:
        while studies := ledger.more():
            found.extend(study.key for study in studies)

    thread = Thread(target=take)
    thread.start()
    time.sleep(0.5)
    at_first = len(found)
    assert ahead <= at_first <= ahead + 2
    ledger.tell(8)
    time.sleep(0.5)
    assert len(found) == at_first + 8
    assert not ledger.found()[1]
    ledger.tell(100)
    thread.join(10)
    assert found == [f"{number:016x}" for number in range(100)]


def test_deaths_are_counted_until_a_study_ends() -> None:
    ledger = Ledger(lambda: iter(()), 0, 2)
    assert [ledger.begin("a") for _ in range(3)] == [0, 1, 2]
    assert ledger.begin("b") == 0
    ledger.end("a")
    assert ledger.begin("a") == 0
    assert ledger.begin("b") == 1


def test_a_round_is_opened_once() -> None:
    ledger = Ledger(lambda: iter(()), 0, 2)
    assert [ledger.open(number) for number in (0, 0, 1, 1, 0, 2)] == [
        True, False, True, False, False, True,
    ]  # fmt: skip


def test_it_is_over_once_no_study_is_left() -> None:
    studies = [Study(str(number), "nowhere") for number in range(3)]
    ledger = Ledger(lambda: iter(studies), 3, 2)
    assert (ledger.more(), ledger.found()) == (studies[:2], (2, False))
    assert (ledger.more(), ledger.found()) == (studies[2:], (3, True))
    assert (ledger.more(), ledger.found()) == ([], (3, True))


def test_workers_that_start_and_begin_nothing_are_told() -> None:
    ledger = Ledger(lambda: iter(()), 3, 2)
    assert [ledger.start() for _ in range(4)] == [False, False, False, True]
    ledger.begin("a")
    assert [ledger.start() for _ in range(4)] == [False, False, False, True]
