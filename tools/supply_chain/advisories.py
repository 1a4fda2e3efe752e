"""Compare the dependencies with known advisories: `python -m tools.supply_chain.advisories`.

The dependencies are the packages in requirements.txt and locks/, and the native libraries inside
the server's wheels as installed in this environment. security/advisories.toml lists the advisories,
and the matches that were reviewed and accepted. The exit status is 1 if any other dependency
matches an advisory, or if an acceptance is no longer needed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools.supply_chain.native_libraries import UNKNOWN, native_libraries

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "security" / "advisories.toml"
SERVER_LOCK = "requirements.txt"
# One clause of a version range, such as ">=1.22.0".
_CLAUSE = re.compile(r"(<=|>=|<|>|==)(.+)")


@dataclass(frozen=True, slots=True)
class Shipped:
    """A dependency: a package, or a native library inside a wheel.

    Attributes:
        kind: "package" or "library".
        name: Its name.
        version: Its version, or UNKNOWN for a library whose version cannot be found.
        place: Name of the lock file, or of the package whose wheel contains the library.
    """

    kind: str
    name: str
    version: str
    place: str


@dataclass(frozen=True, slots=True)
class Advisory:
    """A published advisory.

    Attributes:
        id: Identifier as published, such as a CVE number.
        kind: "package" or "library".
        name: Name of the package or library.
        affected: Affected versions: clauses separated by commas, such as ">=1.22.0,<1.23.2".
        fixed: First fixed version, or a remark.
        source: URL of the publication.
    """

    id: str
    kind: str
    name: str
    affected: str
    fixed: str
    source: str

    def matches(self, item: Shipped) -> bool:
        """Return True if the dependency is affected. An unknown version of a library matches."""
        if (item.kind, item.name) != (self.kind, self.name):
            return False
        if item.kind == "package":
            return SpecifierSet(self.affected).contains(Version(item.version), prereleases=True)
        return item.version == UNKNOWN or all(
            _holds(clause, item.version) for clause in self.affected.split(",")
        )


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A match that was reviewed and does not fail the check.

    Attributes:
        id: Identifier of the advisory.
        name: Name of the package or library.
        version: The version that was reviewed.
        reason: Why the vulnerability cannot be exploited in Keylike.
    """

    id: str
    name: str
    version: str
    reason: str

    def covers(self, advisory: Advisory, item: Shipped) -> bool:
        """Return True if this match was reviewed."""
        reviewed = (self.id, self.name, self.version)
        return reviewed == (advisory.id, item.name, item.version)


def load(file: Path = LIST) -> tuple[list[Advisory], list[Acceptance]]:
    """Return the advisories and the acceptances in the file.

    Raises:
        KeyError: A field of an entry is missing.
        ValueError: The kind or the affected versions of an advisory are invalid.
    """
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    return (
        [_advisory(entry) for entry in table["advisory"]],
        [Acceptance(**entry) for entry in table.get("accepted", [])],
    )


def shipped(root: Path = ROOT) -> list[Shipped]:
    """Return the packages in all locks, and the libraries in the server's installed wheels."""
    locks = [root / SERVER_LOCK, *sorted((root / "locks").glob("*.txt"))]
    packages = [item for lock in locks for item in locked(lock)]
    server = {item.name for item in packages if item.place == SERVER_LOCK}
    libraries = [
        Shipped("library", each.name, each.version, each.package)
        for each in native_libraries(server)
    ]
    return [*packages, *libraries]


def locked(lock: Path) -> Iterator[Shipped]:
    """Yield the packages in one lock file."""
    for line in lock.read_text(encoding="utf-8").splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            pin = Requirement(line.rstrip(" \\"))
            version = str(pin.specifier).removeprefix("==")
            yield Shipped("package", canonicalize_name(pin.name), version, lock.name)


def problems(
    items: Iterable[Shipped], advisories: list[Advisory], accepted: list[Acceptance]
) -> list[str]:
    """Return one line for each match that was not accepted, and for each unneeded acceptance.

    An acceptance is not reported as unneeded if its library is not found in any version, because
    wheels contain different libraries on different platforms.
    """
    unused, found = set(accepted), []
    kinds = {(each.id, each.name): each.kind for each in advisories}
    items = list(items)
    present = {(item.kind, item.name) for item in items}
    for item in items:
        for advisory in advisories:
            if not advisory.matches(item):
                continue
            reviewed = {each for each in accepted if each.covers(advisory, item)}
            unused -= reviewed
            if not reviewed:
                found.append(
                    f"{item.name} {item.version} in {item.place}: {advisory.id} "
                    f"(affected {advisory.affected}, fixed {advisory.fixed}) {advisory.source}"
                )
    found += [
        f"{each.name} {each.version}: the acceptance of {each.id} is not needed"
        for each in unused
        if (kinds.get((each.id, each.name)), each.name) in present
    ]
    return sorted(found)


def _advisory(entry: dict[str, Any]) -> Advisory:
    fields = ("id", "kind", "name", "affected", "fixed", "source")
    advisory = Advisory(**{field: str(entry[field]) for field in fields})
    if advisory.kind == "package":
        SpecifierSet(advisory.affected)
    elif advisory.kind != "library":
        raise ValueError(f"{advisory.id}: kind must be package or library")
    if not all(_CLAUSE.fullmatch(clause) for clause in advisory.affected.split(",")):
        raise ValueError(f"{advisory.id}: affected must be clauses such as >=1.2,<1.3")
    return advisory


def _holds(clause: str, version: str) -> bool:
    """Return True if the version of a library, such as 1.1.1k-15.el8_6, fulfils the clause."""
    match = _CLAUSE.fullmatch(clause)
    assert match is not None
    left, right = _key(version), _key(match[2])
    return {
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
        "==": left == right,
    }[match[1]]


def _key(version: str) -> list[tuple[int, str]]:
    """Return a sort key: the numbers and letters of the version in order (1.1.1 < 1.1.1k)."""
    parts = re.findall(r"\d+|[a-z]+", version.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def main(root: Path = ROOT) -> int:
    """Print the problems of the checkout in `root` and return the exit status."""
    advisories, accepted = load()
    items = shipped(root)
    found = problems(items, advisories, accepted)
    for line in found:
        print(line, file=sys.stderr)
    libraries = sum(item.kind == "library" for item in items)
    if not found:
        print(
            f"{len({(i.name, i.version) for i in items})} packages and libraries "
            f"({libraries} of them bundled), {len(advisories)} advisories, "
            f"{len(accepted)} accepted matches"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
