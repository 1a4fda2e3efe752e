"""Compare what is shipped with known advisories: `python -m tools.supply_chain.advisories`.

Shipped are the packages in requirements.txt and locks/, and the native libraries inside the server's
wheels as installed in this environment. security/advisories.toml lists the advisories, and what was
reviewed and accepted although an advisory matches. Ends with 1 if anything else matches, and if an
acceptance is no longer needed.
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
_CLAUSE = re.compile(r"(<=|>=|<|>|==)(.+)")


@dataclass(frozen=True, slots=True)
class Shipped:
    """A package or a native library.

    Attributes:
        kind: "package" or "library".
        name: Its name.
        version: Its version; UNKNOWN for a library that does not tell.
        place: The lock, or the package whose wheel contains the library.
    """

    kind: str
    name: str
    version: str
    place: str


@dataclass(frozen=True, slots=True)
class Advisory:
    """A published advisory.

    Attributes:
        id: As published.
        kind: "package" or "library".
        name: Name of the package or library.
        affected: Clauses separated by commas, such as ">=1.22.0,<1.23.2".
        fixed: First fixed version, or a remark.
        source: Address of the publication.
    """

    id: str
    kind: str
    name: str
    affected: str
    fixed: str
    source: str

    def matches(self, item: Shipped) -> bool:
        """Return True if the item is affected, or if its version is unknown."""
        if (item.kind, item.name) != (self.kind, self.name):
            return False
        if item.kind == "package":
            return SpecifierSet(self.affected).contains(Version(item.version), prereleases=True)
        return item.version == UNKNOWN or all(
            _holds(clause, item.version) for clause in self.affected.split(",")
        )


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A reviewed match that does not fail the check.

    Attributes:
        id: The advisory.
        name: The package or library.
        version: The one version that was reviewed.
        reason: Why it cannot be exploited in Keylike.
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
    """Read the list. Raises ValueError for an entry that is incomplete or cannot be compared."""
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    return (
        [_advisory(entry) for entry in table["advisory"]],
        [Acceptance(**entry) for entry in table.get("accepted", [])],
    )


def shipped(root: Path = ROOT) -> list[Shipped]:
    """Return the packages of all locks, and the libraries in the server's installed wheels."""
    locks = [root / SERVER_LOCK, *sorted((root / "locks").glob("*.txt"))]
    packages = [item for lock in locks for item in locked(lock)]
    server = {item.name for item in packages if item.place == SERVER_LOCK}
    libraries = [
        Shipped("library", each.name, each.version, each.package)
        for each in native_libraries(server)
    ]
    return [*packages, *libraries]


def locked(lock: Path) -> Iterator[Shipped]:
    """Yield the packages in a lock."""
    for line in lock.read_text(encoding="utf-8").splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            pin = Requirement(line.rstrip(" \\"))
            version = str(pin.specifier).removeprefix("==")
            yield Shipped("package", canonicalize_name(pin.name), version, lock.name)


def problems(
    items: Iterable[Shipped], advisories: list[Advisory], accepted: list[Acceptance]
) -> list[str]:
    """Return a line per match that nobody accepted, and per acceptance of another version.

    An acceptance is allowed to match nothing if its library is not found at all, because wheels
    differ between platforms.
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
    """Compare the version of a native library, such as 1.1.1k-15.el8_6, with one clause."""
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
    """Return numbers and letters in order; a longer version is later (1.1.1 < 1.1.1k)."""
    parts = re.findall(r"\d+|[a-z]+", version.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def main(root: Path = ROOT) -> int:
    """Print the problems of a checkout and return the exit status."""
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
