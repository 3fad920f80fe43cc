"""Runs over an archive, on a Ray that is started for these tests."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from archives import write_archive
from bundles import threshold_bundle
from osteoscreen.batch import engine
from osteoscreen.batch.archive import Archive, open_archive
from osteoscreen.batch.cluster import connected
from osteoscreen.batch.cohort_report import REPORT
from osteoscreen.batch.engine import STUDIES_A_TASK, screen_on_ray
from osteoscreen.batch.plan import PLAN, Plan, plan_of
from osteoscreen.batch.run import REMEMBERED, Run, once
from osteoscreen.batch.screener import (
    LOGS,
    MAX_DEATHS,
    Screener,
    remove_empty_logs,
    screen_in_turn,
)
from osteoscreen.batch.study import Study
from osteoscreen.batch.table import TABLE, open_table
from osteoscreen.bundle import Bundle, load_bundle, write_settings
from osteoscreen.cli import REFUSED
from osteoscreen.cores import THREADS, count_cores
from osteoscreen.errors import BatchError, CohortError, ServerError
from osteoscreen.scratch import NAME, scratch

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

STUDIES = 6


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The brighter the bone, the less likely osteoporosis; the dimmest ones are flagged."""
    made = threshold_bundle(tmp_path_factory.mktemp("bundle"))
    points = made.settings.operating_points.model_copy(update={"sensitive_probability": 0.002})
    settings = made.settings.model_copy(update={"operating_points": points})
    write_settings(settings, made.folder)
    return load_bundle(made.folder)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Six studies, one zipped, one under a name that is no UTF-8; and a folder that is refused."""
    root = write_archive(tmp_path_factory.mktemp("archive"), STUDIES)
    (root / "4").rename(root / os.fsdecode(b"4-\xe9"))
    return open_archive(str(root))


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A Ray of two workers, for all tests of this file, whose classes it takes by value.

    It starts where another one is told of, where a process may have eight threads, and where the
    path of temporary files is too long for its sockets.
    """
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as environment:
            environment.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("long" * 30)))
            environment.setenv("RAY_ADDRESS", "127.0.0.1:1")
            environment.setenv(THREADS, "8")
            workers = stack.enter_context(connected(None, 2))
        from ray import cloudpickle

        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        yield workers


class Heard:
    """Counts what a command line would show."""

    def __init__(self) -> None:
        self.finished = -1
        self.studies: list[list[dict[str, Any]]] = []

    def begin(self, finished: int) -> None:
        self.finished = finished

    def end(self, records: list[dict[str, Any]]) -> None:
        self.studies.append(records)


def _rows(out: Path) -> list[dict[str, Any]]:
    table = open_table(out / TABLE).to_table()
    return list(table.sort_by([("study", "ascending"), ("series", "ascending")]).to_pylist())


def test_ray_says_what_a_plain_loop_says(
    tmp_path: Path, archive: Archive, bundle: Bundle, workers: int
) -> None:
    screener = Screener(plan_of(archive, bundle, "flagged"), archive, bundle.folder, tmp_path)
    looped = sorted(screen_in_turn(screener, archive.studies()), key=str)
    again = replace(screener)  # without the networks that the loop has opened
    on_ray = sorted(screen_on_ray(again, lambda: archive.studies(), workers), key=str)
    assert on_ray == looped
    statuses = sorted(row["status"] for (row,) in looped)
    assert statuses == ["refused", *["screened"] * STUDIES]
    for (row,) in looped:
        folder = tmp_path / "results" / row["folder"] / "result.json"
        assert (folder.is_file() and row["folder"] != "") == row["is_flagged"]
        assert row["age"] == (None if row["status"] == "refused" else 63)
    assert 0 < sum(row["is_flagged"] for (row,) in looped) < STUDIES


def test_a_bundle_that_a_worker_cannot_load_ends_the_run_in_one_line(
    tmp_path: Path, archive: Archive, bundle: Bundle, workers: int
) -> None:
    lost = Screener(plan_of(archive, bundle, "none"), archive, tmp_path / "nowhere", tmp_path)
    with pytest.raises(BatchError, match=r"must hold bundle\.json") as raised:
        list(screen_on_ray(lost, lambda: archive.studies(), workers))
    assert "\n" not in str(raised.value)


@dataclass(frozen=True)
class Stillborn(Screener):
    """Ends its worker before it is at work, as where the bundle finds no memory."""

    def begin(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def test_workers_that_die_one_after_the_other_before_they_begin_end_the_run(
    tmp_path: Path,
    archive: Archive,
    bundle: Bundle,
    workers: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "STUDIES_AHEAD", 2)
    stillborn = Stillborn(plan_of(archive, bundle, "none"), archive, bundle.folder, tmp_path)
    with pytest.raises(BatchError, match="one after the other died") as raised:
        list(screen_on_ray(stillborn, lambda: archive.studies(), workers))
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("workers")
def test_a_run_that_is_told_to_end_ends_as_by_the_keyboard() -> None:
    """Ray's own way is to abort, without a chance to write the rows that wait."""
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)


@dataclass(frozen=True)
class CoreCounter(Screener):
    """Tells how many cores its worker counts."""

    def screen(self, study: Study) -> list[dict[str, Any]]:
        return [{"cores": count_cores(), "threads": os.environ.get(THREADS)}]


def test_a_worker_has_one_core_whatever_its_node_says(
    tmp_path: Path, archive: Archive, bundle: Bundle, workers: int
) -> None:
    counter = CoreCounter(plan_of(archive, bundle, "none"), archive, bundle.folder, tmp_path)
    told = list(screen_on_ray(counter, lambda: archive.studies(), workers))
    assert told == [[{"cores": 1, "threads": "1"}]] * (STUDIES + 1)


@dataclass(frozen=True)
class Lost(Screener):
    """Finds that the server of the archive is gone."""

    def screen(self, study: Study) -> list[dict[str, Any]]:
        raise ServerError("https://pacs.example: a DICOMweb server must answer, got: 1 of 2 words")


def test_a_server_that_is_gone_ends_the_run_in_one_line(
    tmp_path: Path, archive: Archive, bundle: Bundle, workers: int
) -> None:
    lost = Lost(plan_of(archive, bundle, "none"), archive, bundle.folder, tmp_path)
    with pytest.raises(BatchError, match=r"^https://pacs\.example: .* 1 of 2 words$") as raised:
        list(screen_on_ray(lost, lambda: archive.studies(), workers))
    assert "\n" not in str(raised.value)


def test_a_server_that_is_gone_while_studies_are_found_ends_the_run_in_one_line(
    tmp_path: Path, archive: Archive, bundle: Bundle, workers: int
) -> None:
    def studies() -> Iterator[Study]:
        yield next(archive.studies())
        raise ServerError("https://pacs.example: a DICOMweb server must answer")

    screener = Screener(plan_of(archive, bundle, "none"), archive, bundle.folder, tmp_path)
    with pytest.raises(BatchError, match=r"^https://pacs\.example: .* answer$") as raised:
        list(screen_on_ray(screener, studies, workers))
    assert "\n" not in str(raised.value)


LISTENING = "0A"
LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
"""127.0.0.1, ::1 and ::ffff:127.0.0.1 as Linux writes them."""


def _descendants(pid: int) -> set[int]:
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            words = stat.read_text().rpartition(")")[2].split()
            parents.setdefault(int(words[1]), []).append(int(stat.parent.name))
    found = {pid}
    for one in (waiting := [pid]):
        waiting += parents.get(one, [])
        found |= set(parents.get(one, []))
    return found


@dataclass(frozen=True)
class Told(Screener):
    """Tells which process screens a study."""

    def begin(self) -> None:
        """Load nothing."""

    def screen(self, study: Study) -> list[dict[str, Any]]:
        return [{"study": study.key, "process": os.getpid()}]


def test_ray_data_starts_anew_after_a_round_and_no_study_is_lost_or_doubled(
    tmp_path: Path,
    archive: Archive,
    bundle: Bundle,
    workers: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "LEAST_TASKS_A_ROUND", 3)
    monkeypatch.setattr(engine, "TASKS_A_ROUND", 1)
    keys = [f"{number:016x}" for number in range(2 * 3 * STUDIES_A_TASK + 1)]
    teller = Told(plan_of(archive, bundle, "none"), archive, bundle.folder, tmp_path)
    rows = [
        row
        for records in screen_on_ray(
            teller, lambda: (Study(key, "nowhere") for key in keys), workers
        )
        for row in records
    ]
    assert sorted(row["study"] for row in rows) == keys
    processes = {row["process"] for row in rows}
    assert len(processes) >= 3  # the workers of a round end with it
    end = time.monotonic() + 10
    while any(Path(f"/proc/{process}").exists() for process in processes):
        assert time.monotonic() < end
        time.sleep(0.1)


@dataclass(frozen=True)
class Cutter(Screener):
    """Kills the process that hands out the studies."""

    def screen(self, study: Study) -> list[dict[str, Any]]:
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (folder / "cmdline").read_bytes().startswith(b"ray::MapBatches(due)"):
                    os.kill(int(folder.name), signal.SIGKILL)
        return [{"study": study.key}]


def test_a_run_whose_studies_are_no_longer_handed_out_does_not_end_as_if_it_were_whole(
    tmp_path: Path, archive: Archive, bundle: Bundle, workers: int
) -> None:
    cutter = Cutter(plan_of(archive, bundle, "none"), archive, bundle.folder, tmp_path)
    studies = [Study(f"{number:016x}", "nowhere") for number in range(100)]
    with pytest.raises(
        BatchError, match=r"^Ray must tell of all \d+ studies that .* it told of \d+: "
    ):
        list(screen_on_ray(cutter, lambda: iter(studies), workers))


@pytest.mark.usefixtures("workers")
def test_a_local_ray_listens_on_loopback_only() -> None:
    sockets = set()
    for pid in _descendants(os.getpid()):
        with suppress(OSError):
            sockets |= {str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    heard = [
        row[1].partition(":")[0]
        for row in rows
        if row[3] == LISTENING and f"socket:[{row[9]}]" in sockets
    ]
    assert len(heard) > 3  # the scheduler, its store, this process and more
    assert set(heard) <= LOOPBACK


@dataclass(frozen=True)
class Deadly(Screener):
    """Kills its worker over one study."""

    def screen(self, study: Study) -> list[dict[str, Any]]:
        with (self.out / f"{study.key}.tries").open("a") as stream:
            stream.write(".")
        if study.source == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().screen(study)


def test_a_study_that_kills_its_worker_is_left_and_the_others_are_screened(
    tmp_path: Path, archive: Archive, bundle: Bundle, workers: int
) -> None:
    studies = [Study("d" * 16, "deadly"), *archive.studies()]
    screener = Deadly(plan_of(archive, bundle, "none"), archive, bundle.folder, tmp_path)
    told = {
        records[0]["study"]: records
        for records in screen_on_ray(screener, lambda: iter(studies), workers)
    }
    assert len(told) == len(studies)
    (left,) = told["d" * 16]
    assert (left["status"], left["code"]) == ("failed", "FAILED")
    assert left["reason"].startswith(f"deadly: left after its worker died {MAX_DEATHS} times")
    assert (tmp_path / f"{'d' * 16}.tries").read_text() == "." * MAX_DEATHS
    assert sum(records[0]["status"] == "screened" for records in told.values()) == STUDIES


@dataclass(frozen=True)
class Endless(Screener):
    """Hangs over one study, in a library that keeps the interpreter to itself."""

    def screen(self, study: Study) -> list[dict[str, Any]]:
        if study.source == "endless":
            with scratch() as folder:
                (self.out / f"{folder.name}.made").touch()
                ctypes.PyDLL(None).sleep(1000)
        return super().screen(study)


def test_a_study_that_hangs_is_left_logs_where_and_leaves_no_temporary_folder(
    tmp_path: Path, archive: Archive, bundle: Bundle, workers: int
) -> None:
    studies = [Study("e" * 16, "endless"), Study("f" * 16, "nowhere")]
    plan = plan_of(archive, bundle, "none")
    screener = Endless(plan, archive, bundle.folder, tmp_path, study_seconds=1.5)
    told = {row["input"]: row for (row,) in screen_on_ray(screener, lambda: iter(studies), workers)}
    assert told["endless"]["reason"] == (
        f"endless: left after its worker died {MAX_DEATHS} times, "
        "as it also does after 0.025 minutes over one study"
    )
    assert told["nowhere"]["code"] == "NO_INPUT"
    hung = [log for log in tmp_path.glob(LOGS) if log.stat().st_size]
    assert len(hung) == MAX_DEATHS
    for text in map(Path.read_text, hung):
        assert text.startswith("Timeout (0:00:01.500000)!")
        assert " in screen\n" in text
    remove_empty_logs(tmp_path)
    assert sorted(tmp_path.glob(LOGS)) == sorted(hung)
    made = [Path(tempfile.gettempdir(), file.stem) for file in tmp_path.glob("*.made")]
    assert len(made) == MAX_DEATHS
    assert not any(folder.exists() for folder in made)


IN_PARTS_OF_ONE_STUDY = """
import sys
import time
from osteoscreen.batch import engine, table
from osteoscreen.cli import main

engine.STUDIES_A_TASK = table.STUDIES_A_PART = 1
sys.argv = ["osteoscreen", *{command!r}]
main()
"""


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A place for temporary files whose path is short enough for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="", dir="/tmp") as folder:
        yield Path(folder)


def _scratch(folder: Path) -> list[Path]:
    return [one for one in folder.iterdir() if NAME.fullmatch(one.name)]


@pytest.mark.slow
def test_a_run_that_was_killed_ends_in_the_same_table_and_leaves_nothing(
    tmp_path: Path, temporary: Path, archive: Archive, bundle: Bundle
) -> None:
    """Kills the run and its workers' parent with it, as soon as some studies are in the table."""
    out = tmp_path / "out"
    command = _command(archive.address, out, bundle, "--workers", "1")
    code = IN_PARTS_OF_ONE_STUDY.format(command=command)
    here = os.environ | {"TMPDIR": str(temporary)}
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, env=here) as killed:
        while len(list(out.rglob("*.parquet"))) < 2 and killed.poll() is None:
            time.sleep(0.02)
        killed.kill()
    before = _rows(out)
    assert 2 <= len(before) < STUDIES + 1
    assert _scratch(temporary) != []
    again = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=here
    )
    assert again.returncode == REFUSED, again.stderr
    assert _scratch(temporary) == []
    whole = Screener(_plan(out), archive, bundle.folder, tmp_path / "other")
    rows = [row for told in screen_in_turn(whole, archive.studies()) for row in told]
    expected = sorted(rows, key=lambda row: (row["study"], row["series"]))
    assert [{key: row[key] for key in expected[0]} for row in _rows(out)] == expected
    assert f"{STUDIES} screened, 1 refused" in again.stdout
    assert (out / REPORT).is_file()


ON_TWO_NODES = """
import os, pickle, time
from dataclasses import dataclass, fields
from pathlib import Path
from osteoscreen.batch.cluster import ALWAYS, LOOPBACK, connected
from osteoscreen.batch import engine
from osteoscreen.batch.engine import screen_on_ray
from osteoscreen.batch.screener import Screener

engine.STUDIES_A_TASK = 2
os.environ.update(ALWAYS | LOOPBACK)
import ray
from ray.cluster_utils import Cluster

given, archive, out = pickle.loads(bytes.fromhex({given!r}))
node = {{"num_cpus": 1, "object_store_memory": 100 * 2**20}}
cluster = Cluster(initialize_head=True, head_node_args={{**node, "include_dashboard": False}})
other = cluster.add_node(**node)

@dataclass(frozen=True)
class Stuck(Screener):
    doomed: str = ""

    def screen(self, study):
        begun = self.out / "begun"
        if ray.get_runtime_context().get_node_id() == self.doomed:
            begun.write_text(study.key)
            time.sleep(1000)
        while not begun.exists():
            time.sleep(0.1)
        return super().screen(study)

screener = Stuck(*(getattr(given, one.name) for one in fields(given)), doomed=other.node_id)
with connected(cluster.address, None) as workers, (out / "told").open("w") as stream:
    assert workers == 2
    for records in screen_on_ray(screener, lambda: archive.studies(), workers):
        if other is not None:
            cluster.remove_node(other, allow_graceful=False)
            other = None
        print(records[0]["study"], file=stream, flush=True)
cluster.shutdown()
"""


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_where_a_node_of_a_cluster_dies(
    tmp_path: Path, archive: Archive, bundle: Bundle
) -> None:
    """Two nodes on this machine, one of which is killed over a study that it has begun."""
    screener = Screener(plan_of(archive, bundle, "none"), archive, bundle.folder, tmp_path)
    code = ON_TWO_NODES.format(given=pickle.dumps((screener, archive, tmp_path)).hex())
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told = (tmp_path / "told").read_text().split()
    assert sorted(told) == sorted(study.key for study in archive.studies())
    assert (tmp_path / "begun").read_text() in told


def _plan(out: Path) -> Plan:
    return Plan.model_validate_json((out / PLAN).read_bytes())


def _command(archive: str, out: Path, bundle: Bundle, *more: str) -> list[str]:
    return ["batch", archive, "--out", str(out), "--bundle", str(bundle.folder), *more]


def test_two_runs_in_one_folder_do_not_mix_their_salts(
    tmp_path: Path, archive: Archive, bundle: Bundle
) -> None:
    first, second = (Run(archive, tmp_path / "out", bundle) for _ in range(2))
    assert first.plan()[1]
    assert second.plan()[1]  # both found a new folder
    with first.claimed() as plan:
        with pytest.raises(CohortError, match="folder is written by one run"), second.claimed():
            pass
        assert _plan(first.out) == plan
    with second.claimed() as later:
        assert later == plan


def test_workers_are_told_absolute_paths(
    tmp_path: Path, archive: Archive, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundle").symlink_to(bundle.folder)
    run = Run(archive, Path("out"), load_bundle(Path("bundle")))
    screener = run.screener(run.plan()[0])
    assert (screener.out, screener.bundle_folder) == (tmp_path / "out", tmp_path / "bundle")


@pytest.mark.parametrize("place", ["", "0/out"])
def test_an_output_folder_in_the_archive_is_refused(
    archive: Archive, bundle: Bundle, place: str
) -> None:
    with pytest.raises(BatchError, match="must lie outside of the archive"):
        Run(archive, Path(archive.address, place), bundle).plan()


def test_the_rows_of_a_study_that_is_told_twice_are_taken_once() -> None:
    one, two = [{"study": "1" * 16}, {"study": "1" * 16}], [{"study": "f" * 16}]
    assert list(once([one, two, one, two])) == [one, two]


def test_no_more_than_the_last_studies_are_remembered() -> None:
    told = [[{"study": f"{number:016x}"}] for number in range(REMEMBERED + 1)]
    assert len(list(once([*told, told[-1], told[1]]))) == len(told)
    assert len(list(once([*told, told[0]]))) == len(told) + 1
