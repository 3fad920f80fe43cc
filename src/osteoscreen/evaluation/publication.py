"""The folder of an evaluation: ``report.html``, every table as CSV, every figure as PNG and SVG."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from osteoscreen import __version__
from osteoscreen.bundle import Bundle
from osteoscreen.cohort.manifest import Manifest, Split
from osteoscreen.errors import ManifestError
from osteoscreen.evaluation.architecture import architecture_plots, architecture_table
from osteoscreen.evaluation.experiment import Experiment, figures_of, read_experiment
from osteoscreen.evaluation.pictures import Plot, pictures_of, reread
from osteoscreen.evaluation.readings import Shows
from osteoscreen.evaluation.table import Table
from osteoscreen.evaluation.tables import tables_of
from osteoscreen.report.article import Plate, Section, Sheet, render_article
from osteoscreen.report.charts import save_figure

METRICS, REPORT, TABLES, FIGURES = "metrics.json", "report.html", "tables", "figures"
PAPER_PARTS = ("table_", "figure_")
"""How the names of the paper's own tables and figures begin."""


def evaluate_bundle(
    bundle: Bundle,
    manifest: Manifest,
    folder: Path,
    *,
    protocol: Manifest | None = None,
    advance: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Measure a bundle on the test split of a cohort and write the folder of the evaluation.

    Args:
        bundle: Model bundle.
        manifest: Cohort.
        folder: Where to write; made if it does not exist.
        protocol: Cohort of the paper's protocol; ``None`` for the other.
        advance: Called with the number of slices, or patients of the protocol, just read.
    Returns: Every figure, as ``metrics.json`` holds it.
    Raises:
        ManifestError: If the cohort has no test split, or a mask does not fit its image.
        InputError: If an image or mask cannot be read.
        LeakageError: If calibration and test share images.
    """
    if not manifest.of(Split.TEST):
        raise ManifestError("an evaluation needs cases in the test split, the manifest has none")
    folder.mkdir(parents=True, exist_ok=True)
    experiment = read_experiment(bundle, manifest, protocol=protocol, advance=advance)
    figures = figures_of(experiment)
    publish(
        folder,
        f"Evaluation of {bundle.settings.name}",
        figures,
        bundle=bundle,
        tables=[architecture_table(), *tables_of(figures)],
        plots=[*shown_architecture(experiment), *pictures_of(experiment, figures)],
    )
    return figures


def shown_architecture(experiment: Experiment) -> list[Plot]:
    """Draw Figures 1 to 3 with the middle one of the test slices that show a body whole."""
    test = experiment.test
    rows = [row for row, shown in enumerate(test.shows) if shown is Shows.MIDDLE]
    row = rows[len(rows) // 2] if rows else 0
    index = sum(case.case_id == test.cases[row].case_id for case in test.cases[:row])
    (one,) = reread(experiment.manifest, [test.cases[row]], [index])
    return architecture_plots(experiment.bundle, one)


def publish(
    folder: Path,
    title: str,
    figures: Mapping[str, Any],
    *,
    bundle: Bundle,
    tables: Sequence[Table],
    plots: Sequence[Plot],
) -> None:
    """Write the folder of an evaluation; files of an earlier one are replaced.

    Args:
        folder: Where; made if it does not exist.
        title: Of the page.
        figures: Everything that was measured.
        bundle: What was evaluated.
        tables: All tables; those of the paper are named ``table_N``.
        plots: All figures; those of the paper are named ``figure_N``.
    """
    for name in (TABLES, FIGURES):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / METRICS).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    parts: list[tuple[str, Sheet | Plate]] = []
    for table in tables:
        table.write_csv(folder / TABLES)
        sheet = Sheet(table.title, table.columns, table.cells(), table.note)
        parts.append((table.name, sheet))
    for plot in plots:
        png = save_figure(plot.figure, folder / FIGURES, plot.name)
        parts.append((plot.name, Plate(plot.title, png, plot.note)))
    page = render_article(
        title, bundle.settings.trained_on.notice, _facts(bundle, figures), _sections(parts)
    )
    (folder / REPORT).write_text(page, encoding="utf-8")


def _facts(bundle: Bundle, figures: Mapping[str, Any]) -> list[str]:
    reference = bundle.reference
    return [
        f"Bundle {reference.name} {reference.version} ({reference.sha256[:12]}), osteoscreen "
        f"{__version__}.",
        f"Cohort {figures['cohort_sha256'][:12]}: {figures['patients']:,} test patients, "
        f"{figures['slices']:,} slices; {figures['slices_not_classified']:,} slices and "
        f"{figures['patients_not_classified']:,} patients without a mark large enough to classify.",
        "No result on this page can exclude osteoporosis.",
    ]


def _sections(parts: Sequence[tuple[str, Sheet | Plate]]) -> list[Section]:
    """Put the paper's tables and figures first, by number, then the honest ones."""
    papers = [part for name, part in sorted(parts, key=_name) if name.startswith(PAPER_PARTS)]
    own = [part for name, part in parts if not name.startswith(PAPER_PARTS)]
    sections = [
        Section(
            "The paper's tables",
            [part for part in papers if isinstance(part, Sheet)],
            "By the paper's protocol, its figures beside ours. Its test images are many of few "
            "patients, and of real ones; ours are of other patients.",
        ),
        Section("The paper's figures", [part for part in papers if isinstance(part, Plate)]),
        Section(
            "Patient by patient",
            own,
            "One result a patient on the whole test split, with intervals over patients: the "
            "figures to go by.",
        ),
    ]
    return [section for section in sections if section.parts]


def _name(part: tuple[str, Sheet | Plate]) -> str:
    return part[0]
