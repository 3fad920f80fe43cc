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

from osteoscreen.findings import ScreeningResult
from osteoscreen.networks import BCCNetConfig, MSNetConfig

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


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
