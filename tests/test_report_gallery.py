"""Galleries show each slice around its mark."""

from __future__ import annotations

import numpy as np
import pytest

from osteoscreen.report.gallery import Look, Marked, looks_figure, marks_figure


def test_galleries_show_each_slice_around_its_mark() -> None:
    hu = np.zeros((100, 100), np.float32)
    mark = np.zeros((100, 100), bool)
    mark[45:55, 40:60] = True
    marks = marks_figure([Marked(hu, mark, ~mark, "one"), Marked(hu, mark, mark, "two")])
    assert len(marks.axes) == 8
    shown = np.asarray(marks.axes[1].images[0].get_array())
    # 20 wide, and 0.6 of that on either side.
    assert shown.shape == pytest.approx((44, 44), abs=2)
    looks = looks_figure([Look(hu, np.zeros_like(mark), hu[:32, :32], "no mark")])
    assert [np.asarray(axes.images[0].get_array()).shape for axes in looks.axes] == [
        (100, 100), (32, 32)
    ]  # fmt: skip
    assert looks.axes[0].get_title() == "no mark"
