"""Tests of the documentation pages: settings, links, line lengths and decision pages."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from keylike.api.error_handlers import STATUS
from keylike.readers.contract import Reason
from keylike.settings import Settings

ROOT = Path(__file__).parent.parent
FOLDERS = ("docs", "deploy", "clients")
PAGES = sorted([*ROOT.glob("*.md"), *(p for name in FOLDERS for p in (ROOT / name).rglob("*.md"))])
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
# Pages whose paths must exist. The log and the changelog may name files that were removed later.
CURRENT = [page for page in PAGES if page.name not in ("LOG.md", "CHANGELOG.md")]
COLUMNS = 100
# Pages that a tool generates. Their lines may be longer.
GENERATED = {"docs/benchmarks/README.md", "docs/evaluation/model-card.md"}
# How the settings page describes defaults that depend on the machine or on the installation.
DESCRIBED = {
    "threads": "number of cores",
    "models": "./models",
    "model_path": "the caliper in `KEYLIKE_MODELS`",
    "base_model": "from the manifest",
    "secret": "`KEYLIKE_API_KEY`, else a file",
    "tokens": "./tokens.sqlite3",
    "logs": "./logs",
}


def test_settings_page_lists_every_setting_with_its_default() -> None:
    rows = table_rows(ROOT / "docs" / "settings.md")
    for field, info in Settings.model_fields.items():
        name = str(info.validation_alias or f"KEYLIKE_{field.upper()}")
        assert rows[name] == DESCRIBED.get(field, default_text(info.default)), name


def test_settings_page_lists_only_existing_settings() -> None:
    known = {
        str(info.validation_alias or f"KEYLIKE_{field.upper()}")
        for field, info in Settings.model_fields.items()
    }
    assert set(table_rows(ROOT / "docs" / "settings.md")) == known


def test_api_page_lists_every_failure_code_and_reason() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    # Clients do not see the code of status 499, because they have disconnected before.
    codes = [code for code, status in STATUS.items() if status != 499]
    for name in [*codes, *Reason]:
        assert f"`{name}`" in text, name


def test_architecture_page_names_every_module_of_the_package_and_only_existing_paths() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    tables = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    for path in (ROOT / "keylike").iterdir():
        if path.is_dir() and not path.name.startswith("__"):
            assert f"`{path.name}/`" in tables, path.name
    for name in re.findall(r"`([\w/]+(?:\.\w+|/))`", tables):
        assert (ROOT / name).exists() or (ROOT / "keylike" / name).exists(), name


def test_architecture_page_lists_every_module_with_the_first_line_of_its_docstring() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    package = ROOT / "keylike"
    for path in package.glob("*/**/*.py"):
        if path.name == "__init__.py":
            continue
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        purpose = " ".join(docstring.split("\n\n")[0].split())
        row = f"| `{path.relative_to(package)}` | {purpose} |"
        assert row in text, f"add this row to docs/architecture.md: {row}"


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_and_modules_on_documentation_pages_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:keylike|tools|tests|deploy|clients|locks)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), name
    for module in re.findall(r"python -m ((?:keylike|tools|tests)\.[\w.]+)", text):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_point_to_existing_files(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_documentation_pages_are_wrapped_at_100_columns(page: Path) -> None:
    if str(page.relative_to(ROOT)) in GENERATED:
        pytest.skip("generated")
    in_code = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif not in_code and not line.startswith(("|", "<", "!")):
            assert len(line) <= COLUMNS, line


def test_readme_has_at_most_150_lines() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_decision_page_has_status_date_and_index_entry(page: Path) -> None:
    number, text = int(page.name[:4]), page.read_text(encoding="utf-8")
    assert text.startswith(f"# {number}. ")
    assert re.search(r"^- Status: \w+", text, re.MULTILINE)
    assert re.search(r"^- Date: \d{4}-\d{2}-\d{2}", text, re.MULTILINE)
    index = (page.parent / "README.md").read_text(encoding="utf-8")
    assert f"]({page.name})" in index


def test_decision_pages_have_consecutive_numbers() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == [*range(1, len(DECISIONS) + 1)]


def table_rows(page: Path) -> dict[str, str]:
    """Return the second column of each table row by the name in the first."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == len(dict(rows))
    return dict(rows)


def default_text(value: object) -> str:
    """Return a default as the settings page shows it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
