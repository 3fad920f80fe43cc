"""Runs that are killed at chosen points end as those that are not."""

from __future__ import annotations

import json
import signal
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from archives import write_archive
from bundles import threshold_bundle
from interruption import kill_after, screen_in_loop
from osteoscreen.batch.archive import Archive, open_archive
from osteoscreen.batch.cohort_report import REPORT
from osteoscreen.batch.part import SUFFIX
from osteoscreen.batch.plan import PLAN, Plan
from osteoscreen.batch.run import Run
from osteoscreen.batch.screener import RESULTS, Screener, screen_in_turn
from osteoscreen.batch.table import TABLE, open_table
from osteoscreen.bundle import Bundle
from osteoscreen.reporting import RESULT

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

STUDIES = 3


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return threshold_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return open_archive(str(write_archive(tmp_path_factory.mktemp("archive"), STUDIES)))


def _kept(folder: Path) -> dict[str, Any]:
    """The names of all files, and what the results say but for the time that they took."""
    kept: dict[str, Any] = {}
    for file in folder.rglob("*"):
        kept[str(file.relative_to(folder))] = None
        if file.name == RESULT:
            said = json.loads(file.read_text())
            kept[str(file.relative_to(folder))] = {**said, "timing_s": None}
    return kept


@pytest.mark.parametrize(
    ("place", "calls", "rows"),
    [
        ("osteoscreen.batch.run:write_plan", 1, 0),
        ("osteoscreen.batch.table:pq.write_table", 1, 0),
        ("osteoscreen.batch.table:pq.write_table", 3, 2),
        ("osteoscreen.workflow:write_report", 2, 1),
        ("osteoscreen.batch.run:write_cohort_report", 1, 4),
    ],
    ids=["after the plan", "in the first part", "in the third part", "in a result", "at the end"],
)
def test_a_run_that_is_killed_goes_on_to_the_same_table_and_results(
    tmp_path: Path, archive: Archive, bundle: Bundle, place: str, calls: int, rows: int
) -> None:
    run = Run(archive, tmp_path / "out", bundle, keep="all")
    killed = get_context("spawn").Process(target=kill_after, args=(run, place, calls))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert open_table(run.table).count_rows() == rows
    half = run.out / RESULTS / f"{0:016x}" / "series" / REPORT  # of a study that went meanwhile
    half.parent.mkdir(parents=True)
    half.touch()
    plan = Plan.model_validate_json((run.out / PLAN).read_bytes())
    screen_in_loop(run)
    other = Screener(plan, archive, bundle.folder, tmp_path / "other")
    expected = [row for told in screen_in_turn(other, archive.studies()) for row in told]
    table = open_table(run.out / TABLE).to_table().drop_columns(["outcome"])
    assert sorted(table.to_pylist(), key=str) == sorted(expected, key=str)
    assert _kept(run.out / RESULTS) == _kept(other.out / RESULTS)
    assert len(_kept(run.out / RESULTS)) > 20
    assert [*run.out.rglob(f"*{SUFFIX}")] == []
    assert (run.out / REPORT).is_file()
