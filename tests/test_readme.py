"""The README and the docs are true: commands run, links lead somewhere, numbers are the code's."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from osteoscreen.bundle import load_bundle
from osteoscreen.cohort.patient import write_patient
from osteoscreen.cohort.plan import CohortPlan, Preset
from osteoscreen.findings import ScreeningResult
from osteoscreen.networks import BCCNetConfig, MSNetConfig
from page_writers import page_writer

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _same_networks() -> set[str]:
    """Hashes of the bundle, and of the one whose MS-Net and BCC-Net it has: marks and classes."""
    bundle = load_bundle()
    return {bundle.sha256, bundle.settings.metrics.get("without_levels_sha256", bundle.sha256)}


@pytest.mark.slow
def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    block = re.search(r"test_readme.py -->\n```\n(.*?)```", README, re.DOTALL)
    assert block is not None
    program = Path(sys.executable).parent / "osteoscreen"
    for line in block[1].strip().splitlines():
        words = shlex.split(line)
        assert words[0] == "osteoscreen"
        done = subprocess.run(
            [str(program), *words[1:]], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "screened").glob("series-*/report.html"))) == 1


def test_the_python_lines_of_the_readme_run() -> None:
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(compile(block, "README.md", "exec"), names)
    assert names["segmenter"].config == MSNetConfig()
    assert names["classifier"].config == BCCNetConfig()


def test_the_page_for_python_runs(tmp_path: Path) -> None:
    plan = CohortPlan(Preset.COHORT, cases=1, seed=7, is_series=True, thickness_mm=5)
    case = write_patient(tmp_path, plan, 0).rows[0]
    names: dict[str, Any] = {"study": tmp_path / case.image}
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "python.md", "exec"), names)
    assert names["result"].status == "screened"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_the_docs_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_docs_never_say_that_a_disease_is_excluded(page: Path) -> None:
    assert "rules out" not in page.read_text(encoding="utf-8")


def test_the_readme_says_what_the_product_is_not() -> None:
    assert "Research use only. Not a medical device." in README
    assert "trained on synthetic CT" in README


def test_every_file_that_the_method_names_exists() -> None:
    method = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_/-]+\.(?:py|toml))`", method))
    assert named
    homes = (ROOT, ROOT / "src" / "osteoscreen")
    assert [name for name in named if not any((home / name).is_file() for home in homes)] == []


def test_every_refusal_code_is_in_the_docs() -> None:
    from osteoscreen.errors import RefusalCode

    page = (ROOT / "docs" / "input.md").read_text(encoding="utf-8")
    assert [code for code in RefusalCode if f"`{code}`" not in page] == []


def test_the_published_schema_is_the_result_objects() -> None:
    published = json.loads((ROOT / "docs" / "result.schema.json").read_text(encoding="utf-8"))
    assert published == ScreeningResult.model_json_schema(by_alias=True)


def test_the_figures_on_real_ct_are_those_that_were_measured() -> None:
    page = (ROOT / "docs" / "phantom.md").read_text(encoding="utf-8")
    new, old = (
        json.loads((ROOT / "results" / name / "real_ct.json").read_text(encoding="utf-8"))
        for name in ("phantom-v1", "phantom-v0")
    )
    assert new["bundle"]["sha256"] in _same_networks()
    names = (
        "dice_complete_slice_mean", "dice_middle_mean", "dice_middle_median", "dice_volume",
    )  # fmt: skip
    for one, marks in new["figures"].items():
        for mark, found in marks.items():
            before = old["figures"][one][mark]
            shown = " | ".join(f"{found[name]:.3f} ({before[name]:.3f})" for name in names)
            assert re.search(rf"\| `{one}`: .* \| {mark} \| {found['complete_slices']} ", page)
            assert shown in page


def test_the_figures_on_randomised_patients_are_those_that_were_measured() -> None:
    page = (ROOT / "docs" / "phantom.md").read_text(encoding="utf-8")
    file = ROOT / "results" / "phantom-v1" / "randomised_test.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["bundle"]["sha256"] in _same_networks()
    for group in found["figures"]["vertebra"].values():
        shown = f"| {group['slices']} | {group['dice_mean']:.3f} ("
        assert shown in page
    assert f"{found['of_them_with_a_mark']} of the {found['slices_without_a_vertebra']} " in page


def test_the_figures_on_calibrated_patients_are_those_of_the_bundle() -> None:
    page = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    file = ROOT / "results" / "phantom-v1" / "synthetic_test.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    said = found["classification"]
    assert said["accuracy"] == load_bundle().settings.metrics["classification"]["accuracy"]
    for figure in (
        f"accuracy {said['accuracy']:.3f} (95 % interval {said['accuracy_interval'][0]:.3f} to",
        f"macro AUC {said['macro_auc']:.3f}",
        f"Dice {found['segmentation']['body_dice_score']['mean']:.3f} (vertebral body)",
    ):
        assert figure in page


def test_the_figures_of_batch_norm_are_those_that_were_measured() -> None:
    page = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    found = json.loads((ROOT / "results" / "batch_norm.json").read_text(encoding="utf-8"))
    for name in ("plain", "re-estimated", "statistics of the batch"):
        areas = ", ".join(f"{area:.3f}" for area in found[name]["auc"])
        said = ", ".join(map(str, found[name]["said"]))
        assert f"| {found[name]['accuracy']:.3f} | {areas} | {said} |" in page
    assert f"tested on {found['test_patients']} others" in page


def test_the_figures_of_the_marks_grid_are_those_that_were_measured() -> None:
    page = (ROOT / "docs" / "method.md").read_text(encoding="utf-8").replace("\n", " ")
    grids = json.loads((ROOT / "results" / "mark_grid.json").read_text(encoding="utf-8"))["grids"]
    hard, soft = grids["256"]["yes or no"], grids["256"]["share covered"]
    assert f"Dice index of {hard['dice_mean']:.3f} (mean of {hard['slices']} slices" in page
    assert f"comes back to {soft['dice_mean']:.3f}." in page
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    for size, grid in grids.items():
        exact = int(grid["share covered"]["dice_mean"] * 1000) / 1000  # no better than measured
        said = (
            f"| {size} × {size}, {grid['spacing_mm']:g} mm | {exact:.3f} | {grid['ms_a_slice']} |"
        )
        assert said in page


def test_the_page_of_real_ct_is_what_was_measured() -> None:
    module = page_writer("real_ct_page")
    found = json.loads((ROOT / "results" / "real_levels.json").read_text(encoding="utf-8"))
    assert (ROOT / "docs" / "real_ct.md").read_text(encoding="utf-8") == module.page(found)
    assert found["bundle"]["sha256"] == load_bundle().sha256


def test_what_came_out_of_the_experiment_is_what_was_measured() -> None:
    page = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8").replace("\n", " ")
    file = ROOT / "results" / "reproduced" / "metrics.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    names = {"densenet-121": "DenseNet-121", "densenet-1": "DenseNet-1", "densenet-2": "DenseNet-2"}
    for name in (*names, "BCC-Net", "BCC-Net, practical recipe"):
        images, own = found["protocol"]["classifiers"][name], found["classifiers"][name]
        low, high = own["accuracy_interval"]
        assert f"| {names.get(name, name)} |" in page
        assert f"| {images['accuracy']:.3f} / {images['macro_auc']:.3f} | " in page
        assert f"| {own['accuracy']:.3f} ({low:.3f} to {high:.3f}) | " in page
        assert f"| {own['macro_auc']:.3f} (" in page
    for scanner, one in found["left_out"].items():
        shown = " | ".join(
            f"{one[how]['accuracy']:.3f} / {one[how]['macro_auc']:.3f}"
            for how in ("without", "with")
        )
        assert f"| {scanner} | {one['with']['patients']} | {shown} |" in page
    assert f"calibration error of {found['classification']['calibration_error']:.3f}" in page
    for name in ("densenet-121", "densenet-1", "densenet-2"):
        assert f"p {found['classifiers'][name]['delong']['p_value']:.3f}" in page


def test_what_came_out_of_the_papers_sizes_is_what_was_measured() -> None:
    page = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8").replace("\n", " ")
    page = page[page.index("## The paper's sizes") :]
    folder = ROOT / "results" / "paper_size"
    marks = json.loads((folder / "segmenter_test.json").read_text(encoding="utf-8"))
    run = json.loads((folder / "segmenter_run.json").read_text(encoding="utf-8"))
    found = json.loads((folder / "classifier_test.json").read_text(encoding="utf-8"))
    assert f"had time for {run['epochs']} of 150 epochs" in page
    scores = {name: one["dice_score"]["mean"] for name, one in marks["vertebra"].items()}
    assert f"mean DI is {scores['slices']:.3f}" in page
    assert f"{scores['augmented_images']:.3f} on the" in page
    assert f"{scores['whole_series']:.3f} over all" in page
    for name, one in found["classifiers"].items():
        low, high = one["accuracy_interval"]
        assert f"| {name} |" in page
        assert f"| {one['accuracy']:.3f} ({low:.3f} to {high:.3f}) | " in page
        assert f"| {one['macro_auc']:.3f} (" in page
        images = found["protocol"][name]
        assert f"| {images['accuracy']:.3f} / {images['macro_auc']:.3f} |" in page
    p_value = found["classifiers"]["DenseNet-121"]["delong"]["p_value"]
    assert f"p {p_value:.3f} for osteoporosis" in page


def test_the_names_that_came_out_right_are_those_that_were_counted() -> None:
    page = (ROOT / "docs" / "levels.md").read_text(encoding="utf-8")
    found = json.loads((ROOT / "results" / "levels.json").read_text(encoding="utf-8"))
    usual, odd = found["usual_count"], found["transitional"]
    for words, number, right in (
        ("five lumbar vertebrae, every name", usual["studies"], usual["right"]),
        ("of them, every lumbar name", usual["studies"], usual["lumbar_right"]),
        ("of them, told as transitional", odd["studies"], odd["told"]),
        ("all of the 200", found["studies"], found["right"]),
        ("chest or pelvis, nothing lumbar named", found["elsewhere"]["studies"],
         found["elsewhere"]["right"]),
    ):  # fmt: skip
        assert f"| {words} | {number} | {right} |" in page
    assert f"| {odd['studies']} | {odd['right_or_told']} |" in page
    assert f"{found['right'] / found['studies']:.1%}".replace("%", " %") in page
    assert found["bundle"]["sha256"] == load_bundle().sha256
