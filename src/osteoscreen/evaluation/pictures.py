"""The figures of an evaluation, the paper's first, from what was read and a few slices anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve
from sklearn.neighbors import NearestNeighbors

from osteoscreen import texts
from osteoscreen.bundle import Bundle, BundleSettings
from osteoscreen.cohort.manifest import Case, Manifest
from osteoscreen.cohort.slices import LabelledSlice, read_slices
from osteoscreen.evaluation.experiment import OWN, Experiment
from osteoscreen.evaluation.readings import Readings, patient_scores, to_volume
from osteoscreen.evaluation.tables import SCORES
from osteoscreen.findings import CONDITIONS, Certainty
from osteoscreen.report.charts import (
    Curve,
    Drawing,
    Interval,
    calibration_figure,
    histograms_figure,
    intervals_figure,
    lines_figure,
    roc_figure,
    shares_figure,
)
from osteoscreen.report.gallery import Look, Marked, looks_figure, marks_figure
from osteoscreen.report.rings import Ring, rings_figure
from osteoscreen.screening.decision import is_clear, softmax, to_probabilities
from osteoscreen.screening.marking import mark_volume
from osteoscreen.screening.roi import RoiSettings, cut_roi

EXAMPLES = (90, 50, 25, 10, 0)
"""Percentiles of the Dice index whose slices are shown: not the best ones alone."""
CLEAR_RINGS, DOUBTFUL_RINGS = 3, 2
"""Columns of the paper's Figure 9."""
LOOKED_THROUGH = 400
"""Slices a class among which alike ones are sought."""


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure with what is written about it.

    Args:
        name: File name without its ending.
        title: What it shows.
        figure: The drawing.
        note: What a reader must know; may be empty.
    """

    name: str
    title: str
    figure: Drawing
    note: str = ""


def pictures_of(experiment: Experiment, figures: Mapping[str, Any]) -> list[Plot]:
    """Draw Figures 4 to 9 of the paper, and the honest ones.

    Args:
        experiment: What was read.
        figures: As ``experiment.figures_of`` gives them.
    Returns: Those for which there is something to show.
    """
    made = [*_examples(experiment), *_overlaps(experiment)]
    if len(experiment.protocol.truth):
        found = figures["protocol"]["classifiers"][OWN]
        made += [_roc(experiment, found["auc"]), _said(found["confusion"])]
    if "classification" in figures:
        made += [*_alike(experiment), _rings(experiment)]
        made += [_calibration(figures), _coverage(figures), *_worth(figures)]
    if len(figures.get("classifiers", {})) > 1:
        made += _compared(figures)
    return made


def reread(
    manifest: Manifest, cases: Sequence[Case], indices: Sequence[int]
) -> list[LabelledSlice]:
    """Read chosen slices once more, in the order asked for."""
    found = {}
    for one in read_slices(manifest, tuple(dict.fromkeys(cases))):
        found[one.case.case_id, one.index] = one
    return [found[case.case_id, index] for case, index in zip(cases, indices)]


def _index_in_case(readings: Readings) -> list[int]:
    """Return the number of each slice within its case."""
    counts: dict[str, int] = {}
    numbers = []
    for case in readings.cases:
        numbers.append(counts.get(case.case_id, 0))
        counts[case.case_id] = numbers[-1] + 1
    return numbers


def _examples(experiment: Experiment) -> list[Plot]:
    readings = experiment.test
    dice = np.array([one.get("vertebra_dice_score", np.nan) for one in readings.overlaps])
    known = np.flatnonzero(np.isfinite(dice))
    if not len(known):
        return []
    order = known[np.argsort(dice[known])]
    rows = [int(order[round(share / 100 * (len(order) - 1))]) for share in EXAMPLES]
    numbers = _index_in_case(readings)
    slices = reread(
        experiment.manifest, [readings.cases[row] for row in rows], [numbers[row] for row in rows]
    )
    columns = []
    for share, row, one in zip(EXAMPLES, rows, slices):
        marks = mark_volume(to_volume([one]), experiment.bundle)
        name = "worst" if share == 0 else f"{share}th percentile"
        columns.append(
            Marked(one.hu, one.vertebra, marks.vertebra[0], f"{name}\nDI {dice[row]:.3f}")
        )
    note = "Slices of the test split at stated percentiles of the Dice index, the worst included."
    return [Plot("figure_4", "Figure 4. Examples of the segmentation", marks_figure(columns), note)]


def _overlaps(experiment: Experiment) -> list[Plot]:
    overlaps = experiment.protocol.overlaps
    told = [one for one in overlaps if "vertebra_dice_score" in one]
    if not told:
        return []
    values = {
        label: np.array([one[f"vertebra_{score}"] for one in told])
        for score, label in SCORES.items()
    }
    figure = histograms_figure(values, x="Score", y="Images")
    title = "Figure 5. Distribution of the segmentation scores"
    lost = len(overlaps) - len(told)
    note = f"{len(told)} augmented images" + (
        f"; {lost} more were shifted so far that no vertebra is left in them." if lost else "."
    )
    return [Plot("figure_5", title, figure, note)]


def _roc(experiment: Experiment, areas: Mapping[str, Any]) -> Plot:
    truth = experiment.protocol.truth
    score = softmax(experiment.protocol.logits[""])
    curves = {}
    for index, condition in enumerate(CONDITIONS):
        is_class = truth == index
        if is_class.any() and not is_class.all():
            false_positive, sensitivity, _ = roc_curve(is_class, score[:, index])
            curves[condition] = Curve(
                f"{texts.LABELS[condition]} (AUC {areas[condition]:.4f})",
                false_positive,
                sensitivity,
            )
    note = f"{len(truth):,} augmented images, as the paper counts them."
    return Plot("figure_6", "Figure 6. ROC curves", roc_figure(curves), note)


def _said(confusion: Sequence[Sequence[int]]) -> Plot:
    counts = np.array(confusion, np.int64)
    note = (
        "The paper: of 1,008 images with normal bone mass 879 right, 98.4 % of the wrong ones low."
    )
    return Plot("figure_7", "Figure 7. What was said of each class", shares_figure(counts), note)


def _alike(experiment: Experiment) -> list[Plot]:
    """Find three slices, one a class, that look most alike, and show them."""
    readings = experiment.test
    known = np.flatnonzero(readings.is_known)
    pools = [known[readings.truth[known] == index][:LOOKED_THROUGH] for index in range(3)]
    if not all(len(pool) for pool in pools) or not len(readings.seen.images):
        return []
    images = [readings.seen.images[pool].astype(np.float32) for pool in pools]
    away, nearest = zip(
        *(
            NearestNeighbors(n_neighbors=1).fit(images[side]).kneighbors(images[1])
            for side in (0, 2)
        )
    )
    middle = int((away[0] + away[1])[:, 0].argmin())
    rows = [int(pools[0][nearest[0][middle, 0]]), int(pools[1][middle]),
            int(pools[2][nearest[1][middle, 0]])]  # fmt: skip
    numbers = _index_in_case(readings)
    slices = reread(
        experiment.manifest, [readings.cases[row] for row in rows], [numbers[row] for row in rows]
    )
    looks = [_look(experiment.bundle, one) for one in slices]
    title = "Figure 8. Slices that look alike and are of different classes"
    note = (
        f"Of the first {LOOKED_THROUGH} test slices a class, those whose coarse images (32×32 "
        "pixels of the whole slice) lie closest to the same slice with low bone mass."
    )
    return [Plot("figure_8", title, looks_figure(looks), note)]


def _look(bundle: Bundle, one: LabelledSlice) -> Look:
    settings = bundle.settings.classifier
    marks = mark_volume(to_volume([one]), bundle)
    mark = (marks.body if settings.mark == "body" else marks.vertebra)[0]
    roi_settings = RoiSettings(settings.size, settings.window_hu)
    roi = cut_roi(one.hu, mark, one.spacing_mm, roi_settings, fill=settings.fill)
    assert one.case.condition is not None
    t_score = "" if one.case.t_score is None else f"\nT-score {one.case.t_score:.1f}"
    return Look(one.hu, mark, roi, f"{texts.LABELS[one.case.condition]}{t_score}")


def _rings(experiment: Experiment) -> Plot:
    settings = experiment.bundle.settings
    truth, score = patient_scores(experiment.test, settings.classifier.temperature)
    confidence, is_right = score.max(axis=1), score.argmax(axis=1) == truth
    rows: dict[str, list[Ring | None]] = {}
    for index, condition in enumerate(CONDITIONS):
        mine = np.flatnonzero(is_right & (truth == index))
        order = mine[np.argsort(-confidence[mine], kind="stable")]
        rings = [_ring(score[row], settings) for row in order]
        clear = [ring for ring in rings if ring.certainty is Certainty.CLEAR]
        doubtful = [ring for ring in rings if ring.certainty is not Certainty.CLEAR]
        rows[texts.LABELS[condition]] = [
            *_spread(clear, CLEAR_RINGS, end=0.5),
            *_spread(doubtful, DOUBTFUL_RINGS, end=1.0),
        ]
    title = "Figure 9. Rings of correctly classified patients"
    note = (
        "Each row is a true condition. Columns 1 to 3: clear, from the surest to the median. "
        "Columns 4 and 5: right, but doubtful. Below each ring: normal / low / osteoporosis."
    )
    return Plot("figure_9", title, rings_figure(rows), note)


def _ring(score: NDArray[np.float64], settings: BundleSettings) -> Ring:
    probabilities = to_probabilities(score)
    clear = is_clear(
        probabilities,
        settings.operating_points.clear_probability,
        settings.classifier.conformal_quantile,
    )
    return Ring(probabilities, Certainty.CLEAR if clear else Certainty.DOUBTFUL)


def _spread(rings: Sequence[Ring], count: int, *, end: float) -> list[Ring | None]:
    """Choose rings evenly from the first to a share of them; ``None`` where there are too few."""
    if len(rings) < count:
        return [*rings, *[None] * (count - len(rings))]
    places = np.linspace(0, end * (len(rings) - 1), count)
    return [rings[round(place)] for place in places]


def _calibration(figures: Mapping[str, Any]) -> Plot:
    said = figures["classification"]

    def curve(name: str, bins: str, error: str) -> Curve:
        x = [one["confidence"] for one in said[bins]]
        y = [one["accuracy_score"] for one in said[bins]]
        return Curve(f"{name}: error {said[error]:.3f}", x, y)

    figure = calibration_figure(
        curve("temperature 1", "calibration_before", "calibration_error_before"),
        curve("calibrated", "calibration", "calibration_error"),
    )
    note = "Ten bins of the confidence, one result a patient."
    return Plot("calibration", "Calibration", figure, note)


def _coverage(figures: Mapping[str, Any]) -> Plot:
    decided, accuracy = zip(*figures["classification"]["accuracy_by_coverage"])
    figure = lines_figure(
        [Curve("accuracy", decided, accuracy)], x="Share of patients decided", y="Accuracy"
    )
    note = "The least sure patients are left to a person."
    return Plot("coverage", "Accuracy when the doubtful are left out", figure, note)


def _worth(figures: Mapping[str, Any]) -> list[Plot]:
    curves = []
    for one in figures["classification"].get("operating_points", ()):
        for side in ("positive", "negative"):
            worth = [w for w in one["predictive_values"] if not isinstance(w[side], str)]
            name = f"{'PPV' if side == 'positive' else 'NPV'}, {one['point']['name']}"
            curves.append(Curve(name, [w["prevalence"] for w in worth], [w[side] for w in worth]))
    if not curves:
        return []
    figure = lines_figure(curves, x="Prevalence of osteoporosis", y="Predictive value")
    return [Plot("predictive_values", "What a finding is worth", figure)]


def _compared(figures: Mapping[str, Any]) -> list[Plot]:
    panels: dict[str, list[Interval]] = {}
    for title, key in (("Accuracy", "accuracy"), ("Macro AUC", "macro_auc")):
        panels[title] = [
            Interval(name, said[key], *said[f"{key}_interval"])
            for name, said in figures["classifiers"].items()
            if not isinstance(said.get(key, ""), str)
        ]
    told = {title: values for title, values in panels.items() if values}
    if not told:
        return []
    return [Plot("classifiers", "Classifiers compared", intervals_figure(told))]
