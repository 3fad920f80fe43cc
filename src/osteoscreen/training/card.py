"""The model card: on what, how long and with which figures a bundle was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from osteoscreen import texts
from osteoscreen.bundle import BundleSettings
from osteoscreen.evaluation.table import as_text, interval_text
from osteoscreen.findings import CONDITIONS

SCORES = {
    "dice_score": "Dice index",
    "iou_score": "Intersection over union",
    "pixel_recall_score": "Pixel recall (the paper's PA)",
    "pixel_accuracy_score": "Pixel accuracy",
}


def write_card(settings: BundleSettings, path: Path) -> None:
    """Write ``MODEL_CARD.md`` from the settings and figures of a bundle."""
    parts = [
        f"# {settings.name} {settings.version}",
        f"**{settings.trained_on.notice}**",
        "## Intended use",
        "Research on opportunistic screening for low bone mass in CT. It marks lumbar vertebrae "
        "in axial CT slices and gives probabilities of normal bone mass, low bone mass and "
        "osteoporosis. It must not guide the care of a patient, and it excludes nothing.",
        "## Training data",
        settings.trained_on.description,
        *(_training(name, record) for name, record in settings.runs.items()),
        "## Held-out figures",
        _figures(settings),
        "## Limits",
        _limits(settings),
    ]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _training(name: str, record: dict[str, Any]) -> str:
    recipe = record["recipe"]
    names = {"segmenter": "MS-Net", "classifier": "BCC-Net", "levels": "LevelNet"}
    network = {
        "segmenter": "width {width}, grid {image_size} at {grid} mm, marks {all_marks}, "
        "loss {loss}",
        "classifier": "{network}, {image_size} pixels, dropout {dropout:g}, weight decay "
        "{weight_decay:g}",
        "levels": "width {width}, {image_size} pixels of {spacing_mm:g} mm",
    }[name].format(
        **recipe,
        grid=recipe.get("spacing_mm") or "scanned",
        all_marks=", ".join(recipe.get("marks", ())),
    )
    views = record["epochs"] * recipe["views_per_epoch"]
    start = record.get("started_from")
    begun = (
        f"Begun with the weights of {Path(start['path']).name} ({start['sha256'][:12]}). "
        if start
        else ""
    )
    return (
        f"**{names[name]}**: {network}. {begun}{record['epochs']} epochs, "
        f"{views:,} augmented views, {record['seconds'] / 60:.0f} minutes on {record['hardware']} "
        f"({record['threads']} thread(s)), PyTorch {record['torch']}, "
        f"cohort sha256 {record['data_sha256'][:12]}."
    )


def _figures(settings: BundleSettings) -> str:
    metrics = settings.metrics
    lines = [
        f"Test split of the cohort {metrics['cohort_sha256'][:12]}: {metrics['patients']} "
        f"patients, {metrics['slices']} slices; {metrics['slices_not_classified']} slices and "
        f"{metrics['patients_not_classified']} patients without a mark large enough to classify. "
        "Marks are compared slice by slice; classes are one result a patient (mean over "
        "slices), on rois cut by MS-Net's own marks, with 95 % bootstrap intervals over patients.",
        "",
        "| figure | mean | median | 10th percentile |",
        "|---|---|---|---|",
    ]
    for name, values in metrics["segmentation"].items():
        mark, score = name.split("_", 1)
        lines.append(
            f"| {SCORES[score]}, {mark} | {values['mean']:.3f} | {values['median']:.3f} | "
            f"{values['tenth_percentile']:.3f} |"
        )
    said = metrics.get("classification")
    if said:
        each = ", ".join(
            f"{texts.LABELS[name]} {as_text(said['auc'][name])}" for name in CONDITIONS
        )
        lines += [
            "",
            f"- Three-class accuracy {as_text(said['accuracy'])} "
            f"({interval_text(said['accuracy_interval'])})",
            f"- Macro AUC {as_text(said['macro_auc'])} "
            f"({interval_text(said['macro_auc_interval'])}): {each}",
            *_decisions(said),
        ]
    return "\n".join(lines)


def _decisions(said: dict[str, Any]) -> list[str]:
    """Kappa, calibration, prediction sets and operating points."""
    lines = [
        f"- Quadratic-weighted kappa {as_text(said['weighted_kappa'])}",
        f"- Expected calibration error {said['calibration_error']:.3f} "
        f"({said['calibration_error_before']:.3f} before temperature scaling)",
    ]
    if sets := said.get("prediction_sets"):
        lines.append(
            f"- Prediction sets hold the class of {sets['coverage_score']:.1%} of the patients and "
            f"{sets['mean_size']:.2f} classes on average"
        )
    for one in said.get("operating_points", []):
        point = one["point"]
        lines.append(
            f"- Osteoporosis, {point['name']} point (P from {point['threshold']:.3f}): sensitivity "
            f"{as_text(one['sensitivity_score'])}, specificity {as_text(one['specificity_score'])}"
        )
    return [*lines, *_worth(said.get("operating_points", []))]


def _worth(points: list[dict[str, Any]]) -> list[str]:
    """What a finding is worth by prevalence, as a table."""
    if not points:
        return []
    names = [one["point"]["name"] for one in points]
    heads = [f"{value}, {name}" for name in names for value in ("PPV", "NPV")]
    rows = [
        [
            f"{worth[0]['prevalence']:.0%}",
            *(as_text(one[side]) for one in worth for side in ("positive", "negative")),
        ]
        for worth in zip(*(one["predictive_values"] for one in points))
    ]
    return [
        "",
        "| prevalence of osteoporosis | " + " | ".join(heads) + " |",
        "|---|" + "---|" * len(heads),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        "A negative finding excludes nothing: at every prevalence some of them are wrong.",
    ]


def _limits(settings: BundleSettings) -> str:
    low, high = settings.trained_on.thickness_mm
    kvp_low, kvp_high = settings.trained_on.kvp
    lines = [
        f"- BCC-Net was trained on slices of {low:g} to {high:g} mm at "
        f"{_span(kvp_low, kvp_high)} kVp; elsewhere a result carries a reservation.",
        "- In a series, some slices through discs and endplates are classified with the others.",
        "- Vertebrae are marked at any level, not lumbar ones only: levels are not recognised yet.",
        "- Temperature and prediction sets hold for the cohort that they were calibrated on.",
    ]
    if settings.trained_on.is_synthetic:
        lines.append(
            "- The difficulty of the synthetic cohort was *set* to resemble the paper's figures; "
            "accuracy on it says nothing about clinical accuracy."
        )
    return "\n".join(lines)


def _span(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
