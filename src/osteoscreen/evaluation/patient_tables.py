"""The honest tables of an evaluation: one result a patient, from its figures alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osteoscreen import texts
from osteoscreen.evaluation.experiment import OWN
from osteoscreen.evaluation.table import Figure, Table, interval_text
from osteoscreen.findings import CONDITIONS


def patient_tables(figures: Mapping[str, Any]) -> list[Table]:
    """Return the tables of one result a patient, of the marks slice by slice, and of the trainings.

    Args:
        figures: As ``experiment.figures_of`` gives them.
    """
    made = [_slices(figures)]
    if "classification" in figures:
        made.append(_headline(figures))
    if figures.get("classification", {}).get("operating_points"):
        made += [_points(figures), _worth(figures)]
    for name, make in (
        ("classifiers", _classifiers), ("groups", _groups), ("runs", _trainings)
    ):  # fmt: skip
        if figures.get(name):
            made.append(make(figures))
    return made


def _slices(figures: Mapping[str, Any]) -> Table:
    rows: list[tuple[Figure, ...]] = []
    for name, found in {"all": figures["segmentation"], **figures["segmentation_by"]}.items():
        for mark in ("vertebra", "body"):
            dice = found.get(f"{mark}_dice_score")
            if dice:
                rows.append(
                    (name, mark, dice["slices"], dice["mean"], dice["median"],
                     dice["tenth_percentile"])
                )  # fmt: skip
    return Table(
        "slices",
        "MS-Net by what a slice shows",
        ("Slices", "mark", "images", "DI, mean", "median", "10th percentile"),
        tuple(rows),
        "Middle: one body of 500 mm² and more. End: less of one, or two. Disc: arches alone. "
        "Narrow: a field of view below 260 mm.",
        digits=3,
    )


def _headline(figures: Mapping[str, Any]) -> Table:
    said = figures["classification"]
    rows: list[tuple[Figure, ...]] = [
        ("Patients", said["patients"], None),
        ("Patients without a result", figures["patients_not_classified"], None),
        ("Accuracy, three classes", said["accuracy"], interval_text(said["accuracy_interval"])),
        ("Macro AUC", said["macro_auc"], interval_text(said["macro_auc_interval"])),
        *(
            (
                f"AUC: {texts.LABELS[c]}",
                said["auc"][c.value],
                interval_text(said["auc_intervals"][c.value]),
            )
            for c in CONDITIONS
        ),
        *((f"Precision: {texts.LABELS[c]}", said["precision"][c.value], None) for c in CONDITIONS),
        *((f"Recall: {texts.LABELS[c]}", said["recall"][c.value], None) for c in CONDITIONS),
        ("Kappa", said["kappa"], None),
        (
            "Quadratic-weighted kappa",
            said["weighted_kappa"],
            interval_text(said["weighted_kappa_interval"]),
        ),
        ("Calibration error at temperature 1", said["calibration_error_before"], None),
        (
            "Calibration error",
            said["calibration_error"],
            interval_text(said["calibration_error_interval"]),
        ),
        *_sets(said),
    ]
    return Table(
        "patients",
        "One result a patient",
        ("Figure", "value", "95 % interval"),
        tuple(rows),
        "Mean of the calibrated probabilities of a patient's slices; intervals by bootstrap over "
        "patients, of shares by Wilson's score. Calibration error: ten bins of the confidence; a "
        "resample of a calibrated classifier has an error too, so the interval lies high.",
        digits=3,
    )


def _sets(said: Mapping[str, Any]) -> list[tuple[Figure, ...]]:
    sets = said.get("prediction_sets")
    if not sets:
        return []
    nominal = sets.get("nominal_coverage")
    wanted = f" (nominal {nominal:.0%})" if nominal else ""
    return [
        (
            f"Prediction sets: coverage{wanted}",
            sets["coverage_score"],
            interval_text(sets["coverage_interval"]),
        ),
        ("Prediction sets: mean size", sets["mean_size"], None),
        *(
            (f"Prediction sets of {size} class{'es' * (size > 1)}", share, None)
            for size, share in enumerate(sets["size_shares"], start=1)
        ),
    ]


def _points(figures: Mapping[str, Any]) -> Table:
    rows: list[tuple[Figure, ...]] = [
        (
            one["point"]["name"],
            one["point"]["threshold"],
            one["sensitivity_score"],
            interval_text(one["sensitivity_interval"]),
            one["specificity_score"],
            interval_text(one["specificity_interval"]),
        )
        for one in figures["classification"]["operating_points"]
    ]
    return Table(
        "operating_points",
        "Osteoporosis against the rest at the bundle's operating points",
        ("Operating point", "P(osteoporosis) from", "sensitivity", "sensitivity, 95 % interval",
         "specificity", "specificity, 95 % interval"),
        tuple(rows),
        "Sensitive: the threshold that found 90 % of the calibration patients with osteoporosis. "
        "Specific: the one that left out 90 % of the others. Where the classifier is good, it "
        "passes above both, and the specific threshold can lie below the sensitive one.",
        digits=3,
    )  # fmt: skip


def _worth(figures: Mapping[str, Any]) -> Table:
    rows: list[tuple[Figure, ...]] = [
        (one["point"]["name"], worth["prevalence"], worth["positive"], worth["negative"])
        for one in figures["classification"]["operating_points"]
        for worth in one["predictive_values"]
    ]
    return Table(
        "predictive_values",
        "What a finding is worth where osteoporosis is rarer or commoner",
        ("Operating point", "prevalence", "PPV", "NPV"),
        tuple(rows),
        "By Bayes' theorem from the sensitivity and specificity above; the specificity is that of "
        "this cohort's mix of normal and low bone mass. A negative finding excludes nothing.",
        digits=3,
    )


def _classifiers(figures: Mapping[str, Any]) -> Table:
    rows: list[tuple[Figure, ...]] = []
    for name, said in figures["classifiers"].items():
        if "accuracy" not in said:
            rows.append((name, 0, *[said["source"]] * 7, ""))
            continue
        rows.append(
            (
                name,
                said["patients"],
                said["accuracy"],
                interval_text(said["accuracy_interval"]),
                said["macro_auc"],
                interval_text(said["macro_auc_interval"]),
                said["auc"]["osteoporosis"],
                said["weighted_kappa"],
                "" if name == OWN else said["delong"]["p_value"],
                said["source"],
            )
        )
    return Table(
        "classifiers",
        "Classifiers compared",
        (
            "Classifier", "patients", "accuracy", "accuracy, 95 % interval", "macro AUC",
            "macro AUC, 95 % interval", "AUC, osteoporosis", "weighted kappa",
            f"DeLong p against {OWN}", "source",
        ),
        tuple(rows),
        "HU: mean trabecular attenuation inside MS-Net's body mark without 4 mm of rim. DeLong's "
        "test compares the AUC for osteoporosis. Published limits were found on real patients at "
        "120 kV and for osteoporosis against the rest; here they part three classes.",
        digits=3,
    )  # fmt: skip


def _groups(figures: Mapping[str, Any]) -> Table:
    rows: list[tuple[Figure, ...]] = [
        (
            name,
            said["patients"],
            said["accuracy"],
            interval_text(said["accuracy_interval"]),
            said["macro_auc"],
        )
        for name, said in figures["groups"].items()
    ]
    return Table(
        "groups",
        "One result a patient, by scanner, sex and age",
        ("Group", "patients", "accuracy", "95 % interval", "macro AUC"),
        tuple(rows),
        "Groups of fewer than ten patients are left out.",
        digits=3,
    )


def _trainings(figures: Mapping[str, Any]) -> Table:
    rows: list[tuple[Figure, ...]] = []
    for name, run in figures["runs"].items():
        recipe = run["recipe"]
        views = run["epochs"] * recipe["views_per_epoch"]
        network = recipe.get("network") or f"MS-Net, width {recipe['width']}"
        rate = views / run["seconds"] if run["seconds"] else None
        rows.append(
            (
                name, network, f"{recipe['image_size']}²", run["epochs"], views,
                round(run["seconds"] / 60, 1), rate, f"{run['hardware']}, {run['threads']} threads",
            )
        )  # fmt: skip
    return Table(
        "trainings",
        "How the networks were trained",
        (
            "Training",
            "network",
            "image",
            "epochs",
            "views",
            "minutes",
            "views a second",
            "hardware",
        ),
        tuple(rows),
        "Minutes on the clock, beside whatever else the machine did. A network that starts from "
        "another was trained before that too.",
        digits=1,
    )


def scanners_table(figures: Mapping[str, Any]) -> Table:
    """Return what is left of BCC-Net on a scanner that its training never saw.

    Args:
        figures: With ``left_out`` by scanner: ``without`` and ``with`` the scanner in training.
    """
    rows: list[tuple[Figure, ...]] = []
    for scanner, found in figures["left_out"].items():
        for name in ("without", "with"):
            said = found[name]
            rows.append(
                (
                    scanner,
                    f"{name} it",
                    said["patients"],
                    said.get("accuracy"),
                    interval_text(said.get("accuracy_interval", "")),
                    said.get("macro_auc"),
                    interval_text(said.get("macro_auc_interval", "")),
                )
            )
    return Table(
        "left_out",
        "Leave one scanner out",
        ("Scanner of the test patients", "trained", "patients", "accuracy",
         "accuracy, 95 % interval", "macro AUC", "macro AUC, 95 % interval"),
        tuple(rows),
        "BCC-Net by the practical recipe. Without it: no patient that trained or validated it was "
        "imaged on the scanner, so it had fewer of them, too. MS-Net, and the patients that set "
        "the temperature, had the scanner among theirs.",
        digits=3,
    )  # fmt: skip
