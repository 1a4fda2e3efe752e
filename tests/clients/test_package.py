"""The Python client as a package: it knows every field of the contract, needs nothing but Python, and installs as it is built."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
import types
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from flask.testing import FlaskClient

from keylike_client import Health, Reading

FOLDER = Path(__file__).resolve().parent.parent.parent / "clients" / "python"
MODULES = sorted((FOLDER / "keylike_client").glob("*.py"))
KINDS = {str: "string", int: "integer", float: "number", bool: "boolean"}


def words(name: str) -> str:
    """Python's spelling of a name."""
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in name)


def plain(schema: dict[str, Any], document: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """A schema without its reference, and whether there may be nothing."""
    if "$ref" in schema:
        return plain(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    if "anyOf" in schema:
        some = [one for one in schema["anyOf"] if one.get("type") != "null"]
        assert len(some) == 1
        return plain(some[0], document)[0], len(some) < len(schema["anyOf"])
    return schema, False


def check(kind: Any, schema: dict[str, Any], document: dict[str, Any], place: str) -> None:
    """Fails unless a type is what the document says."""
    schema, empty = plain(schema, document)
    optional = get_origin(kind) in (Union, types.UnionType)
    assert optional == empty, place
    if optional:
        (kind,) = (one for one in get_args(kind) if one is not type(None))
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        described = {
            words(name): one for name, one in schema["properties"].items() if name != "success"
        }
        assert {one.name for one in fields(kind)} == set(described), place
        for name, one in described.items():
            check(hints[name], one, document, f"{place}.{name}")
    elif get_origin(kind) is tuple:
        assert schema["type"] == "array", place
        check(get_args(kind)[0], schema["items"], document, place)
    else:
        (found,) = (
            {KINDS[type(one)] for one in schema["enum"]}
            if "enum" in schema
            else {schema.get("type") or KINDS[type(schema["const"])]}
        )
        assert found == KINDS[kind], place


@pytest.mark.parametrize(
    ("kind", "path", "method"), [(Reading, "/predict", "post"), (Health, "/health", "get")]
)
def test_every_field_of_the_contract_is_there_and_typed(
    client: FlaskClient, kind: type, path: str, method: str
) -> None:
    document = client.get("/openapi.json").get_json()
    schema = document["paths"][path][method]["responses"]["200"]["content"]["application/json"][
        "schema"
    ]
    check(kind, schema, document, kind.__name__)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_it_needs_nothing_but_python(module: Path) -> None:
    tree = ast.parse(module.read_text())
    names = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    ]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names | {
        "keylike_client"
    }
    assert ast.get_docstring(tree), f"{module} does not open with a sentence"


def test_it_is_built_and_works_away_from_here(tmp_path: Path) -> None:
    if importlib.util.find_spec("uv") is None:
        pytest.skip("uv is not installed; make test installs it")
    uv = [sys.executable, "-m", "uv", "--offline", "--quiet", "--no-config"]
    subprocess.run([*uv, "build", "--wheel", "--out-dir", tmp_path, FOLDER], check=True, timeout=60)
    (wheel,) = tmp_path.glob("keylike_client-*-py3-none-any.whl")
    target = tmp_path / "site"
    subprocess.run(
        [*uv, "pip", "install", "--no-deps", "--target", target, wheel], check=True, timeout=60
    )
    assert (target / "keylike_client" / "py.typed").is_file()
    shown = "from keylike_client import Client; import keylike_client; print(keylike_client.__file__, Client('http://127.0.0.1', 'c4nary'))"
    ran = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(target)!r}); {shown}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(target) in ran.stdout and "with a token" in ran.stdout and "c4nary" not in ran.stdout


def test_the_licence_is_the_projects() -> None:
    assert (FOLDER / "LICENSE").read_text() == (FOLDER.parent.parent / "LICENSE").read_text()
