"""Work side by side: in order, at once, and what becomes of an error."""

from __future__ import annotations

import threading

import pytest

from osteoscreen.cores import THREADS, count_cores, on_all_cores


def test_answers_come_in_the_order_of_the_questions() -> None:
    assert list(on_all_cores(lambda n: n * n, range(50))) == [n * n for n in range(50)]


def test_nothing_to_do_gives_nothing() -> None:
    assert list(on_all_cores(str, [])) == []


def test_as_many_are_at_work_as_there_are_cores() -> None:
    """Each waits until all are there: fewer threads than cores would break the barrier."""
    meeting = threading.Barrier(count_cores(), timeout=10)
    assert sorted(on_all_cores(lambda _: meeting.wait(), range(count_cores()))) == list(
        range(count_cores())
    )


def test_one_core_works_in_the_callers_own_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS, "1")
    assert (
        list(on_all_cores(lambda _: threading.get_ident(), range(3))) == [threading.get_ident()] * 3
    )


def test_an_error_comes_out_and_leaves_the_rest_undone() -> None:
    done = []

    def work(number: int) -> int:
        if number == 1:
            raise ValueError("the second one")
        threading.Event().wait(0.02 if number else 0.0)
        done.append(number)
        return number

    answers = on_all_cores(work, range(400))
    assert next(answers) == 0
    with pytest.raises(ValueError, match="the second one"):
        next(answers)
    assert len(done) < 200
