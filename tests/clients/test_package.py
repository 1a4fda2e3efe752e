"""Tests of the client package.

It has every field of the API's responses and no dependencies, and it can be built and installed.
"""

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
JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def snake_case(name: str) -> str:
    """Return a name in camel case as snake case."""
    return "".join(f"_{item.lower()}" if item.isupper() else item for item in name)


def resolve(schema: dict[str, Any], document: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the schema that a reference points to, and True if the value may be null."""
    if "$ref" in schema:
        return resolve(
            document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document
        )
    if "anyOf" in schema:
        schemas = [item for item in schema["anyOf"] if item.get("type") != "null"]
        assert len(schemas) == 1
        return resolve(schemas[0], document)[0], len(schemas) < len(schema["anyOf"])
    return schema, False


def check(type_: Any, schema: dict[str, Any], document: dict[str, Any], path: str) -> None:
    """Check that a type of the client package matches a schema of the API."""
    schema, nullable = resolve(schema, document)
    optional = get_origin(type_) in (Union, types.UnionType)
    assert optional == nullable, path
    if optional:
        (type_,) = (item for item in get_args(type_) if item is not type(None))
    if is_dataclass(type_):
        hints = get_type_hints(type_)
        properties = {
            snake_case(name): item
            for name, item in schema["properties"].items()
            if name != "success"
        }
        assert {item.name for item in fields(type_)} == set(properties), path
        for name, item in properties.items():
            check(hints[name], item, document, f"{path}.{name}")
    elif get_origin(type_) is tuple:
        assert schema["type"] == "array", path
        check(get_args(type_)[0], schema["items"], document, path)
    else:
        (json_type,) = (
            {JSON_TYPES[type(item)] for item in schema["enum"]}
            if "enum" in schema
            else {schema.get("type") or JSON_TYPES[type(schema["const"])]}
        )
        assert json_type == JSON_TYPES[type_], path


@pytest.mark.parametrize(
    ("type_", "path", "method"), [(Reading, "/predict", "post"), (Health, "/health", "get")]
)
def test_client_class_has_the_fields_of_the_openapi_schema(
    client: FlaskClient, type_: type, path: str, method: str
) -> None:
    document = client.get("/openapi.json").get_json()
    schema = document["paths"][path][method]["responses"]["200"]["content"]["application/json"][
        "schema"
    ]
    check(type_, schema, document, type_.__name__)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_client_module_imports_only_the_standard_library(module: Path) -> None:
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
    assert ast.get_docstring(tree), f"{module} must have a docstring"


def test_client_wheel_can_be_built_installed_and_imported(tmp_path: Path) -> None:
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
    script = (
        "import keylike_client; "
        "client = keylike_client.Client('http://127.0.0.1', 'c4nary'); "
        "print(keylike_client.__file__, client)"
    )
    completed = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(target)!r}); {script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (
        str(target) in completed.stdout
        and "with a token" in completed.stdout
        and "c4nary" not in completed.stdout
    )


def test_client_package_has_the_licence_of_the_project() -> None:
    assert (FOLDER / "LICENSE").read_text() == (FOLDER.parent.parent / "LICENSE").read_text()
