"""`make sbom`: what the server's lock holds, each package with version and licence, in CycloneDX's own schema."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from tests.test_locks import ROOT, locked

PINS = {
    canonicalize_name(pin.name): str(pin.specifier).lstrip("=")
    for pin, _ in locked("requirements.txt")
    if pin.marker is None or pin.marker.evaluate()
}


def installed(folder: Path) -> None:
    """An environment in which the server's packages are, as far as anybody can tell who asks for their names."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in PINS:
        files = importlib.metadata.distribution(name).files or []
        (metadata,) = {
            Path(str(file.locate())).parent for file in files if file.match("*.dist-info/METADATA")
        }
        shutil.copytree(metadata, packages / metadata.name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The document, of packages that are there already."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    work, environment = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("tools")
    (work / "sbom").mkdir()
    installed(work / "sbom" / "env")
    for part in ("bin", "lib", "pyvenv.cfg"):
        (environment / part).symlink_to(Path(sys.prefix) / part)
    for stamp in (environment / "made", environment / "dev", work / "sbom" / "env" / "made"):
        stamp.touch()
    command = [
        "make",
        "--no-print-directory",
        "sbom",
        f"VENV={environment}",
        f"WORK={work}",
        f"PYTHON={sys.executable}",
    ]
    # What a make around the tests says of itself is for its own children.
    outside = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    done = subprocess.run(
        command, cwd=ROOT, env=outside, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(Path(done.stdout.strip()).read_text())


def test_it_holds_what_the_lock_holds(made: Any) -> None:
    assert {canonicalize_name(one["name"]): one["version"] for one in made["components"]} == PINS


def test_every_package_has_a_licence(made: Any) -> None:
    assert [one["name"] for one in made["components"] if not one.get("licenses")] == []


def test_it_says_which_package_needs_which(made: Any) -> None:
    needs = {one["ref"]: one.get("dependsOn", []) for one in made["dependencies"]}
    flask = next(one["bom-ref"] for one in made["components"] if one["name"].lower() == "flask")
    assert any(ref.lower().startswith("werkzeug==") for ref in needs[flask])


def test_it_keeps_to_the_schema(made: Any) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(made)) is None
    assert (
        validator.validate_str(json.dumps(made | {"components": [{"name": "nameless"}]}))
        is not None
    )


def test_it_tells_nothing_of_the_machine_that_made_it(made: Any) -> None:
    assert str(ROOT) not in json.dumps(made) and sys.prefix not in json.dumps(made)
