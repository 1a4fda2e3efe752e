"""Tests of requirements.txt and locks/: they match pyproject.toml, and pip checks their hashes."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DIRECT: list[str] = PROJECT["project"]["dependencies"]
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
GROUPS: dict[str, list[str]] = PROJECT["dependency-groups"]
# The direct dependencies of each lock file, as in pyproject.toml.
LOCKED = {
    "requirements.txt": DIRECT,
    "locks/otel.txt": DIRECT + EXTRAS["otel"],
    "locks/fuzz.txt": DIRECT + GROUPS["fuzz"],
    "locks/dev.txt": DIRECT + EXTRAS["otel"] + GROUPS["dev"],
    "locks/train.txt": DIRECT + EXTRAS["train"],
    "locks/gemma.txt": DIRECT + EXTRAS["gemma"],
    "locks/gpu.txt": DIRECT + EXTRAS["gemma"] + EXTRAS["gpu"],
}
LOCKS = (*LOCKED, "locks/torch.txt")
# Packages that are only in locks/torch.txt, because their builds without CUDA have other hashes.
PYTORCH = {"torch", "torchvision"}
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def locked(name: str) -> list[tuple[Requirement, list[str]]]:
    """Return each package of a lock file with the hashes that its files may have."""
    text = (ROOT / name).read_text(encoding="utf-8")
    lines = [
        line
        for line in text.replace("\\\n", " ").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    return [(Requirement(line.partition("--hash")[0]), HASH.findall(line)) for line in lines]


def identity(pin: Requirement) -> tuple[str, str]:
    """Return the normalized name and the version specifier of a locked package."""
    return canonicalize_name(pin.name), str(pin.specifier)


def identities(lines: Iterable[str]) -> set[tuple[str, str]]:
    """Return the `identity` of each requirement line, without the extras of keylike itself."""
    pins = {identity(Requirement(line)) for line in lines}
    return {pin for pin in pins if pin[0] != "keylike"}


def test_pyproject_direct_dependencies_have_exact_versions() -> None:
    lines = [
        *DIRECT,
        *(line for group in (EXTRAS, GROUPS) for one in group.values() for line in one),
    ]
    lines += PROJECT["build-system"]["requires"]
    loose = [
        line
        for line in lines
        if line != "keylike[gemma]"
        and not re.fullmatch(r"==[^*,]+", str(Requirement(line).specifier))
    ]
    assert loose == []


def test_build_backend_is_the_one_that_the_tests_use() -> None:
    assert set(PROJECT["build-system"]["requires"]) <= set(GROUPS["dev"])


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_in_a_lock_has_one_version_and_hashes(name: str) -> None:
    entries = locked(name)
    assert len(entries) > 20
    assert [
        str(pin)
        for pin, hashes in entries
        if not hashes or pin.url or not re.fullmatch(r"==[^*,]+", str(pin.specifier))
    ] == []


@pytest.mark.parametrize("name", LOCKS)
def test_lock_contains_no_package_index_and_no_options(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "://" in line or line.startswith("-")] == []


@pytest.mark.parametrize(("name", "lines"), LOCKED.items())
def test_lock_contains_the_dependencies_in_pyproject(name: str, lines: list[str]) -> None:
    there = {identity(pin) for pin, _ in locked(name)}
    wanted = identities(lines)
    missing = {pin for pin in wanted - there if pin[0] not in PYTORCH}
    assert not missing, f"make lock: pyproject.toml and {name} differ in {sorted(missing)}"
    assert {pin for pin in wanted if pin[0] in PYTORCH} <= {
        identity(pin) for pin, _ in locked("locks/torch.txt")
    }


def test_server_lock_contains_only_required_packages() -> None:
    """Check that each package is a dependency, or one of a dependency, of keylike."""
    required, queue = set[str](), [Requirement(line) for line in DIRECT]
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        required.add(name)
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # not installed, because it is for another platform or version of Python
        for each in map(Requirement, lines):
            extras = ["", *requirement.extras]
            wanted = each.marker is None or any(
                each.marker.evaluate({"extra": extra}) for extra in extras
            )
            if wanted and canonicalize_name(each.name) not in required:
                queue.append(each)
    here = {
        canonicalize_name(pin.name)
        for pin, _ in locked("requirements.txt")
        if pin.marker is None or pin.marker.evaluate()
    }
    assert here == required


@pytest.mark.parametrize("name", ["locks/train.txt", "locks/gemma.txt", "locks/gpu.txt"])
def test_only_the_torch_lock_contains_pytorch(name: str) -> None:
    cuda = re.compile(r"torch|torchvision|triton|cuda-.*|nvidia-.*")
    assert [pin.name for pin, _ in locked(name) if cuda.fullmatch(pin.name)] == []


def test_locks_agree_on_every_version() -> None:
    versions: dict[str, set[str]] = {}
    for name in LOCKS:
        for pin, _ in locked(name):
            if pin.marker is None or pin.marker.evaluate():
                versions.setdefault(canonicalize_name(pin.name), set()).add(str(pin.specifier))
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def wheel(folder: Path, name: str, needs: str = "") -> Path:
    """Create the wheel of an empty package, which may require another package."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n" + (
        f"Requires-Dist: {needs}\n" if needs else ""
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{name}-1.0.dist-info/METADATA", metadata)
        archive.writestr(
            f"{name}-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{name}-1.0.dist-info/RECORD", f"{name}.py,,\n")
    return path


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a virtual environment that contains only pip."""
    home = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", home], check=True, timeout=120)
    (home / "made").touch()
    return home


def install(tmp_path: Path, environment: Path, lock: str) -> subprocess.CompletedProcess[str]:
    """Install packages as `make serve` does, with `lock` and only the wheels in `tmp_path`."""
    (tmp_path / "requirements.txt").write_text(lock)
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    offline = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_CACHE_DIR": str(tmp_path / "cache"),
    }
    (environment / "server").unlink(missing_ok=True)
    command = [
        "make",
        f"VENV={environment}",
        f"PYTHON={sys.executable}",
        str(environment / "server"),
    ]
    return subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, **offline},
        capture_output=True,
        text=True,
        timeout=120,
    )


def has(environment: Path, module: str) -> bool:
    """Return True if the environment's Python can import the module."""
    return (
        subprocess.run(
            [environment / "bin" / "python", "-c", f"import {module}"],
            capture_output=True,
            timeout=60,
        ).returncode
        == 0
    )


def line(file: Path) -> str:
    """Return the line of a lock file for a wheel, with its current hash."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return f"{file.name.partition('-')[0]}==1.0 --hash=sha256:{digest}\n"


@needs_make
def test_make_installs_locked_packages(tmp_path: Path, environment: Path) -> None:
    done = install(tmp_path, environment, line(wheel(tmp_path, "sound")))
    assert done.returncode == 0, done.stderr
    assert has(environment, "sound")


@needs_make
def test_make_refuses_a_package_whose_file_was_changed(tmp_path: Path, environment: Path) -> None:
    file = wheel(tmp_path, "tampered")
    lock = line(file)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("tampered.pth", "import os")
    done = install(tmp_path, environment, lock)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not has(environment, "tampered") and not (environment / "server").exists()


@needs_make
def test_make_refuses_a_dependency_that_is_not_in_the_lock(
    tmp_path: Path, environment: Path
) -> None:
    wheel(tmp_path, "stranger")
    done = install(tmp_path, environment, line(wheel(tmp_path, "friendly", needs="stranger")))
    assert done.returncode != 0
    assert "--require-hashes" in done.stderr
    assert not has(environment, "stranger") and not has(environment, "friendly")


@needs_make
def test_make_refuses_a_lock_without_hashes(tmp_path: Path, environment: Path) -> None:
    wheel(tmp_path, "hashless")
    done = install(tmp_path, environment, "hashless==1.0\n")
    assert done.returncode != 0
    assert "Hashes are required" in done.stderr
    assert not has(environment, "hashless")


@needs_make
def test_make_help_describes_every_public_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (public,) = re.findall(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)
    shown = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    described = re.findall(r"^make ([a-z-]+) +\S", shown, flags=re.MULTILINE)
    assert sorted(described) == sorted(public.split())
