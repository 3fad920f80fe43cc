"""The command line: it parses, shows progress, prints and exits; all work is done below."""

from __future__ import annotations

import logging
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from osteoscreen import __version__
from osteoscreen.errors import OsteoscreenError
from osteoscreen.progress import PatientsBar, ScreenBar, StepsBar, new_progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from osteoscreen.summary import Row

NO_STATEMENT = "no statement"
REFUSED = 3
"""Exit status when at least one input was refused or failed; the others are done."""
WRONG_USAGE = 2
"""Exit status of a wrong command, manifest, recipe, run or bundle."""

DEMO_CASE = 2
"""Patient of the demo's cohort: the third of the turn, with osteoporosis."""

app = typer.Typer(
    help="Opportunistic osteoporosis screening from a routine CT. Research use only; "
    "not a medical device; trained on synthetic CT.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class NetworkKind(StrEnum):
    """Which network to train."""

    SEGMENTER = "segmenter"
    CLASSIFIER = "classifier"
    LEVELS = "levels"


class PresetName(StrEnum):
    """Which synthetic cohort to make; see ``osteoscreen.cohort.plan.Preset``."""

    COHORT = "cohort"
    RANDOMISED = "randomised"
    ELSEWHERE = "elsewhere"
    PAPER = "paper"


def main() -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"osteoscreen {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


@app.command()
def screen(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...", help="DICOM folder, slice or DICOMDIR, zip archive, or NIfTI file."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    bundle: Annotated[
        Path | None, typer.Option(help="Model bundle; by default the one in the package.")
    ] = None,
    series: Annotated[
        str | None, typer.Option(metavar="UID", help="Screen this series of the study.")
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="Marks from elsewhere, of one input: labels of TotalSegmentator, VerSe or "
            "osteoscreen, or DICOM SEG."
        ),
    ] = None,
) -> None:
    """Screen CT studies: probabilities of the bone condition, with the evidence."""
    from osteoscreen.bundle import load_bundle
    from osteoscreen.workflow import screen_inputs

    if mask is not None and len(inputs) != 1:
        _stop("--mask goes with one input: the image that it was drawn on")
    try:
        loaded = load_bundle(bundle)
        with new_progress() as progress:
            rows = screen_inputs(
                inputs, out, loaded, ScreenBar(progress), series_uid=series, mask=mask
            )
    except (OsteoscreenError, OSError) as error:
        _stop(error)
    _conclude(rows, out)


@app.command()
def inspect(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="As for screen.")],
) -> None:
    """Say what is in there, which series would be screened, and why."""
    from osteoscreen.intake import find_units
    from osteoscreen.summary import Row

    is_refused = False
    for source in inputs:
        for found in find_units(source):
            if isinstance(found, Row):
                is_refused |= found.status == "refused"
                typer.echo(
                    f"{found.status:8} {found.series or source}: {found.reason or found.code}"
                )
            else:
                typer.echo(f"chosen   {found.key or source}: {found.choice or 'a volume file'}")
    raise typer.Exit(REFUSED if is_refused else 0)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the demo.")] = Path("osteoscreen-demo"),
    seed: Annotated[int, typer.Option(help="Which synthetic patient.")] = 2026,
) -> None:
    """Make a synthetic patient, screen it, write every output."""
    from osteoscreen.bundle import load_bundle
    from osteoscreen.cohort.patient import write_patient
    from osteoscreen.cohort.plan import CohortPlan, Preset
    from osteoscreen.workflow import screen_inputs

    try:
        loaded = load_bundle()
        with new_progress() as progress:
            task = progress.add_task("Making a synthetic patient", total=None)
            plan = CohortPlan(Preset.COHORT, cases=1, seed=seed, is_series=True)
            case = write_patient(
                out / "patient",
                plan,
                DEMO_CASE,
                done=lambda n, of: progress.update(task, completed=n, total=of),
            ).rows[0]
            rows = screen_inputs(
                [out / "patient" / case.image], out / "results", loaded, ScreenBar(progress)
            )
    except (OsteoscreenError, OSError) as error:
        _stop(error)
    assert case.condition is not None
    typer.echo(
        f"The synthetic patient: {case.sex}, {case.age} years, DXA T-score {case.t_score:.1f}: "
        f"{case.condition.label.lower()}."
    )
    _conclude(rows, out / "results")


@app.command()
def phantom(  # noqa: PLR0913 - an option a setting
    out: Annotated[
        Path, typer.Argument(help="Folder for the cohort: empty, or the same cohort to go on with.")
    ],
    seed: Annotated[int, typer.Option(help="Seed of the cohort, 0 to 4294967295.")],
    cases: Annotated[
        int | None,
        typer.Option(
            help="Number of patients, 1 or more; preset paper: up to 213, and by default."
        ),
    ] = None,
    preset: Annotated[PresetName, typer.Option(help="What the cohort is for.")] = PresetName.COHORT,
    slices: Annotated[
        int | None,
        typer.Option(help="Slices a patient, 1 or more; by default 4, or 12 with preset paper."),
    ] = None,
    series: Annotated[
        bool,
        typer.Option(
            "--series",
            help="A contiguous series from T12 to S1 a patient; not with --slices or preset paper.",
        ),
    ] = False,
    scanner: Annotated[
        str | None,
        typer.Option(
            metavar="PRESET",
            help="One scanner for all: ingenuity-ct, ingenuity-flex, brilliance-16, siemens, ge, "
            "ge-early, canon.",
        ),
    ] = None,
    thickness: Annotated[
        float | None,
        typer.Option(metavar="MM", help="One slice thickness for all, 0.4 to 10."),
    ] = None,
    fov: Annotated[
        float | None, typer.Option(metavar="MM", help="One field of view for all, 120 to 500.")
    ] = None,
    age: Annotated[
        int | None, typer.Option(metavar="YEARS", help="One age for all, 22 to 92.")
    ] = None,
    shares: Annotated[
        tuple[int, int, int, int],
        typer.Option(
            metavar="TRAIN VALIDATION CALIBRATION TEST",
            help="Parts of the patients in each split; not with preset paper.",
        ),
    ] = (6, 1, 1, 2),
    workers: Annotated[int, typer.Option(help="Processes, 1 or more.")] = 1,
) -> None:
    """Make a synthetic cohort: CT as DICOM, marks as DICOM SEG, a manifest, all that was drawn."""
    from osteoscreen.cohort.plan import PAPER_CASES, CohortPlan, Preset
    from osteoscreen.cohort.synthetic import write_cohort

    wanted = Preset(preset.value)
    if cases is None:
        if wanted is not Preset.PAPER:
            _stop("--cases N is needed: the number of patients")
        cases = PAPER_CASES
    try:
        plan = CohortPlan(
            preset=wanted,
            cases=cases,
            seed=seed,
            slices=slices,
            is_series=series,
            scanner=scanner,
            thickness_mm=thickness,
            field_of_view_mm=fov,
            age=age,
            shares=shares,
        )
        with new_progress() as progress:
            shown = PatientsBar(progress, cases)
            manifest = write_cohort(out, plan, workers=workers, done=shown.done)
    except (OsteoscreenError, OSError) as error:
        _stop(error)
    typer.echo(f"Manifest: {manifest}")


@app.command()
def train(  # noqa: PLR0913 - an option a setting
    kind: Annotated[NetworkKind, typer.Argument(help="Which network.")],
    cohort: Annotated[Path, typer.Option(metavar="MANIFEST", help="Manifest of the cohort.")],
    recipe: Annotated[Path, typer.Option(help="Recipe, a TOML file.")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Run folder; an old run goes on.")],
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; by default all cores.")
    ] = None,
    devices: Annotated[
        int | None, typer.Option(min=1, help="GPUs that train together; by default all.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Processes that draw the views for each GPU; by default up to 8, without a GPU 0.",
        ),
    ] = None,
) -> None:
    """Train MS-Net (segmenter), BCC-Net (classifier) or LevelNet (levels)."""
    _need_training()
    import torch

    from osteoscreen.cohort.grids import mask_errors
    from osteoscreen.cohort.manifest import Check, class_errors, read_manifest
    from osteoscreen.training.recipe import read_recipe
    from osteoscreen.training.run import train as fit

    if threads is not None:
        torch.set_num_threads(threads)
    try:
        settings = read_recipe(recipe)
        if settings.kind != kind.value:
            _stop(f"{recipe}: the recipe must be of kind {kind.value}, got {settings.kind}")
        checks: list[Check] = [mask_errors]
        if kind is NetworkKind.CLASSIFIER:
            checks.append(class_errors)
        manifest = read_manifest(cohort, checks=checks)
        run = fit(settings, manifest, out, source=cohort, devices=devices, workers=workers)
    except (OsteoscreenError, OSError) as error:
        _stop(error)
    typer.echo(f"Run: {run.folder}")


@app.command()
def export(
    segmenter: Annotated[Path, typer.Option(metavar="RUN", help="Run of MS-Net.")],
    classifier: Annotated[Path, typer.Option(metavar="RUN", help="Run of BCC-Net.")],
    calibrate: Annotated[
        Path, typer.Option(metavar="MANIFEST", help="Cohort with calibration and test splits.")
    ],
    out: Annotated[Path, typer.Option(metavar="BUNDLE", help="Folder of the bundle.")],
    card: Annotated[
        Path, typer.Option(metavar="TOML", help="Name, version and data of the bundle.")
    ],
    levels: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Run of LevelNet; without it levels are not named."),
    ] = None,
) -> None:
    """Export two runs, or three, to a model bundle, calibrate and measure it."""
    _need_training()
    from osteoscreen.cohort.grids import mask_errors
    from osteoscreen.cohort.manifest import read_manifest
    from osteoscreen.training.export import export as export_bundle
    from osteoscreen.training.export import read_provenance
    from osteoscreen.training.run import open_run

    try:
        with new_progress() as progress:
            task = progress.add_task("Slices read", total=None)
            bundle = export_bundle(
                open_run(segmenter),
                open_run(classifier),
                read_manifest(calibrate, checks=[mask_errors]),
                out,
                read_provenance(card),
                levels=None if levels is None else open_run(levels),
                advance=lambda count: progress.advance(task, count),
            )
    except (OsteoscreenError, OSError) as error:
        _stop(error)
    typer.echo(f"Bundle: {bundle.folder} ({bundle.settings.name} {bundle.settings.version})")


@app.command()
def evaluate(
    cohort: Annotated[Path, typer.Option(metavar="MANIFEST", help="Manifest of the cohort.")],
    out: Annotated[Path, typer.Option(help="Folder for page, tables and figures.")],
    bundle: Annotated[
        Path | None, typer.Option(help="Model bundle; by default the one in the package.")
    ] = None,
    protocol: Annotated[
        Path | None,
        typer.Option(
            metavar="MANIFEST",
            help="Cohort whose first 21 test patients a class are read by the paper's protocol; "
            "by default the other one.",
        ),
    ] = None,
) -> None:
    """Measure a bundle on the test split of a cohort: the paper's tables and figures, and ours."""
    _need_training()
    from osteoscreen.bundle import load_bundle
    from osteoscreen.cohort.grids import mask_errors
    from osteoscreen.cohort.manifest import read_manifest
    from osteoscreen.evaluation.publication import REPORT, evaluate_bundle

    try:
        with new_progress() as progress:
            task = progress.add_task("Slices read", total=None)
            figures = evaluate_bundle(
                load_bundle(bundle),
                read_manifest(cohort, checks=[mask_errors]),
                out,
                protocol=None if protocol is None else read_manifest(protocol),
                advance=lambda count: progress.advance(task, count),
            )
    except (OsteoscreenError, OSError) as error:
        _stop(error)
    for line in _headline(figures):
        typer.echo(line)
    typer.echo(f"Report: {out / REPORT}")


def _headline(figures: Mapping[str, Any]) -> list[str]:
    from osteoscreen.evaluation.table import as_text, interval_text

    lines = [f"{figures['patients']} test patients, {figures['slices']} slices"]
    lines += [
        f"Dice index, {mark}: {as_text(found['mean'])}"
        for mark in ("vertebra", "body")
        if (found := figures["segmentation"].get(f"{mark}_dice_score"))
    ]
    if said := figures.get("classification"):
        lines += [
            f"{name}: {as_text(said[key])} ({interval_text(said[f'{key}_interval'])})"
            for name, key in (("Accuracy", "accuracy"), ("Macro AUC", "macro_auc"))
        ]
    return lines


class Scale(StrEnum):
    """How large the networks and trainings are."""

    SMALL = "small"
    PAPER = "paper"


@app.command()
def reproduce(
    out: Annotated[Path, typer.Option(help="Folder of the experiment; an old one goes on.")],
    scale: Annotated[
        Scale, typer.Option(help="small: two cores overnight. paper: the paper's sizes, on a GPU.")
    ] = Scale.SMALL,
    cohort: Annotated[
        Path | None,
        typer.Option(
            metavar="MANIFEST", help="Your own cohort, with all four splits, and its --card."
        ),
    ] = None,
    card: Annotated[
        Path | None, typer.Option(metavar="TOML", help="What the bundle says of your cohort.")
    ] = None,
    imagenet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Weights that DenseNet-121 starts from, as torchvision's."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that make the synthetic patients.")] = 1,
) -> None:
    """Run the paper's experiment: every table and figure of it, and the honest ones beside."""
    _need_training()
    if (cohort is None) != (card is None):
        _stop("--cohort and --card belong together: a bundle must say what it was trained on")
    from osteoscreen.evaluation.publication import REPORT
    from osteoscreen.reproduce import own_cohort, read_recipes, write_synthetic
    from osteoscreen.reproduce import reproduce as run
    from osteoscreen.training.export import read_provenance

    try:
        recipes = read_recipes(scale.value)
        if cohort is not None and card is not None:
            cohorts = own_cohort(cohort, read_provenance(card))
        else:
            with new_progress() as progress:
                shown: dict[str, PatientsBar] = {}
                cohorts = write_synthetic(
                    out,
                    workers=workers,
                    done=lambda name, n, of: shown.setdefault(name, PatientsBar(progress, of)).done(
                        n
                    ),
                )
        with StepsBar() as steps:
            figures = run(
                out, cohorts, recipes, imagenet=imagenet, advance=steps.advance, begin=steps.begin
            )
    except (OsteoscreenError, OSError) as error:
        _stop(error)
    for line in _headline(figures):
        typer.echo(line)
    typer.echo(f"Report: {out / REPORT}")


def _conclude(rows: list[Row], out: Path) -> NoReturn:
    from osteoscreen.findings import BoneCondition, ReservationCode

    for row in rows:
        if row.status == "screened":
            values = (row.normal_bone_mass, row.low_bone_mass, row.osteoporosis)
            shares = " / ".join(f"{value:.0%}" for value in values if value is not None)
            doubt = "?" if ReservationCode.DOUBTFUL in row.reservations.split(";") else ""
            label = BoneCondition(row.condition).label + doubt if row.condition else NO_STATEMENT
            typer.echo(f"{row.input}: {label} (normal / low / osteoporosis: {shares})")
            typer.echo(f"  report: {out / row.folder / 'report.html'}")
    typer.echo(f"Summary: {out / 'summary.csv'}")
    typer.echo("Research use only. Not a medical device.")
    raise typer.Exit(REFUSED if any(row.status in ("refused", "failed") for row in rows) else 0)


def _need_training() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("lightning") is None:
        _stop(
            "this command needs the training extra: pip install '.[train]' in the project's folder"
        )


def _stop(error: Exception | str) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(WRONG_USAGE)
