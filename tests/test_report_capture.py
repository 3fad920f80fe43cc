"""The picture for an archive: the slices as they are, under words that are all there."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from matplotlib.image import imsave
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from made_results import made_refusal, made_result
from osteoscreen.findings import ScreeningResult
from osteoscreen.report import capture
from osteoscreen.report.capture import captured
from osteoscreen.report.drawing import SCALE, Drawing

MARGIN = round(capture.MARGIN * SCALE)


def _slices(columns: int = 1100) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (60, columns, 3), np.uint8)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = BytesIO()
    imsave(buffer, pixels, format="png")
    return buffer.getvalue()


def _banner(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the words are: rows above the slices, pixels unlike the paper."""
    above = picture[: -60 - MARGIN]
    return np.asarray((above != above[0, 0]).any(axis=2))


@pytest.mark.parametrize("columns", [300, 1000, 1100, 1586, 1600])
def test_the_slices_are_shown_pixel_by_pixel(columns: int) -> None:
    picture = captured(made_result(), _png(_slices(columns)))
    assert_array_equal(picture[-60 - MARGIN : -MARGIN, MARGIN : MARGIN + columns], _slices(columns))
    assert picture.shape[1] >= columns + 2 * MARGIN - 1


@pytest.mark.parametrize("columns", [300, 1100, 1600])
def test_no_word_runs_out_of_the_picture(columns: int) -> None:
    notice = "WIDE MEMORANDUM WORDS " * 20
    words = _banner(captured(made_result(notice=notice), _png(_slices(columns))))
    assert words.any()
    assert not words[:, : MARGIN - 4].any()
    assert not words[:, -MARGIN + 4 :].any()
    assert not words[: MARGIN // 2].any()
    assert not words[-MARGIN // 2 :].any()


def test_the_notice_and_the_result_are_part_of_the_picture() -> None:
    def banner(**changes: object) -> NDArray[np.bool_]:
        return _banner(captured(made_result(**changes), _png(_slices())))

    usual = banner()
    assert not np.array_equal(usual, banner(notice="Research use."))
    other = {"normal_bone_mass": 0.2, "low_bone_mass": 0.6, "osteoporosis": 0.2}
    assert not np.array_equal(usual, banner(probabilities=other))


@pytest.mark.parametrize("result", [made_result(), made_refusal()])
def test_every_picture_is_preliminary_and_has_the_notice(
    result: ScreeningResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(Drawing, "write", lambda _, place, words, lettering: said.append(words))
    captured(result, _png(_slices()))
    assert f"{result.notice} Preliminary, not verified." in " ".join(said)


def test_a_refusal_is_told() -> None:
    assert _banner(captured(made_refusal(), _png(_slices()))).sum() > 1000
