"""The ledger of a run: which studies come next, how many workers died over one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice

from osteoscreen.batch.study import Study

AHEAD_SECONDS = 0.1
"""Where enough studies are found, the search looks so often whether more are due."""


class Ledger:
    """The studies of a run: which come next, how many workers died over one.

    An actor with two threads: while one finds studies, the other hears of those that are screened.

    Args:
        studies: Starts the stream of studies.
        ahead: How many studies are found before the rows of the first must be known.
        studies_a_task: How many are found at a time.
    """

    def __init__(
        self, studies: Callable[[], Iterator[Study]], ahead: int, studies_a_task: int
    ) -> None:
        self._studies, self._ahead, self._studies_a_task = studies(), ahead, studies_a_task
        self._found = self._told = 0
        self._rounds, self._is_over = 0, False
        self._begun: dict[str, int] = {}
        self._starts = 0

    def open(self, number: int) -> bool:
        """Return whether a round is new, and not one that Ray tries again after it lost studies."""
        is_new = number >= self._rounds
        self._rounds = max(self._rounds, number + 1)
        return is_new

    def more(self) -> list[Study]:
        """Find the studies of the next task, once they are due; none if there are no more."""
        while self._found - self._told > self._ahead:
            time.sleep(AHEAD_SECONDS)
        studies = list(islice(self._studies, self._studies_a_task))
        self._found += len(studies)
        self._is_over = len(studies) < self._studies_a_task
        return studies

    def found(self) -> tuple[int, bool]:
        """Return how many studies were found, and whether that is all."""
        return self._found, self._is_over

    def start(self) -> bool:
        """Note that a worker starts; return whether too many did since a study was begun."""
        self._starts += 1
        return self._starts > self._ahead

    def begin(self, key: str) -> int:
        """Note that a study is begun; return how often it was begun and not ended before."""
        self._starts = 0
        before = self._begun.get(key, 0)
        self._begun[key] = before + 1
        return before

    def end(self, key: str) -> None:
        """Note that a study has ended."""
        self._begun.pop(key, None)

    def tell(self, count: int) -> None:
        """Note that the rows of so many more studies are known where the run is led."""
        self._told += count
