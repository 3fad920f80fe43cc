"""The paper's tables, from the figures of an evaluation alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osteoscreen import texts
from osteoscreen.evaluation import published
from osteoscreen.evaluation.experiment import OWN
from osteoscreen.evaluation.patient_tables import patient_tables
from osteoscreen.evaluation.reader_study import rate, read_appendix_a
from osteoscreen.evaluation.table import Figure, Table, as_text, interval_text
from osteoscreen.findings import CONDITIONS

SCORES = {"dice_score": "DI", "iou_score": "IoU", "pixel_recall_score": "PA"}
"""Columns of Table 3. The paper's PA is the share of the vertebra that is marked (equation 3)."""
LABELS = [texts.LABELS[condition] for condition in CONDITIONS]


def tables_of(figures: Mapping[str, Any]) -> list[Table]:
    """Return Tables 2 to 4 and 6, and the honest ones.

    Args:
        figures: As ``experiment.figures_of`` gives them.
    """
    made = [_cohort(figures), _segmentation(figures)]
    if "classifiers" in figures["protocol"] and "classification" in figures:
        made += [_classes(figures), _readers(figures)]
    return [*made, *patient_tables(figures)]


def _cohort(figures: Mapping[str, Any]) -> Table:
    columns = {
        f"{part}: {split}": counts
        for part, cohort in (
            ("protocol", figures["protocol"]["cohort"]),
            ("cohort", figures["cohort"]),
        )
        for split, counts in cohort.items()
    }
    rows: list[tuple[Figure, ...]] = [
        (
            texts.LABELS[condition],
            published.PATIENTS["train"],
            published.PATIENTS["test"],
            *(counts[condition.value] for counts in columns.values()),
        )
        for condition in CONDITIONS
    ]
    total = [sum(int(row[column] or 0) for row in rows) for column in range(1, len(columns) + 3)]
    return Table(
        "table_2",
        "Table 2. Patients",
        ("Bone condition", "paper: train", "paper: test", *columns),
        (*rows, ("Total", *total)),
        "Protocol: patients of the paper's protocol. Cohort: what the honest figures are of.",
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
            texts.LABELS[condition],
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
            f"Precision: {texts.LABELS[condition]}",
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
        run = figures["runs"][name]
        rows.append(
            (
                name,
                *published.CLASSIFIERS.get(known, ("", "")),
                images["accuracy"],
                images["macro_auc"],
                patients["accuracy"],
                interval_text(patients["accuracy_interval"]),
                patients["macro_auc"],
                interval_text(patients["macro_auc_interval"]),
                run["epochs"] * run["recipe"]["views_per_epoch"],
                "ImageNet" if run["recipe"].get("initial_weights") else "scratch",
            )
        )
    siblings = [name for name, known in networks.items() if known and name != OWN]
    return Table(
        "table_5",
        "Table 5. BCC-Net and its siblings",
        (
            "Network", "Accuracy: paper", "AUC: paper", "Accuracy: images", "AUC: images",
            "Accuracy: patients", "accuracy, 95 % interval", "AUC: patients",
            "AUC, 95 % interval", "views", "start",
        ),
        tuple(rows),
        "BCC-Net and its siblings are trained alike. The practical recipe leaves out dropout and "
        f"nine tenths of the weight decay. {_verdict(figures, siblings)}",
    )  # fmt: skip


def _verdict(figures: Mapping[str, Any], siblings: list[str]) -> str:
    """Say whether BCC-Net is above its siblings, patient by patient, as in the paper."""
    own = figures["classifiers"][OWN]
    above: list[str] = []
    others: list[str] = []
    for name in siblings:
        said = figures["classifiers"][name]
        is_above = all(_number(own[key]) > _number(said[key]) for key in ("accuracy", "macro_auc"))
        p_value = said["delong"]["p_value"]
        told = f"{name} (DeLong p {as_text(p_value)})"
        (above if is_above else others).append(told)
    if not others:
        return f"As in the paper, {OWN} is above {', '.join(above)} in accuracy and AUC."
    text = f"It is not as in the paper: {OWN} is not above {', '.join(others)} in accuracy and AUC"
    return f"{text}; it is above {', '.join(above)}." if above else f"{text}."


def _number(figure: Figure) -> float:
    return figure if isinstance(figure, float) else float("-inf")
