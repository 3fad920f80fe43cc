"""What the command line shows of long work."""

from __future__ import annotations

from rich.progress import Progress

from osteoscreen.progress import StudiesBar


def test_the_bar_counts_studies_and_those_without_a_result() -> None:
    progress = Progress()
    bar = StudiesBar(progress)
    bar.begin(3)
    bar.count(10)
    bar.end([{"status": "skipped"}, {"status": "screened"}])
    bar.end([{"status": "skipped"}, {"status": "refused"}])
    (task,) = progress.tasks
    assert (task.completed, task.total) == (5, 10)
    assert task.description.endswith("a second, 1 refused")
