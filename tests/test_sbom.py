"""Tests of `make sbom`, which writes the list of all software components (SBOM) of the server.

It contains the packages of the server's lock file and the native libraries in their wheels.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pillow_heif
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name
from PIL import features

from tests.test_locks import ROOT, locked

pytestmark = pytest.mark.slow

PINS = {
    canonicalize_name(pin.name): str(pin.specifier).lstrip("=")
    for pin, _ in locked("requirements.txt")
    if pin.marker is None or pin.marker.evaluate()
}


def install_server(folder: Path) -> None:
    """Create an environment with the server's packages, as links to those of this environment."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in PINS:
        dist = importlib.metadata.distribution(name)
        for entry in {file.parts[0] for file in dist.files or [] if file.parts[0] != ".."}:
            if not (packages / entry).exists():
                (packages / entry).symlink_to(Path(str(dist.locate_file(entry))))


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Run `make sbom` with the installed packages and return the SBOM."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    work, environment = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("tools")
    (work / "sbom").mkdir()
    install_server(work / "sbom" / "env")
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
    # If make runs these tests, its variables are not meant for another make.
    variables = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    done = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(Path(done.stdout.strip()).read_text())


def packages_of(document: Any) -> list[Any]:
    """Return the components of an SBOM that are Python packages."""
    return [each for each in document["components"] if each.get("purl", "").startswith("pkg:pypi/")]


def libraries_of(document: Any, package: str) -> dict[str, str]:
    """Return the names and versions of the native libraries in the wheel of a package."""
    bundled = {"name": "keylike:bundled-in", "value": package}
    return {
        each["name"]: each["version"]
        for each in document["components"]
        if bundled in each.get("properties", [])
    }


def test_sbom_lists_the_packages_of_the_lock(document: Any) -> None:
    listed = {canonicalize_name(each["name"]): each["version"] for each in packages_of(document)}
    assert listed == PINS


def test_every_package_in_the_sbom_has_a_licence(document: Any) -> None:
    assert [each["name"] for each in packages_of(document) if not each.get("licenses")] == []


def test_sbom_lists_native_libraries_with_the_versions_they_report(document: Any) -> None:
    heif, pillow = libraries_of(document, "pillow-heif"), libraries_of(document, "pillow")
    assert heif["libheif"] == pillow_heif.libheif_info()["libheif"]
    assert {"libde265", "x265"} <= set(heif)
    assert pillow["libjpeg-turbo"] == features.version("libjpeg_turbo")
    assert pillow["libwebp"] == features.version("webp")
    assert pillow["libavif"] == features.version("avif")
    assert {"libpng", "libtiff", "openjpeg", "freetype", "zlib-ng"} <= set(pillow)
    opencv = libraries_of(document, "opencv-python-headless")
    assert {"libjpeg-turbo", "ffmpeg", "openssl", "libpng", "openblas"} <= set(opencv)
    assert "protobuf" in libraries_of(document, "onnxruntime")
    assert "pyo3" in libraries_of(document, "pydantic-core")


def test_sbom_states_the_licences_of_the_heif_codecs(document: Any) -> None:
    licences = {
        each["name"]: each["licenses"][0]["license"]["name"]
        for each in document["components"]
        if each["name"] in ("libheif", "libde265", "x265")
    }
    assert licences == {"libheif": "LGPLv3", "libde265": "LGPLv3", "x265": "GPLv2"}


def test_sbom_states_the_dependencies_of_components(document: Any) -> None:
    needs = {each["ref"]: each.get("dependsOn", []) for each in document["dependencies"]}
    refs = {each["name"].lower(): each["bom-ref"] for each in packages_of(document)}
    assert refs["werkzeug"] in needs[refs["flask"]]
    assert any(ref.startswith("pillow-heif/libheif@") for ref in needs[refs["pillow_heif"]])


def test_sbom_conforms_to_the_schema(document: Any) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(document)) is None
    invalid = document | {"components": [{"name": "nameless"}]}
    assert validator.validate_str(json.dumps(invalid)) is not None


def test_sbom_contains_no_path_of_this_machine(document: Any) -> None:
    assert str(ROOT) not in json.dumps(document) and sys.prefix not in json.dumps(document)
