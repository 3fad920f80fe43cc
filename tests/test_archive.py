"""Archives of images: what is safe comes out, what is not is told."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from osteoscreen import archive, inflation
from osteoscreen.archive import unpacked
from osteoscreen.errors import InputError, RefusalCode


def _zip(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return path


def test_entries_come_out_as_they_were(tmp_path: Path) -> None:
    entries = {"a.dcm": b"one", "deep/b": b"two" * 1000, "deep/er/c": b""}
    with unpacked(_zip(tmp_path / "a.zip", entries)) as found:
        files = {str(one.relative_to(found.folder)): one.read_bytes()
                 for one in found.folder.rglob("*") if one.is_file()}  # fmt: skip
        assert files == entries
        assert found.problems == ()
    assert not found.folder.exists()


@pytest.mark.parametrize("name", ["../a", "x/../../a", "/etc/a", "..\\a", "c:/a"])
def test_a_name_that_points_outside_is_left_packed(name: str, tmp_path: Path) -> None:
    with unpacked(_zip(tmp_path / "a.zip", {name: b"x", "good": b"y"})) as found:
        assert [one.name for one in found.folder.rglob("*")] == ["good"]
        (problem,) = found.problems
    assert problem.code is RefusalCode.UNSAFE_NAME
    assert list(tmp_path.iterdir()) == [tmp_path / "a.zip"]


def test_a_link_is_left_packed(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr(link, "/etc/passwd")
    with unpacked(tmp_path / "a.zip") as found:
        assert list(found.folder.iterdir()) == []
        assert [one.code for one in found.problems] == [RefusalCode.UNSAFE_NAME]


def test_a_bomb_is_refused_by_what_it_claims(tmp_path: Path) -> None:
    bomb = _zip(tmp_path / "a.zip", {f"{index}": bytes(2**24) for index in range(8)})
    assert bomb.stat().st_size < 2**18
    with pytest.raises(InputError, match="100 times its size") as caught, unpacked(bomb):
        pass
    assert caught.value.code is RefusalCode.TOO_LARGE


def test_a_bomb_is_refused_by_what_really_comes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = _zip(tmp_path / "a.zip", {"a": bytes(2**22)})
    monkeypatch.setattr(archive, "_check_size", lambda *_: None)
    monkeypatch.setattr(inflation, "RATIO_FROM_BYTES", 2**21)
    with pytest.raises(InputError, match=r"to \d{7} or more"), unpacked(bomb):
        pass


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_ENTRIES", 3)
    many = _zip(tmp_path / "a.zip", {str(index): b"" for index in range(4)})
    with pytest.raises(InputError, match="more than 3 entries, got 4"), unpacked(many):
        pass


def test_an_archive_within_an_archive_stays_packed(tmp_path: Path) -> None:
    inner = _zip(tmp_path / "inner.zip", {"a": b"x"}).read_bytes()
    with unpacked(_zip(tmp_path / "a.zip", {"inner.zip": inner})) as found:
        assert [one.name for one in found.folder.iterdir()] == ["inner.zip"]


def test_a_damaged_entry_is_a_problem_and_the_others_come_out(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"good": b"y" * 100, "bad": bytes(range(256)) * 10})
    content = bytearray(path.read_bytes())
    at = content.index(b"bad") + 10
    content[at : at + 20] = b"#" * 20
    path.write_bytes(content)
    with unpacked(path) as found:
        assert [one.name for one in found.folder.iterdir()] == ["good"]
        assert [one.code for one in found.problems] == [RefusalCode.TRUNCATED]


@pytest.mark.parametrize("content", [b"", b"no zip at all"])
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with (
        pytest.raises(InputError, match="must be a zip file") as caught,
        unpacked(tmp_path / "a.zip"),
    ):
        pass
    assert caught.value.code is RefusalCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    ("names", "kept"),
    [(("a", "a/b"), ["a"]), (("a/b", "a"), ["a", "b"]), ((".", "good"), ["good"])],
)
def test_entries_that_stand_in_each_others_way_are_told(
    names: tuple[str, str], kept: list[str], tmp_path: Path
) -> None:
    with unpacked(_zip(tmp_path / "a.zip", dict.fromkeys(names, b"x"))) as found:
        assert [one.name for one in sorted(found.folder.rglob("*"))] == kept
        assert [one.code for one in found.problems] == [RefusalCode.UNSAFE_NAME]


def test_an_entry_twice_is_kept_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr("a", b"first")
        with pytest.warns(UserWarning, match="Duplicate name"):
            made.writestr("a", b"second")
    with unpacked(tmp_path / "a.zip") as found:
        assert (found.folder / "a").read_bytes() == b"first"
        assert [one.code for one in found.problems] == [RefusalCode.UNSAFE_NAME]
