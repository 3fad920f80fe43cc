"""The tables of an evaluation, the paper's first, from its figures alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osteoscreen.evaluation import published
from osteoscreen.evaluation.experiment import OWN
from osteoscreen.evaluation.reader_study import rate, read_appendix_a
from osteoscreen.evaluation.table import Figure, Table, interval_text
from osteoscreen.findings import CONDITIONS

SCORES = {"dice_score": "DI", "iou_score": "IoU", "pixel_recall_score": "PA"}
"""Columns of Table 3. The paper's PA is the share of the vertebra that is marked (equation 3)."""
LABELS = [condition.label for condition in CONDITIONS]


def tables_of(figures: Mapping[str, Any]) -> list[Table]:
    """Return Tables 2 to 4 and 6, and the honest ones.

    Args:
        figures: As ``experiment.figures_of`` gives them.
    """
    made = [_cohort(figures), _segmentation(figures)]
    if "classifiers" in figures["protocol"]:
        made += [_classes(figures), _readers(figures)]
    made.append(_slices(figures))
    if "classification" in figures:
        made += [_headline(figures), _points(figures), _worth(figures)]
    if figures.get("classifiers"):
        made.append(_classifiers(figures))
    if figures.get("groups"):
        made.append(_groups(figures))
    return made


def _cohort(figures: Mapping[str, Any]) -> Table:
    splits = list(figures["cohort"])
    rows: list[tuple[Figure, ...]] = [
        (
            condition.label,
            published.PATIENTS["train"],
            published.PATIENTS["test"],
            *(figures["cohort"][split][condition.value] for split in splits),
        )
        for condition in CONDITIONS
    ]
    total = [sum(int(row[column] or 0) for row in rows) for column in range(1, len(splits) + 3)]
    return Table(
        "table_2",
        "Table 2. Patients of the cohort",
        ("Bone condition", "paper: train", "paper: test", *splits),
        (*rows, ("Total", *total)),
        f"The paper's protocol is run on {figures['protocol']['patients']} test patients; "
        "everything else on the whole test split.",
    )


def _segmentation(figures: Mapping[str, Any]) -> Table:
    protocol = figures["protocol"]
    rows: list[tuple[Figure, ...]] = [
        ("MS-Net, the paper", 756, *(published.SEGMENTATION[score] for score in SCORES))
    ]
    for mark in ("vertebra", "body"):
        for name, found, images in (
            ("augmented images", protocol["segmentation"], protocol["marked_images"]),
            ("slices as they are", figures["segmentation"], figures["slices"]),
        ):
            if f"{mark}_dice_score" in found:
                means = [found[f"{mark}_{score}"]["mean"] for score in SCORES]
                rows.append((f"MS-Net, {mark}, {name}", images, *means))
    return Table(
        "table_3",
        "Table 3. Segmentation",
        ("Segmentation module", "images", *SCORES.values()),
        tuple(rows),
        "DI: Dice index (eq. 2); IoU (eq. 4); PA: share of the vertebra that is marked (eq. 3), "
        "which is a recall. The paper's images are those of 63 real patients.",
    )


def _classes(figures: Mapping[str, Any]) -> Table:
    said = figures["protocol"]["classifiers"][OWN]
    honest = figures["classification"]
    rows = [
        (
            condition.label,
            published.PRECISION[index],
            said["precision"][condition.value],
            honest["precision"][condition.value],
            published.AUC[index],
            said["auc"][condition.value],
            honest["auc"][condition.value],
        )
        for index, condition in enumerate(CONDITIONS)
    ]
    images, patients = figures["protocol"]["classified_images"], honest["patients"]
    return Table(
        "table_4",
        "Table 4. Classification of the conditions",
        (
            "Bone condition",
            "Precision: paper",
            f"{images:,} images",
            f"{patients:,} patients",
            "AUC: paper",
            f"AUC: {images:,} images",
            f"AUC: {patients:,} patients",
        ),
        tuple(rows),
        "Images: augmented images of the protocol's patients, as in the paper. Patients: one "
        "result each, the mean over slices.",
    )


def _readers(figures: Mapping[str, Any]) -> Table:
    said = figures["protocol"]["classifiers"][OWN]
    readings = rate(read_appendix_a())
    rows: list[tuple[Figure, ...]] = [
        (
            f"Precision: {condition.label}",
            *(one.precision_scores[index] for one in readings),
            published.PRECISION[index],
            said["precision"][condition.value],
        )
        for index, condition in enumerate(CONDITIONS)
    ]
    rows += [
        (
            "Accuracy",
            *(one.accuracy_score for one in readings),
            published.ACCURACY,
            said["accuracy"],
        ),
        (
            "Accuracy, 95 % interval",
            *(interval_text(one.accuracy_interval) for one in readings),
            None,
            None,
        ),
        ("Kappa", *(one.kappa_score for one in readings), None, said["kappa"]),
        (
            "Quadratic-weighted kappa",
            *(one.weighted_kappa_score for one in readings),
            None,
            said["weighted_kappa"],
        ),
    ]
    return Table(
        "table_6",
        "Table 6. BCC-Net and the paper's radiologists",
        ("Metric", *(one.reader for one in readings), "BCC-Net, the paper", "BCC-Net, here"),
        tuple(rows),
        "The radiologists read the paper's 63 real patients (its Appendix A); BCC-Net here reads "
        "other images, so the last column is not comparable with the others.",
    )


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
    sets = said.get("prediction_sets", {})
    rows: list[tuple[Figure, ...]] = [
        ("Patients", said["patients"], None),
        ("Accuracy, three classes", said["accuracy"], interval_text(said["accuracy_interval"])),
        ("Macro AUC", said["macro_auc"], interval_text(said["macro_auc_interval"])),
        *((f"AUC: {c.label}", said["auc"][c.value], None) for c in CONDITIONS),
        *((f"Precision: {c.label}", said["precision"][c.value], None) for c in CONDITIONS),
        *((f"Recall: {c.label}", said["recall"][c.value], None) for c in CONDITIONS),
        ("Kappa", said["kappa"], None),
        ("Quadratic-weighted kappa", said["weighted_kappa"], None),
        ("Calibration error, temperature 1", said["calibration_error_before"], None),
        ("Calibration error", said["calibration_error"], None),
        ("Prediction sets: coverage", sets.get("coverage_score"), None),
        ("Prediction sets: mean size", sets.get("mean_size"), None),
        *(
            (f"Prediction sets of {size} class{'es' * (size > 1)}", share, None)
            for size, share in enumerate(sets.get("size_shares", ()), start=1)
        ),
    ]
    return Table(
        "patients",
        "One result a patient",
        ("Figure", "value", "95 % interval"),
        tuple(rows),
        "Mean of the calibrated probabilities of a patient's slices; intervals by bootstrap over "
        "patients.",
        digits=3,
    )


def _points(figures: Mapping[str, Any]) -> Table:
    rows: list[tuple[Figure, ...]] = [
        (
            one["point"]["name"],
            one["point"]["threshold"],
            one["sensitivity_score"],
            one["specificity_score"],
        )
        for one in figures["classification"].get("operating_points", ())
    ]
    return Table(
        "operating_points",
        "Osteoporosis against the rest at the bundle's operating points",
        ("Operating point", "P(osteoporosis) from", "sensitivity", "specificity"),
        tuple(rows),
        "Set on calibration patients: 90 % sensitivity, 90 % specificity.",
        digits=3,
    )


def _worth(figures: Mapping[str, Any]) -> Table:
    rows: list[tuple[Figure, ...]] = [
        (one["point"]["name"], worth["prevalence"], worth["positive"], worth["negative"])
        for one in figures["classification"].get("operating_points", ())
        for worth in one["predictive_values"]
    ]
    return Table(
        "predictive_values",
        "What a finding is worth where osteoporosis is rarer or commoner",
        ("Operating point", "prevalence", "PPV", "NPV"),
        tuple(rows),
        "By Bayes' theorem from sensitivity and specificity; the cohort itself holds the classes "
        "in equal parts. A negative finding excludes nothing.",
        digits=3,
    )


def _classifiers(figures: Mapping[str, Any]) -> Table:
    rows: list[tuple[Figure, ...]] = [
        (
            name,
            said["patients"],
            said["accuracy"],
            interval_text(said["accuracy_interval"]),
            said["macro_auc"],
            interval_text(said["macro_auc_interval"]),
            said["auc"]["osteoporosis"],
            said["weighted_kappa"],
            None if name == OWN else said["delong"]["p_value"],
            said["source"],
        )
        for name, said in figures["classifiers"].items()
    ]
    return Table(
        "classifiers",
        "Classifiers compared",
        (
            "Classifier",
            "patients",
            "accuracy",
            "95 % interval",
            "macro AUC",
            "95 % interval ",
            "AUC, osteoporosis",
            "weighted kappa",
            f"DeLong p against {OWN}",
            "source",
        ),
        tuple(rows),
        "HU: mean trabecular attenuation inside MS-Net's body mark without 4 mm of rim. DeLong's "
        "test compares the AUC for osteoporosis.",
        digits=3,
    )


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
        digits=3,
    )


def siblings_table(figures: Mapping[str, Any], networks: Mapping[str, str]) -> Table:
    """Return Table 5: BCC-Net and its siblings, each trained alike.

    Args:
        figures: With the siblings among the classifiers, and ``runs`` by their names.
        networks: Name of each classifier, and its name in ``published.CLASSIFIERS``, ``""`` for one
            that the paper has not.
    """
    rows: list[tuple[Figure, ...]] = []
    for name, known in networks.items():
        images = figures["protocol"]["classifiers"][name]
        patients = figures["classifiers"][name]
        recipe = figures["runs"][name]["recipe"]
        rows.append(
            (
                name,
                *published.CLASSIFIERS.get(known, (None, None)),
                images["accuracy"],
                images["macro_auc"],
                patients["accuracy"],
                interval_text(patients["accuracy_interval"]),
                patients["macro_auc"],
                interval_text(patients["macro_auc_interval"]),
                "ImageNet" if recipe.get("initial_weights") else "scratch",
            )
        )
    best = max(rows, key=lambda row: _number(row[5]))
    own = next(row for row in rows if row[0] == OWN)
    verdict = (
        f"{OWN} by the paper's recipe has the highest accuracy of them patient by patient."
        if best is own
        else f"It is not as in the paper: {best[0]} has the highest accuracy patient by patient, "
        f"{_number(best[5]):.3f} against {_number(own[5]):.3f} of {OWN} by the paper's recipe."
    )
    return Table(
        "table_5",
        "Table 5. BCC-Net and its siblings",
        (
            "Network", "Accuracy: paper", "AUC: paper", "Accuracy: images", "AUC: images",
            "Accuracy: patients", "95 % interval", "AUC: patients", "95 % interval ", "start",
        ),
        tuple(rows),
        "Trained alike, but for the practical recipe, which leaves out dropout and nine tenths of "
        f"the weight decay. {verdict}",
    )  # fmt: skip


def _number(figure: Figure) -> float:
    return figure if isinstance(figure, float) else float("-inf")


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
        ("Scanner of the test patients", "trained", "patients", "accuracy", "95 % interval",
         "macro AUC", "95 % interval "),
        tuple(rows),
        "BCC-Net by the practical recipe. Without it: no train or validation patient was imaged on "
        "the scanner; a third of the patients fewer.",
        digits=3,
    )  # fmt: skip
