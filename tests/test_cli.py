"""The command line: exit status, lines on stderr, help."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rich.progress import Progress
from typer.testing import CliRunner

from bad_inputs import header, series, spine
from bundles import threshold_bundle
from osteoscreen import __version__
from osteoscreen.bundle import Bundle
from osteoscreen.cli import REFUSED, WRONG_USAGE, app
from osteoscreen.cohort.lock import locked
from osteoscreen.cohort.manifest import Manifest
from osteoscreen.cohort.plan import PAPER_CASES, SEED_RANGE, CohortPlan, Preset
from osteoscreen.phantom.bone import AGE_RANGE
from osteoscreen.phantom.fleet import SCANNERS
from osteoscreen.phantom.protocol import FIELD_OF_VIEW_RANGE_MM, THICKNESS_RANGE_MM
from osteoscreen.progress import PatientsBar
from osteoscreen.training.run import Run

runner = CliRunner()
RECIPES = Path(__file__).parents[1] / "recipes"

WITHOUT_TORCH = """
import sys


class Absent:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("torch", "lightning", "monai", "sklearn", "onnx"):
            raise ImportError(name)


sys.meta_path.insert(0, Absent())
sys.argv = ["osteoscreen", "demo", "--out", {out!r}]
from osteoscreen.cli import main

main()
"""
"""The demo on a machine that has the core requirements only."""


def test_version_is_the_packages() -> None:
    result = runner.invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output.strip() == f"osteoscreen {__version__}"


@pytest.mark.parametrize(
    "command", ["screen", "inspect", "demo", "phantom", "train", "export", "evaluate", "batch"]
)
def test_every_command_has_help(command: str) -> None:
    result = runner.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "--" in result.output


def test_help_and_docs_state_the_ranges_that_a_cohort_is_checked_against() -> None:
    def text(limits: tuple[float, float]) -> str:
        return f"{limits[0]:g} to {limits[1]:g}" if limits[1] < 1e6 else "{} to {}".format(*limits)

    page = Path(__file__).parents[1] / "docs" / "phantom.md"
    rows = dict(re.findall(r"^\| `(--[a-z]+)[^|]*\| (.*) \|$", page.read_text(), re.MULTILINE))
    command = typer.main.get_command(app)
    assert isinstance(command, typer.core.TyperGroup)
    helps = {one.opts[0]: getattr(one, "help", "") for one in command.commands["phantom"].params}
    stated = {
        "--seed": text(SEED_RANGE),
        "--thickness": text(THICKNESS_RANGE_MM),
        "--fov": text(FIELD_OF_VIEW_RANGE_MM),
        "--age": text(AGE_RANGE),
        "--cases": f"up to {PAPER_CASES}",
        "--slices": "1 or more",
        "--workers": "1 or more",
        "--series": "from T12 to S1",
    }
    for option, words in stated.items():
        assert words in rows[option], option
        assert words in helps[option], option
    for name in SCANNERS:
        assert f"`{name}`" in rows["--scanner"]
        assert re.search(rf"\b{name}[,.]", helps["--scanner"])


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from osteoscreen.cli import app; "
        "CliRunner().invoke(app, ['--help']); "
        "heavy = {'torch', 'pydicom', 'highdicom', 'matplotlib', 'scipy', 'onnxruntime', 'numpy', "
        "'ray', 'pandas', 'pyarrow'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_package_loads_neither_torch_nor_dicom() -> None:
    code = "import sys, osteoscreen; print({'torch', 'pydicom', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_refused_input_exits_with_3_and_one_line_on_stderr(tmp_path: Path) -> None:
    bundle = threshold_bundle(tmp_path / "bundle")
    out, missing = tmp_path / "out", tmp_path / "nowhere"
    result = runner.invoke(
        app, ["screen", str(missing), "--out", str(out), "--bundle", str(bundle.folder)]
    )
    assert result.exit_code == REFUSED
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert lines == [f"refused: NO_INPUT: {missing}: the path must exist, it does not"]
    assert (out / "summary.csv").is_file()
    assert "Traceback" not in result.output


def test_a_broken_bundle_is_wrong_usage(tmp_path: Path) -> None:
    result = runner.invoke(
        app, ["screen", "x", "--out", str(tmp_path / "o"), "--bundle", str(tmp_path)]
    )
    assert result.exit_code == WRONG_USAGE
    assert "bundle.json" in result.stderr


def test_no_input_is_wrong_usage(tmp_path: Path) -> None:
    assert runner.invoke(app, ["screen", "--out", str(tmp_path)]).exit_code == WRONG_USAGE


def test_a_recipe_of_the_other_network_is_wrong_usage(tmp_path: Path) -> None:
    recipe = Path(__file__).parents[1] / "recipes" / "small" / "practical.toml"
    result = runner.invoke(
        app,
        [
            "train",
            "segmenter",
            "--cohort",
            "m.csv",
            "--recipe",
            str(recipe),
            "--out",
            str(tmp_path),
        ],
    )
    assert result.exit_code == WRONG_USAGE
    assert "segmenter" in result.stderr


def test_a_missing_manifest_is_wrong_usage(tmp_path: Path) -> None:
    recipe = Path(__file__).parents[1] / "recipes" / "small" / "segmenter.toml"
    result = runner.invoke(
        app,
        ["train", "segmenter", "--cohort", str(tmp_path / "m.csv"), "--recipe", str(recipe),
         "--out", str(tmp_path)],
    )  # fmt: skip
    assert result.exit_code == WRONG_USAGE
    assert "m.csv" in result.stderr


def test_a_manifest_without_a_condition_trains_no_classifier(tmp_path: Path) -> None:
    recipe = Path(__file__).parents[1] / "recipes" / "small" / "practical.toml"
    (tmp_path / "a.nii").touch()
    manifest = tmp_path / "m.csv"
    manifest.write_text("case_id,patient_id,image,split\nA,A,a.nii,train\n")
    result = runner.invoke(
        app,
        ["train", "classifier", "--cohort", str(manifest), "--recipe", str(recipe), "--out",
         str(tmp_path / "run")],
    )  # fmt: skip
    assert result.exit_code == WRONG_USAGE
    assert "a classifier needs every class, train has no case of normal_bone_mass" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["train", "export", "evaluate"])
@pytest.mark.parametrize("below", ["", "/sub"])
def test_a_file_in_the_place_of_the_output_is_wrong_usage(
    command: str,
    below: str,
    tmp_path: Path,
    manifest: Manifest,
    segmenter_run: Run,
    classifier_run: Run,
    tiny_bundle: Bundle,
) -> None:
    (tmp_path / "file").write_text("mine")
    cohort = str(manifest.folder / "splits.csv")
    recipe = str(RECIPES / "small" / "segmenter.toml")
    options = {
        "train": ["segmenter", "--cohort", cohort, "--recipe", recipe],
        "export": [
            "--segmenter", str(segmenter_run.folder), "--classifier", str(classifier_run.folder),
            "--calibrate", cohort, "--card", str(RECIPES / "phantom-v1.toml"),
        ],
        "evaluate": ["--cohort", cohort, "--bundle", str(tiny_bundle.folder)],
    }  # fmt: skip
    result = runner.invoke(
        app, [command, *options[command], "--out", str(tmp_path / "file") + below]
    )
    assert result.exit_code == WRONG_USAGE, result.output
    assert result.stderr.count("\n") == 1
    assert "file" in result.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_a_synthetic_cohort_is_made_and_kept(tmp_path: Path) -> None:
    arguments = ["phantom", str(tmp_path / "c"), "--cases", "2", "--seed", "3", "--slices", "1"]
    first = runner.invoke(app, arguments)
    assert first.exit_code == 0
    manifest = (tmp_path / "c" / "manifest.csv").read_bytes()
    assert manifest.count(b"\n") == 3
    again = runner.invoke(app, arguments)
    assert again.exit_code == 0
    assert (tmp_path / "c" / "manifest.csv").read_bytes() == manifest


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--seed 1", "--cases N is needed"),
        ("--seed 1 --cases 0", "the number of cases must be 1 or more, got 0"),
        ("--seed 1 --cases 2 --thickness 0", "slice thickness must be 0.4 to 10 mm"),
        ("--seed 1 --cases 2 --age -5", "age must be 22 to 92 years, got -5"),
        ("--seed 1 --cases 2 --fov 50", "field of view must be 120 to 500 mm"),
        ("--seed 1 --cases 2 --scanner abacus", "the scanner must be one of ingenuity-ct, "),
        ("--seed 1 --cases 214 --preset paper", "has 213 patients, got 214 cases"),
        ("--seed 1 --cases 2 --series --slices 4", "as many slices as its thickness gives"),
        ("--seed 1 --preset paper --series", "preset paper has single slices"),
        ("--seed 1 --preset paper --age 60", "patients of every age, got 60 years"),
        ("--seed 4294967296 --cases 2", "the seed must be 0 to 4294967295"),
        ("--seed -1 --cases 2", "the seed must be 0 to 4294967295, got -1"),
        ("--seed 1 --cases 2 --workers 0", "the number of workers must be 1 or more"),
    ],
)
def test_an_impossible_cohort_is_refused_in_one_line_before_any_work(
    options: str, reason: str, tmp_path: Path
) -> None:
    result = runner.invoke(app, ["phantom", str(tmp_path / "c"), *options.split()])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "c").exists()


def test_a_full_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    result = runner.invoke(app, ["phantom", str(tmp_path), "--cases", "1", "--seed", "1"])
    assert result.exit_code == 2
    assert "needs an empty folder" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_second_run_is_refused_in_one_line(tmp_path: Path) -> None:
    with locked(tmp_path):
        result = runner.invoke(app, ["phantom", str(tmp_path), "--cases", "1", "--seed", "1"])
    assert result.exit_code == 2
    assert "another one is at work" in result.stderr
    assert result.stderr.count("\n") == 1
    assert [one.name for one in tmp_path.iterdir()] == [".lock"]


def test_the_paper_has_213_patients_of_12_slices_unless_told(tmp_path: Path) -> None:
    plan = CohortPlan(Preset.PAPER, cases=213, seed=1, slices=12)
    (tmp_path / "cohort.json").write_text(json.dumps({"cases": 999, "made_by": plan.makes()}))
    result = runner.invoke(app, ["phantom", str(tmp_path), "--preset", "paper", "--seed", "1"])
    assert result.exit_code == 2
    assert "it has 999 cases, got 213" in result.stderr


def test_the_rate_of_a_cohort_counts_only_what_this_run_made() -> None:
    progress = Progress(disable=True)
    shown = PatientsBar(progress, 10)
    shown.done(7)
    assert progress.tasks[0].description == "Synthetic patients"
    shown.done(8)
    assert progress.tasks[0].completed == 8
    assert progress.tasks[0].description.endswith(" a minute")


@pytest.mark.slow
def test_the_demo_needs_no_pytorch_and_writes_every_output(tmp_path: Path) -> None:
    code = WITHOUT_TORCH.format(out=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Research use only" in done.stdout
    assert "report.html" in done.stdout
    names = {path.name for path in (tmp_path / "results").glob("series-*/*")}
    assert names == {
        "result.json", "report.html", "report.pdf", "pie.png", "overlay.png", "sagittal.png",
        "looked.png", "segmentation.dcm", "measurements.dcm", "capture.dcm", "report.dcm",
        "fhir.json",
    }  # fmt: skip


def test_an_own_cohort_and_its_card_belong_together(tmp_path: Path) -> None:
    result = runner.invoke(app, ["reproduce", "--out", str(tmp_path), "--cohort", "m.csv"])
    assert result.exit_code == 2
    assert "--cohort and --card belong together" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_own_cohort_that_cannot_be_tested_is_refused_in_one_line(
    cohort_folder: Path, tmp_path: Path
) -> None:
    options = ["--cohort", str(cohort_folder / "manifest.csv"), "--card",
               str(RECIPES / "card.toml"), "--out", str(tmp_path / "out")]  # fmt: skip
    result = runner.invoke(app, ["reproduce", *options])
    assert result.exit_code == 2
    assert "validation has no case of normal_bone_mass" in result.stderr
    assert not (tmp_path / "out").exists()


def test_inspect_says_which_series_would_be_screened_and_why(tmp_path: Path) -> None:
    series(tmp_path / "long", "A")
    series(tmp_path / "short", "A", hu=spine()[:2], series_uid="2.25.9")
    result = runner.invoke(app, ["inspect", str(tmp_path)])
    assert result.exit_code == 0
    chosen, skipped = sorted(result.output.strip().splitlines())
    assert chosen.startswith(f"chosen   {header('A').series_uid}: the best of 2 CT series: axial")
    assert skipped.startswith("skipped  2.25.9: another series was chosen: it covers less")


def test_inspect_refuses_what_screen_would(tmp_path: Path) -> None:
    result = runner.invoke(app, ["inspect", str(tmp_path / "nowhere")])
    assert result.exit_code == REFUSED
    assert "must exist" in result.output


@pytest.mark.parametrize("command", ["screen", "inspect"])
def test_an_error_of_our_own_while_looking_is_one_line_and_status_three(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "DOE^JANE"

    def fail(*_given: object) -> None:
        raise AssertionError(name)

    monkeypatch.setattr("osteoscreen.intake.find_series", fail)
    (tmp_path / "in").mkdir()
    options = ["--out", str(tmp_path / "out")] if command == "screen" else []
    result = runner.invoke(app, [command, str(tmp_path / "in"), *options])
    assert result.exit_code == REFUSED
    (line,) = (one for one in result.output.splitlines() if "internal error" in one)
    assert "AssertionError" in line
    assert name not in result.output
    assert "Traceback" not in result.output


def test_a_mask_goes_with_one_input(tmp_path: Path) -> None:
    words = ["screen", "a.nii", "b.nii", "--mask", "m.nii", "--out", str(tmp_path)]
    result = runner.invoke(app, words)
    assert result.exit_code == WRONG_USAGE
    assert "one input" in result.output
