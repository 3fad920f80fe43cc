"""Workers that screen one study after the other."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import IO, NoReturn

import pytest

from archives import write_archive
from bundles import threshold_bundle
from osteoscreen.batch.archive import Archive, open_archive
from osteoscreen.batch.plan import plan_of
from osteoscreen.batch.screener import RESULTS, Screener
from osteoscreen.batch.study import Study
from osteoscreen.bundle import Bundle
from osteoscreen.errors import BundleError, ServerError

STUDIES = 2


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return threshold_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return open_archive(str(write_archive(tmp_path_factory.mktemp("archive"), STUDIES)))


@pytest.mark.parametrize("field", ["bundle", "software"])
def test_a_worker_with_another_bundle_or_version_than_the_run_screens_nothing(
    tmp_path: Path, archive: Archive, bundle: Bundle, field: str
) -> None:
    plan = plan_of(archive, bundle, "none")
    Screener(plan, archive, bundle.folder, tmp_path).begin()
    other = plan.model_copy(update={field: "another"})
    with pytest.raises(BundleError, match=f"it has {field} {getattr(plan, field)}, not another$"):
        Screener(other, archive, bundle.folder, tmp_path).begin()


def test_what_was_written_of_a_study_that_is_left_is_removed(
    tmp_path: Path, archive: Archive, bundle: Bundle
) -> None:
    screener = Screener(plan_of(archive, bundle, "all"), archive, bundle.folder, tmp_path)
    study = Study("d" * 16, "deadly")
    half = tmp_path / RESULTS / study.key / "series" / "report.html"
    half.parent.mkdir(parents=True)
    half.touch()
    (row,) = screener.leave(study)
    assert row["status"] == "failed"
    assert list((tmp_path / RESULTS).iterdir()) == []
    assert screener.leave(study) == [row]  # nothing is there to remove


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_takes_nothing_ends_the_run_and_makes_no_row(
    tmp_path: Path,
    archive: Archive,
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    """While a worker begins, a study is unpacked, and its results are written."""
    screener = Screener(plan_of(archive, bundle, "all"), archive, bundle.folder, tmp_path)
    studies = list(archive.studies())
    zipped = next(study for study in studies if study.source.endswith(".zip"))
    plain = next(study for study in studies if study.source.endswith("0/ct"))

    def full(path: Path, *_: object, **__: object) -> NoReturn:
        raise OSError(number, "as the system says", str(path))

    opened = Path.open

    def read_only(path: Path, mode: str, **_: object) -> IO[bytes]:
        return opened(path, "rb") if mode == "rb" else full(path)

    monkeypatch.setattr(Path, "open", read_only)
    with pytest.raises(ServerError, match="the disk must take what is written"):
        screener.begin()
    monkeypatch.setattr(Path, "open", opened)
    monkeypatch.setattr(Path, "mkdir", full)
    for study in (zipped, plain):
        with pytest.raises(ServerError, match="the disk must take what is written") as raised:
            screener.screen(study)
        assert str(raised.value).endswith(os.strerror(number))
