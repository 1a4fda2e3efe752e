"""Tests of the check of shipped versions against the list of security advisories."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import pytest

from tools.supply_chain.advisories import (
    LIST,
    ROOT,
    Acceptance,
    Advisory,
    Shipped,
    load,
    main,
    problems,
    shipped,
)
from tools.supply_chain.native_libraries import UNKNOWN, native_libraries

PACKAGE = Advisory("CVE-0000-1", "package", "sound", ">=1.0,<1.4", "1.4", "https://example.org")
LIBRARY = Advisory("CVE-0000-2", "library", "libsound", ">=1.1,<1.1.2", "1.1.2", "https://e.org")


def package(version: str, name: str = "sound") -> Shipped:
    """Return a package as it is found in the server's lock file."""
    return Shipped("package", name, version, "requirements.txt")


def library(version: str, name: str = "libsound") -> Shipped:
    """Return a native library as it is found in a wheel."""
    return Shipped("library", name, version, "sound")


def plant(folder: Path, name: str, version: str, files: tuple[str, ...] = ()) -> None:
    """Create the files of an installed package; `files` are empty."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    for file in files:
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).touch()
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))


def test_shipped_packages_and_libraries_have_no_open_advisory() -> None:
    advisories, accepted = load()
    assert problems(shipped(), advisories, accepted) == []


@pytest.mark.parametrize(
    ("name", "version"),
    [("pi-heif", "1.4.0"), ("pillow-heif", "1.8.0"), ("pillow", "12.3.0"), ("werkzeug", "3.1.8")],
)
def test_check_fails_for_an_old_package_in_the_lock(
    name: str, version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    (tmp_path / "requirements.txt").write_text(f"{lock}\n{name}=={version} \\\n    --hash=x\n")
    (tmp_path / "locks").symlink_to(ROOT / "locks")
    assert main(tmp_path) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines and all(line.startswith(f"{name} {version} in requirements.txt") for line in lines)


def test_check_fails_for_an_old_library_in_a_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site"
    plant(site, "codec", "1.0", ("codec.libs/libheif-0123abcd.so.1.23.0",))
    monkeypatch.syspath_prepend(str(site))
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    (tmp_path / "requirements.txt").write_text(f"{lock}\ncodec==1.0\n")
    (tmp_path / "locks").symlink_to(ROOT / "locks")
    assert main(tmp_path) == 1
    found = capsys.readouterr().err
    assert "libheif 1.23.0 in codec: CVE-2026-84383 (affected >=1.22.0,<1.23.2" in found


def test_check_succeeds_for_the_current_versions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0
    assert "advisories" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("item", "affected"),
    [
        (package("1.0"), True),
        (package("1.3.9"), True),
        (package("1.4"), False),
        (package("1.3", "other"), False),
        (library("1.1"), True),
        (library("1.1.1k-15.el8_6"), True),
        (library("1.1.2"), False),
        (library("1.0.9"), False),
        (library(UNKNOWN), True),
        (library(UNKNOWN, "other"), False),
        (Shipped("package", "libsound", "1.1", "requirements.txt"), False),
    ],
)
def test_advisory_matches_by_kind_name_and_range(item: Shipped, affected: bool) -> None:
    assert (PACKAGE.matches(item) or LIBRARY.matches(item)) is affected


@pytest.mark.parametrize(
    ("version", "fixed"), [("1.1.1k-15.el8_6", True), ("1.1.1k-16.el8_6", False), ("1.1.1j", True)]
)
def test_advisory_compares_versions_of_linux_distributions(version: str, fixed: bool) -> None:
    advisory = Advisory("CVE-0000-3", "library", "tls", "<1.1.1k-16.el8_6", "", "")
    assert advisory.matches(library(version, "tls")) is fixed


def test_accepted_advisory_covers_one_version_and_must_be_needed() -> None:
    accepted = Acceptance("CVE-0000-1", "sound", "1.1", "not reachable")
    assert problems([package("1.1")], [PACKAGE], [accepted]) == []
    assert problems([package("1.1", "other")], [PACKAGE], [accepted]) == []
    other = problems([package("1.2")], [PACKAGE], [accepted])
    assert len(other) == 2
    assert other[0] == "sound 1.1: the acceptance of CVE-0000-1 is not needed"
    assert other[1].startswith("sound 1.2 in requirements.txt: CVE-0000-1")


@pytest.mark.parametrize("change", ["kind = 'crate'", "affected = 'before 2'", "fixed_in = ''"])
def test_advisory_that_cannot_be_compared_is_refused(change: str, tmp_path: Path) -> None:
    entry = {
        "id": "'CVE-0000-1'",
        "kind": "'library'",
        "name": "'libsound'",
        "affected": "'<2'",
        "fixed": "'2'",
        "source": "'https://example.org'",
    }
    key, value = change.split(" = ")
    if key not in entry:
        del entry["fixed"]
    entry[key] = value
    file = tmp_path / "advisories.toml"
    file.write_text("[[advisory]]\n" + "".join(f"{k} = {v}\n" for k, v in entry.items()))
    with pytest.raises((ValueError, KeyError)):
        load(file)


def test_list_of_advisories_has_a_date_and_sources() -> None:
    assert isinstance(tomllib.loads(LIST.read_text(encoding="utf-8"))["collected"], date)
    advisories, accepted = load()
    assert all(each.source.startswith("https://") for each in advisories)
    assert len({(each.id, each.name) for each in advisories}) == len(advisories)
    assert all(len(each.reason.split()) > 5 for each in accepted)


def test_versions_of_native_libraries_are_read_from_file_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(
        tmp_path,
        "codec",
        "1.0",
        (
            "codec.libs/libpng16-1d1ba958.so.16.58.0",
            "codec.libs/libheif-e72ea93c.so.1.23.6",
            "codec.libs/libtiff-20b7e810.so.6.3.0",
            "codec.libs/libgfortran-040039e1-0352e75f.so.5.0.0",
            "codec.libs/libnew-20b7e810.so.7",
            "codec/_codec.cpython-311-x86_64-linux-gnu.so",
        ),
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {each.name: each.version for each in native_libraries({"codec"})}
    assert found == {
        "libpng": "1.6.58",
        "libheif": "1.23.6",
        "libtiff": UNKNOWN,
        "gcc-runtime": UNKNOWN,
        "libnew": UNKNOWN,
    }
