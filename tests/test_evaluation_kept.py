"""Kept readings are what was read, for the same bundles and the same cohort only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_array_equal

from bundles import threshold_bundle
from osteoscreen.cohort.manifest import Manifest, Split
from osteoscreen.evaluation import kept
from osteoscreen.evaluation.kept import read_or_keep
from osteoscreen.evaluation.readings import Readings


def _same(one: Readings, other: Readings) -> None:
    assert one.cases == other.cases
    assert [dict(scores) for scores in one.overlaps] == [dict(scores) for scores in other.overlaps]
    assert one.shows == other.shows
    for name in ("logits", "hu", "width_mm"):
        assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.rivals.keys() == other.rivals.keys()
    for name, values in one.rivals.items():
        assert_array_equal(values, other.rivals[name])
    assert (one.seen.cases, one.seen.patients, one.seen.series) == (
        other.seen.cases, other.seen.patients, other.seen.series
    )  # fmt: skip
    assert_array_equal(one.seen.images, other.seen.images)


def test_what_was_kept_is_not_read_again(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = threshold_bundle(tmp_path / "bundle")
    folder, rivals = tmp_path / "kept", {"itself": bundle}
    first = read_or_keep(folder, bundle, manifest, Split.TEST, rivals=rivals)
    assert len(list(folder.iterdir())) == 1

    def never(*_: Any, **__: Any) -> None:  # noqa: ANN401 - whatever it is called with
        raise AssertionError("read again")

    monkeypatch.setattr(kept, "read_cohort", never)
    _same(read_or_keep(folder, bundle, manifest, Split.TEST, rivals=rivals), first)
    for others in (
        (replace(bundle, sha256="another"), manifest, rivals),
        (bundle, replace(manifest, sha256="another"), rivals),
        (bundle, manifest, {}),
    ):
        with pytest.raises(AssertionError, match="read again"):
            read_or_keep(folder, others[0], others[1], Split.TEST, rivals=others[2])


def test_an_empty_split_is_kept_too(manifest: Manifest, tmp_path: Path) -> None:
    bundle = threshold_bundle(tmp_path / "bundle")
    nobody = replace(manifest, cases=())
    first = read_or_keep(tmp_path / "kept", bundle, nobody, Split.TEST, rivals={})
    _same(read_or_keep(tmp_path / "kept", bundle, nobody, Split.TEST, rivals={}), first)
