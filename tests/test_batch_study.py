"""The key of a study."""

from __future__ import annotations

from osteoscreen.batch.study import key_of


def test_a_key_is_the_first_half_of_sixteen_bytes_of_the_hash_of_a_place() -> None:
    assert key_of([b"abc"]) == "ba7816bf8f01cfea"  # SHA-256 of "abc" (FIPS 180-4, appendix B.1)


def test_folders_that_read_alike_in_a_row_make_other_keys() -> None:
    assert len({key_of(place) for place in ([b"a", b"b"], [b"ab"], [b"b", b"a"])}) == 3
