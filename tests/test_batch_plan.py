"""An output folder belongs to one run."""

from __future__ import annotations

from pathlib import Path

import pytest

from osteoscreen.batch.part import part_of
from osteoscreen.batch.plan import PLAN, Plan, find_plan, write_plan
from osteoscreen.cohort.lock import locked
from osteoscreen.errors import BatchError

WANTED = Plan(archive="/archive", bundle="ab", keep="none")


def test_a_new_folder_has_no_plan(tmp_path: Path) -> None:
    assert find_plan(tmp_path, WANTED) is None
    assert find_plan(tmp_path / "nowhere", WANTED) is None


def test_the_same_run_goes_on_with_its_own_salt(tmp_path: Path) -> None:
    write_plan(WANTED, tmp_path)
    again = Plan(archive="/archive", bundle="ab", keep="none")
    assert again.salt != WANTED.salt
    assert find_plan(tmp_path, again) == WANTED
    assert [file.name for file in tmp_path.iterdir()] == [PLAN]


def test_a_plan_is_for_its_owner_alone_and_shows_no_salt(tmp_path: Path) -> None:
    write_plan(WANTED, tmp_path)
    assert (tmp_path / PLAN).stat().st_mode & 0o777 == 0o600
    assert WANTED.salt not in repr(WANTED)


def test_a_folder_in_which_a_run_got_no_further_than_its_plan_is_new(tmp_path: Path) -> None:
    with locked(tmp_path):
        part_of(tmp_path / PLAN).write_text("{")
        assert find_plan(tmp_path, WANTED) is None
    write_plan(WANTED, tmp_path)
    assert find_plan(tmp_path, WANTED) == WANTED


@pytest.mark.parametrize(
    ("field", "value"), [("archive", "/other"), ("bundle", "cd"), ("keep", "all")]
)
def test_another_run_is_refused_in_one_line(tmp_path: Path, field: str, value: str) -> None:
    write_plan(WANTED, tmp_path)
    other = WANTED.model_copy(update={field: value})
    with pytest.raises(BatchError, match=f"another run: it has {field} .*, not {value}$"):
        find_plan(tmp_path, other)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    for out in (tmp_path, tmp_path / "letter.txt"):
        with pytest.raises(BatchError, match="must be empty or a run's"):
            find_plan(out, WANTED)


def test_a_damaged_plan_is_refused(tmp_path: Path) -> None:
    (tmp_path / PLAN).write_text("{")
    with pytest.raises(BatchError, match="must be whole"):
        find_plan(tmp_path, WANTED)
