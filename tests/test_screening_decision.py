"""From logits to probabilities, sets and advice."""

from __future__ import annotations

from html import unescape

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import special

from osteoscreen import texts
from osteoscreen.bundle import (
    BundleSettings,
    ClassifierSettings,
    OperatingPoints,
    SegmenterSettings,
    TrainedOn,
    TypicalSettings,
)
from osteoscreen.findings import (
    CONDITIONS,
    Abstention,
    BoneCondition,
    Certainty,
    Probabilities,
    ReservationCode,
    ScreeningResult,
)
from osteoscreen.report.content import describe
from osteoscreen.report.page import render_html
from osteoscreen.screening.decision import (
    Evidence,
    advise,
    aggregate,
    decide,
    is_clear,
    prediction_set,
    softmax,
    to_probabilities,
)
from promises import promises

LOGITS = st.lists(st.floats(-30, 30), min_size=3, max_size=3)


@given(logits=LOGITS, temperature=st.floats(0.2, 5))
def test_softmax_equals_scipys(logits: list[float], temperature: float) -> None:
    values = np.array(logits)
    assert_allclose(softmax(values, temperature), special.softmax(values / temperature), atol=1e-12)


@given(logits=LOGITS)
def test_a_higher_temperature_never_makes_the_leading_class_more_certain(
    logits: list[float],
) -> None:
    values = np.array(logits)
    assert softmax(values, 2.0).max() <= softmax(values, 1.0).max() + 1e-12


@given(logits=st.lists(LOGITS, min_size=1, max_size=6))
def test_the_patients_probabilities_are_the_mean_over_slices(logits: list[list[float]]) -> None:
    slices = softmax(np.array(logits))
    assert_allclose(aggregate(slices).as_tuple(), slices.mean(axis=0), atol=1e-9)


def test_of_two_equal_classes_the_worse_is_named() -> None:
    tie = Probabilities(normal_bone_mass=0.2, low_bone_mass=0.4, osteoporosis=0.4)
    assert tie.condition is BoneCondition.OSTEOPOROSIS


@given(logits=LOGITS, quantile=st.one_of(st.none(), st.floats(0, 1)))
def test_the_prediction_set_always_holds_the_condition(
    logits: list[float], quantile: float | None
) -> None:
    probabilities = to_probabilities(softmax(np.array(logits)))
    held = prediction_set(probabilities, quantile)
    assert probabilities.condition in held
    assert list(held) == [condition for condition in CONDITIONS if condition in held]


def test_the_prediction_set_by_hand() -> None:
    probabilities = Probabilities(normal_bone_mass=0.55, low_bone_mass=0.35, osteoporosis=0.10)
    assert prediction_set(probabilities, 0.7) == (BoneCondition.NORMAL, BoneCondition.LOW)
    assert prediction_set(probabilities, 0.3) == (BoneCondition.NORMAL,)
    assert prediction_set(probabilities, 0.95) == CONDITIONS


def test_there_is_advice_for_every_class_clear_or_not() -> None:
    assert set(texts.ADVICE) == {(c, clear) for c in CONDITIONS for clear in (True, False)}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0.9933, 0.0065, 0.0002), "does not exclude"),
        ((0.50, 0.30, 0.20), "exercise"),
        ((0.05, 0.90, 0.05), "regularly"),
        ((0.05, 0.05, 0.90), "regularly"),
        ((0.10, 0.48, 0.42), "Further examination"),
        ((0.30, 0.30, 0.40), "Further examination"),
    ],
)
def test_the_advice_is_that_of_section_3_5(values: tuple[float, float, float], words: str) -> None:
    probabilities = to_probabilities(np.array(values))
    assert words in advise(probabilities, clear=is_clear(probabilities, 0.6))


def test_clear_begins_at_the_operating_point() -> None:
    probabilities = Probabilities(normal_bone_mass=0.6, low_bone_mass=0.3, osteoporosis=0.1)
    assert is_clear(probabilities, 0.6)
    assert not is_clear(probabilities, 0.61)


def test_a_class_that_shares_its_prediction_set_is_not_clear() -> None:
    probabilities = Probabilities(normal_bone_mass=0.62, low_bone_mass=0.37, osteoporosis=0.01)
    assert is_clear(probabilities, 0.6, quantile=0.5)
    assert not is_clear(probabilities, 0.6, quantile=0.7)


SETTINGS = BundleSettings(
    name="paper",
    version="1",
    segmenter=SegmenterSettings(
        size=64, spacing_mm=None, window_hu=(-200, 1000), marks=("vertebra",)
    ),
    classifier=ClassifierSettings(size=32, window_hu=(-200, 1000), mark="vertebra"),
    trained_on=TrainedOn(
        is_synthetic=True, description="none", kvp=(120, 120), thickness_mm=(1, 5)
    ),
    runs={},
    metrics={},
    sha256={},
)


def _settings(
    quantile: float | None, clear: float = 0.6, limit: float | None = None
) -> BundleSettings:
    typical = None if limit is None else TypicalSettings(mean=(0,), precision=((1,),), limit=limit)
    return SETTINGS.model_copy(
        update={
            "classifier": SETTINGS.classifier.model_copy(update={"conformal_quantile": quantile}),
            "operating_points": OperatingPoints(clear_probability=clear),
            "typical": typical,
        }
    )


EVIDENCE = st.builds(
    Evidence,
    thickness_mm=st.one_of(st.none(), st.floats(0.5, 12)),
    noise_hu=st.one_of(st.none(), st.floats(5, 300)),
    suggests_osteoporosis=st.sampled_from([True, False, None]),
    unlike_score=st.one_of(st.none(), st.floats(0, 10)),
    has_intact_level=st.booleans(),
)


@given(
    logits=LOGITS,
    quantile=st.one_of(st.none(), st.floats(0, 1)),
    clear=st.floats(0.4, 0.95),
    limit=st.one_of(st.none(), st.floats(1, 6)),
    evidence=EVIDENCE,
)
def test_class_chart_wording_and_codes_never_contradict_each_other(
    logits: list[float],
    quantile: float | None,
    clear: float,
    limit: float | None,
    evidence: Evidence,
) -> None:
    probabilities = to_probabilities(softmax(np.array(logits)))
    decision = decide(probabilities, _settings(quantile, clear, limit), evidence)
    # The result checks itself when built: condition, certainty, set, codes.
    result = ScreeningResult(
        status="screened",
        notice=texts.NOTICE,
        condition=decision.condition,
        certainty=decision.certainty,
        abstention=decision.abstention,
        probabilities=probabilities,
        prediction_set=decision.prediction_set,
        advice=decision.advice,
        reservations=decision.reservations,
        software="osteoscreen",
    )
    headline = texts.headline(probabilities, decision.certainty)
    alternative = texts.ring_alt(probabilities, decision.certainty)
    content = describe(result, {}, title="a")
    page = unescape(render_html(content))
    assert headline in page
    assert "A result never excludes osteoporosis." in page
    assert promises(page) == []
    assert decision.advice.split(".")[0] in page
    if decision.certainty is Certainty.ABSTAINED:
        assert headline == "No statement"
        assert "no statement" in alternative
        assert "No statement: " in decision.advice
        return
    assert decision.condition is probabilities.condition
    assert headline == texts.LABELS[decision.condition] + "?" * (
        decision.certainty is Certainty.DOUBTFUL
    )
    assert ("doubtful" in alternative) == (decision.certainty is Certainty.DOUBTFUL)
    is_clear_cut = decision.certainty is Certainty.CLEAR
    assert decision.advice == texts.ADVICE[decision.condition, is_clear_cut]
    if (decision.condition, evidence.suggests_osteoporosis) in {
        (BoneCondition.NORMAL, True),
        (BoneCondition.OSTEOPOROSIS, False),
    }:
        assert not is_clear_cut


NORMAL = Probabilities(normal_bone_mass=0.9, low_bone_mass=0.08, osteoporosis=0.02)


@pytest.mark.parametrize(
    ("evidence", "quantile", "abstention"),
    [
        (Evidence(unlike_score=3.0), 0.5, None),
        (Evidence(), 0.5, Abstention.UNLIKE_TRAINING),
        (Evidence(unlike_score=3.1), 0.5, Abstention.UNLIKE_TRAINING),
        (Evidence(has_intact_level=False), 0.5, Abstention.NO_INTACT_LEVEL),
        (Evidence(unlike_score=0.0, thickness_mm=7.5, noise_hu=150), 0.5, None),
        (Evidence(unlike_score=0.0, thickness_mm=8.0), 0.5, Abstention.IMAGE_QUALITY),
        (Evidence(unlike_score=0.0, noise_hu=151), 0.5, Abstention.IMAGE_QUALITY),
        (Evidence(unlike_score=0.0), 0.99, Abstention.ANY_CLASS),
    ],
)
def test_it_abstains_for_each_reason(
    evidence: Evidence, quantile: float, abstention: Abstention | None
) -> None:
    decision = decide(NORMAL, _settings(quantile, limit=3.0), evidence)
    assert decision.abstention is abstention
    assert (decision.condition is None) == (abstention is not None)


def test_attenuation_that_contradicts_makes_a_clear_class_doubtful() -> None:
    agreeing = decide(NORMAL, _settings(0.5), Evidence(suggests_osteoporosis=False))
    against = decide(NORMAL, _settings(0.5), Evidence(suggests_osteoporosis=True))
    assert agreeing.certainty is Certainty.CLEAR
    assert against.certainty is Certainty.DOUBTFUL
    assert ReservationCode.DISAGREEMENT in {one.code for one in against.reservations}


@pytest.mark.parametrize(
    ("values", "quantile", "suggests", "said"),
    [
        ((0.55, 0.40, 0.05), 0.5, None, "the likeliest does not reach a probability of 60%."),
        ((0.65, 0.30, 0.05), 0.7, None, "the prediction set also holds low bone mass."),
        (
            (0.55, 0.40, 0.05), 0.6, True,
            "the likeliest does not reach a probability of 60%; the prediction set also holds low "
            "bone mass; the attenuation of L1 contradicts it.",
        ),
    ],
)  # fmt: skip
def test_a_doubtful_class_says_what_it_lacks(
    values: tuple[float, float, float],
    quantile: float,
    suggests: bool | None,
    said: str,
) -> None:
    probabilities = Probabilities(**dict(zip(CONDITIONS, values)))
    evidence = Evidence(suggests_osteoporosis=suggests)
    decision = decide(probabilities, _settings(quantile), evidence)
    assert decision.certainty is Certainty.DOUBTFUL
    assert decision.reservations[-1].text == f"No class is clear: {said}"


def test_an_image_that_is_not_good_enough_says_by_how_much() -> None:
    evidence = Evidence(unlike_score=0.0, thickness_mm=10.0, noise_hu=163.4)
    assert decide(NORMAL, _settings(0.5, limit=3.0), evidence).advice == (
        "No statement: slices are 10 mm thick, more than 7.5 mm; the noise in spongy bone is "
        "163 HU, more than 150 HU. Further examination, such as DXA, is needed."
    )


@pytest.mark.parametrize(
    ("leading", "suggests", "agreement"),
    [
        *((condition, None, None) for condition in CONDITIONS),
        (BoneCondition.NORMAL, True, "disagree"),
        (BoneCondition.LOW, True, "neither"),
        (BoneCondition.OSTEOPOROSIS, True, "agree"),
        (BoneCondition.NORMAL, False, "neither"),  # the limit does not tell normal from low
        (BoneCondition.LOW, False, "neither"),
        (BoneCondition.OSTEOPOROSIS, False, "disagree"),
    ],
)
def test_agreement_is_told(
    leading: BoneCondition, suggests: bool | None, agreement: str | None
) -> None:
    probabilities = Probabilities(**{one: 0.98 if one is leading else 0.01 for one in CONDITIONS})
    decision = decide(probabilities, _settings(0.5), Evidence(suggests_osteoporosis=suggests))
    assert decision.agreement == agreement


def test_no_advice_rules_anything_out() -> None:
    for words in (*texts.ADVICE.values(), *texts.ABSTENTIONS.values()):
        assert promises(words) == []
    assert "does not exclude osteoporosis" in texts.ADVICE[BoneCondition.NORMAL, True]
