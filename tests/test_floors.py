"""The house: imports go down only, settings are read at the top alone, and Flask stays where HTTP is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {
    "app": 5,
    "cli": 5,
    "api": 4,
    "terminal": 4,
    "utils.error_handlers": 4,
    "utils.response_formatter": 4,
    "inference_handler": 3,
    "serving": 2,
    "model_loader": 2,
    "readers": 1,
    "keys": 1,
    "access": 1,
    "config": 0,
    "utils": 0,
}
# Neighbours on one floor that may use each other.
NEIGHBOURS = {
    ("cli", "app"),
    ("app", "cli"),
    ("readers", "keys"),
    ("api", "utils.error_handlers"),
    ("api", "utils.response_formatter"),
    ("terminal", "utils.response_formatter"),
    ("utils.error_handlers", "utils.response_formatter"),
}
# Never imported by what serves.
OUTSIDE = {"training", "tests", "benchmarks", "fuzzing", "notebooks", "deploy", "clients", "keylike_client"}
FLASK_ROOMS = {"app", "api", "utils.error_handlers", "utils.response_formatter"}
SKIPPED = OUTSIDE | {".venv", ".git", "docs", "samples", "models", "web", "logs"}


def room(module: str) -> str:
    """The room of the table that a dotted module lies in, or its first name."""
    return next((name for name in FLOORS if "." in name and module.startswith(name)), module.partition(".")[0])


def modules() -> list[Path]:
    """Every module of the server."""
    found = [path.relative_to(ROOT) for path in ROOT.rglob("*.py")]
    return sorted(path for path in found if path.parts[0] not in SKIPPED)


def imports(path: Path) -> Iterator[str]:
    """What a module imports, also inside functions; `from a import b` counts as a.b too."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=str)
def test_imports_go_down_only(path: Path) -> None:
    here = room(".".join(path.with_suffix("").parts))
    assert here in FLOORS, f"{path} has no floor"
    for name in imports(path):
        there = room(name)
        assert there not in OUTSIDE, f"{path} imports {name}"
        if there not in FLOORS or there == here:
            continue
        assert FLOORS[there] < FLOORS[here] or (here, there) in NEIGHBOURS, f"{path} imports {name}, which is not below"


@pytest.mark.parametrize("path", modules(), ids=str)
def test_settings_and_flask_stay_in_their_rooms(path: Path) -> None:
    here = room(".".join(path.with_suffix("").parts))
    for name in imports(path):
        if room(name) == "config":
            assert here in ("app", "cli"), f"{path} imports config"
        if name.partition(".")[0] in ("flask", "flask_cors", "flask_openapi3", "werkzeug"):
            assert here in FLASK_ROOMS, f"{path} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=str)
def test_modules_say_what_they_own(path: Path) -> None:
    assert ast.get_docstring(ast.parse((ROOT / path).read_text())), f"{path} does not open with a sentence"
