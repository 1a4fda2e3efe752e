"""The locks in locks/: what the requirements files say and all that these bring along, with hashes; what is not in them is refused."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {
    "server": "requirements.txt",
    "otel": "requirements-otel.txt",
    "fuzz": "requirements-fuzz.txt",
    "dev": "requirements-dev.txt",
    "train": "requirements-train.txt",
    "gemma": "requirements-gemma.txt",
    "gpu": "requirements-gpu.txt",
}
LOCKS = (*SOURCES, "torch")
# Locked in torch.txt alone: its builds without CUDA have other hashes.
APART = {"torch", "torchvision"}
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def pins(file: Path) -> Iterator[Requirement]:
    """Those of a requirements file and of the ones that it names."""
    for line in file.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            yield from pins(file.parent / text[3:])
        elif text:
            yield Requirement(text)


def locked(name: str) -> list[tuple[Requirement, list[str]]]:
    """What a lock holds: each package, and the hashes that its files may have."""
    text = (ROOT / "locks" / f"{name}.txt").read_text(encoding="utf-8")
    lines = [
        line
        for line in text.replace("\\\n", " ").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    return [(Requirement(line.partition("--hash")[0]), HASH.findall(line)) for line in lines]


def identity(pin: Requirement) -> tuple[str, str]:
    """Name and version, as both are written alike everywhere."""
    return canonicalize_name(pin.name), str(pin.specifier)


@pytest.mark.parametrize("file", SOURCES.values())
def test_every_requirement_is_pinned(file: str) -> None:
    loose = [
        str(pin)
        for pin in pins(ROOT / file)
        if not re.fullmatch(r"==[^*,]+", str(pin.specifier)) or pin.url
    ]
    assert loose == []


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_of_a_lock_has_one_version_and_hashes(name: str) -> None:
    entries = locked(name)
    assert len(entries) > 20
    assert [
        str(pin)
        for pin, hashes in entries
        if not hashes or pin.url or not re.fullmatch(r"==[^*,]+", str(pin.specifier))
    ] == []


@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_names_a_place_to_install_from(name: str) -> None:
    lines = (ROOT / "locks" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "://" in line or line.startswith("-")] == []


@pytest.mark.parametrize(("name", "file"), SOURCES.items())
def test_a_lock_is_what_its_requirements_say(name: str, file: str) -> None:
    there = {identity(pin) for pin, _ in locked(name)}
    wanted = {identity(pin) for pin in pins(ROOT / file)}
    missing = {pin for pin in wanted - there if pin[0] not in APART}
    assert not missing, f"make lock: {file} and locks/{name}.txt differ in {sorted(missing)}"
    assert {pin for pin in wanted if pin[0] in APART} <= {
        identity(pin) for pin, _ in locked("torch")
    }


def test_the_server_brings_nothing_along_that_its_requirements_do_not_name() -> None:
    assert {identity(pin) for pin, _ in locked("server")} == {
        identity(pin) for pin in pins(ROOT / "requirements.txt")
    }


def test_a_lock_for_training_or_gemma_leaves_pytorch_to_its_own() -> None:
    cuda = re.compile(r"torch|torchvision|triton|cuda-.*|nvidia-.*")
    for name in ("train", "gemma", "gpu"):
        assert [pin.name for pin, _ in locked(name) if cuda.fullmatch(pin.name)] == []


def test_locks_that_are_installed_together_agree() -> None:
    versions: dict[str, set[str]] = {}
    for name in LOCKS:
        for pin, _ in locked(name):
            if pin.marker is None or pin.marker.evaluate():
                versions.setdefault(canonicalize_name(pin.name), set()).add(str(pin.specifier))
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def wheel(folder: Path, name: str, needs: str = "") -> Path:
    """A package with nothing in it, which may need another."""
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
    """A virtual environment with pip alone in it."""
    home = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", home], check=True, timeout=120)
    (home / "made").touch()
    return home


def install(tmp_path: Path, environment: Path, lock: str) -> subprocess.CompletedProcess[str]:
    """What `make serve` does before it serves, with another lock, and packages from `tmp_path` alone."""
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "server.txt").write_text(lock)
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    alone = {
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
        env={**os.environ, **alone},
        capture_output=True,
        text=True,
        timeout=120,
    )


def has(environment: Path, module: str) -> bool:
    """Whether a module can be imported there."""
    return (
        subprocess.run(
            [environment / "bin" / "python", "-c", f"import {module}"],
            capture_output=True,
            timeout=60,
        ).returncode
        == 0
    )


def line(file: Path) -> str:
    """A package's line in a lock, with the hash that its file has now."""
    return f"{file.name.partition('-')[0]}==1.0 --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


@needs_make
def test_what_a_lock_has_is_installed(tmp_path: Path, environment: Path) -> None:
    done = install(tmp_path, environment, line(wheel(tmp_path, "sound")))
    assert done.returncode == 0, done.stderr
    assert has(environment, "sound")


@needs_make
def test_a_file_that_was_changed_is_refused(tmp_path: Path, environment: Path) -> None:
    file = wheel(tmp_path, "tampered")
    lock = line(file)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("tampered.pth", "import os")
    done = install(tmp_path, environment, lock)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not has(environment, "tampered") and not (environment / "server").exists()


@needs_make
def test_a_package_that_slips_in_behind_another_is_refused(
    tmp_path: Path, environment: Path
) -> None:
    wheel(tmp_path, "stranger")
    done = install(tmp_path, environment, line(wheel(tmp_path, "friendly", needs="stranger")))
    assert done.returncode != 0
    assert "--require-hashes" in done.stderr
    assert not has(environment, "stranger") and not has(environment, "friendly")


@needs_make
def test_a_lock_that_lost_a_hash_installs_nothing(tmp_path: Path, environment: Path) -> None:
    wheel(tmp_path, "hashless")
    done = install(tmp_path, environment, "hashless==1.0\n")
    assert done.returncode != 0
    assert "Hashes are required" in done.stderr
    assert not has(environment, "hashless")
